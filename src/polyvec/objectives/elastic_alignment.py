"""What pulls a smaller size of a model towards the full one.

- `KLAlignment` over the numbers of a vector: 2D Matryoshka (Li et al. 2024, arXiv:2402.14776), and Starbucks for
  similarity; over the scores of candidates: Starbucks for retrieval (Zhuang et al. 2024, arXiv:2410.13230).
- `PCACompress`: ESE, the second version of 2D Matryoshka, whose prefix learns the main directions of the whole vector.

The released losses let the full model move towards the small one too, because its vector kept its gradient, which costs
the full size; here it is detached unless asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, mse_loss, normalize, softmax

from polyvec.errors import BadInput


class Alignment(Protocol):
    """Compares vectors of a size with those of the full model, neither of unit length."""

    def __call__(self, full: Sequence[Tensor], small: Sequence[Tensor]) -> Tensor:
        """The loss of columns of shape (rows, width) and (rows, d)."""


@dataclass(frozen=True, slots=True)
class KLAlignment:
    """Kullback-Leibler divergence of a size's distribution from the full model's.

    Args:
        weight: factor of the loss.
        temperature: of both distributions, and factor of the divergence; Starbucks' 0.3. Over scores, which are
            cosines, it is their temperature alone.
        over: ``embedding``, the distribution over the numbers of a vector, cut to the size's width; or ``scores``,
            that of each anchor over all passages.
        detach: whether the full model learns nothing from it.
    """

    weight: float = 1.0
    temperature: float = 0.3
    over: Literal["embedding", "scores"] = "embedding"
    detach: bool = True

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.temperature <= 0 or self.weight < 0:
            raise BadInput(
                f"weight={self.weight}, temperature={self.temperature}: give a weight of 0 or more and a temperature "
                "above 0"
            )

    def __call__(self, full: Sequence[Tensor], small: Sequence[Tensor]) -> Tensor:
        """The loss, a scalar."""
        wanted = [column.detach() for column in full] if self.detach else list(full)
        if self.over == "scores":
            return self.weight * self._divergence(_scores(wanted), _scores(small), 1.0)
        found = [
            self._divergence(teacher[:, : column.shape[1]], column, self.temperature)
            for teacher, column in zip(wanted, small, strict=True)
        ]
        return self.weight * torch.stack(found).mean()

    def _divergence(self, teacher: Tensor, student: Tensor, factor: float) -> Tensor:
        wanted = log_softmax(teacher / self.temperature, dim=1)
        found = log_softmax(student / self.temperature, dim=1)
        return factor * kl_div(found, wanted, reduction="batchmean", log_target=True)


@dataclass(frozen=True, slots=True)
class PCACompress:
    """ESE's compression: a prefix learns the main directions of its own whole vector.

    The directions are those of the row-wise softmax of the batch's feature-feature products, as the released code has
    it: over the texts of all columns together, uncentred and anew in each batch.

    Args:
        weight: factor of the loss.
        temperature: of the divergence.
    """

    weight: float = 1.0
    temperature: float = 1.0

    def __call__(self, full: Sequence[Tensor], small: Sequence[Tensor]) -> Tensor:
        """The loss, a scalar."""
        return self.weight * self._compressed(torch.cat(list(full)), torch.cat(list(small)))

    def _compressed(self, whole: Tensor, prefix: Tensor) -> Tensor:
        kept = prefix.shape[1]
        if kept > min(whole.shape):
            raise BadInput(
                f"{kept} main directions of {whole.shape[0]} texts: give batches of at least as many texts, over all "
                "columns, as ESE keeps dimensions"
            )
        with torch.no_grad():
            related = softmax(whole.T @ whole / whole.shape[1] ** 0.5, dim=1)
            directions, sizes, _ = torch.linalg.svd(related)
            wanted = whole @ directions[:, :kept] * sizes[:kept]
        divergence = kl_div(
            log_softmax(prefix / self.temperature, dim=1),
            softmax(wanted / self.temperature, dim=1),
            reduction="batchmean",
        )
        return mse_loss(prefix, wanted) + self.temperature * divergence


def _scores(columns: Sequence[Tensor]) -> Tensor:
    """Cosines of each anchor with all passages, shape (rows, passages)."""
    anchors, *passages = (normalize(column, dim=1) for column in columns)
    return anchors @ torch.cat(passages).T
