"""Focal weights: rows that the model finds hard count more.

The focal loss of Lin et al. 2017 (arXiv:1708.02002) on the softmax of a contrastive loss, as in KaLM-Embedding-V2 (Zhao
et al. 2025, arXiv:2506.20923): a row whose positive gets the probability p among all candidates counts (1 - p)^gamma.
The paper's code is not public; gamma = 0.5 is what accounts of it give. Whether the weight is a constant is not stated;
here it is unless ``detach=False``.

Without renormalisation the gradient shrinks as learning succeeds, as with a falling learning rate, and the more so, the
larger gamma is: follow the mean weight in the objective's ``trace``.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from polyvec.errors import BadInput


@dataclass(frozen=True, slots=True)
class FocalWeight:
    """How much each row counts, by how hard it is.

    Args:
        gamma: the exponent; 0 weighs all rows alike.
        detach: take the weights as constants.
        renormalise: divide the loss by the mean weight of the batch, a constant, so that hard rows gain what easy
            ones lose.

    Raises:
        BadInput: when gamma is below 0.

    Example:
        A positive with the probability 0.75, whose odds against it are 1 to 3, weighs √0.25:

        >>> import torch
        >>> FocalWeight(gamma=0.5)(torch.tensor([1 / 3]).log())
        tensor([0.5000])
    """

    gamma: float = 0.5
    detach: bool = True
    renormalise: bool = False

    def __post_init__(self) -> None:
        """Check the exponent."""
        if not 0 <= self.gamma < float("inf"):
            raise BadInput(
                f"a focal weight with gamma={self.gamma}: give 0 or more; the paper has 0.5"
            )

    def __call__(self, against: Tensor) -> Tensor:
        """Weights of rows by the log of the odds against their positives, shape (rows,).

        1 - p is computed from the odds, in which nothing is lost where p rounds to 1.
        """
        weights = (self.gamma * logsigmoid(against)).exp()
        return weights.detach() if self.detach else weights
