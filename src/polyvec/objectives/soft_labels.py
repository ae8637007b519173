"""Soft labels: a teacher's scores of a positive and its negatives, which the model learns instead of a yes and noes.

LG-ANNA-Embedding (Choi et al. 2025, arXiv:2506.07438) and the last stage of KaLM-Embedding-V2 (Zhao et al. 2025,
arXiv:2506.20923) learn from scores of a stronger retriever. Neither publishes its code; the forms here are those of
FlagEmbedding, added to the contrastive loss:

- ``kl``: the Kullback-Leibler divergence between the softmax of a teacher's scores and of the model's, over the group
  of a row, that is its positive and negatives. (FlagEmbedding has the cross-entropy, which differs by a constant.)
- ``m3``: as in BGE-M3 (Chen et al. 2024, arXiv:2402.03216), the cross-entropy of each member of the group among all
  columns of the batch, weighted by the teacher's probability; members that the teacher ranks higher are left out of
  the softmax of those that follow.

There is no factor of the squared temperature (Hinton et al. 2015), with which the loss would almost vanish at 0.02.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from polyvec.errors import BadInput

SPREAD = 0.5
"""A teacher's own temperature is this many standard deviations of its scores."""
HEALTHY = (0.1, 0.9)
"""Share of the greatest entropy between which soft labels are neither hard labels nor none."""


@dataclass(frozen=True, slots=True)
class SoftLabels:
    """How a teacher's scores enter the loss.

    Args:
        weight: of this loss beside the contrastive one.
        temperature: the teacher's scores are divided by it. ``auto`` is `SPREAD` standard deviations of the scores in
            the batch; a number from `polyvec.training.hybrid_teacher.calibrate_temperature` is steadier.
        student_temperature: the model's similarities are divided by it.
        mode: ``kl`` or ``m3``.

    Raises:
        BadInput: when a number is not above 0, or the mode is unknown.

    Example:
        >>> teacher = torch.tensor([[2.0, 1.0]]).log()
        >>> labels = SoftLabels(temperature=1.0, student_temperature=1.0)
        >>> labels.targets(teacher, spread=teacher.std())
        tensor([[0.6667, 0.3333]])
        >>> labels.divergence(torch.zeros(1, 2), labels.targets(teacher, teacher.std()))  # ⅔ ln 4/3 + ⅓ ln 2/3
        tensor([0.0566])
    """

    weight: float = 1.0
    temperature: float | Literal["auto"] = "auto"
    student_temperature: float = 0.02
    mode: Literal["kl", "m3"] = "kl"

    def __post_init__(self) -> None:
        """Check the numbers."""
        own = 1.0 if self.temperature == "auto" else self.temperature
        if not (self.weight > 0 and own > 0 and self.student_temperature > 0):
            raise BadInput(
                f"soft labels with weight={self.weight}, temperature={self.temperature!r}, "
                f"student_temperature={self.student_temperature}: give numbers above 0, or 'auto' for the temperature"
            )
        if self.mode not in ("kl", "m3"):
            raise BadInput(f"soft labels of mode {self.mode!r}: give kl or m3")

    def targets(self, scores: Tensor, spread: Tensor) -> Tensor:
        """The teacher's probabilities.

        Args:
            scores: of each row's positive and negatives, shape (rows, 1 + negatives).
            spread: the standard deviation of the scores of the whole batch.

        Returns:
            Probabilities, shape (rows, 1 + negatives).
        """
        temperature: Tensor | float = (
            self.temperature
            if self.temperature != "auto"
            else ((SPREAD * spread).clamp_min(torch.finfo(scores.dtype).tiny))
        )
        return (scores / temperature).softmax(dim=1)

    def divergence(self, similarities: Tensor, targets: Tensor) -> Tensor:
        """The Kullback-Leibler divergence of each row, shape (rows,).

        Args:
            similarities: of the model, shape (rows, 1 + negatives).
            targets: the teacher's probabilities.
        """
        student = log_softmax(similarities / self.student_temperature, dim=1)
        return kl_div(student, targets, reduction="none").sum(dim=1)

    def in_turn(self, others: Tensor, similarities: Tensor, targets: Tensor) -> Tensor:
        """The loss of mode ``m3`` of each row, shape (rows,).

        Args:
            others: log of the sum of exponentials of the columns outside of the row's group, shape (rows,).
            similarities: of the model with the group, shape (rows, 1 + negatives).
            targets: the teacher's probabilities.
        """
        order = targets.argsort(dim=1, descending=True, stable=True)
        logits = similarities.gather(1, order) / self.student_temperature
        # Among the columns that the k-th stands against are those of the group that follow it.
        following = logits.flip(1).logcumsumexp(dim=1).flip(1)
        against = torch.logaddexp(following, others[:, None])
        return (targets.gather(1, order) * (against - logits)).sum(dim=1)


def refuse_scores(scores: Tensor, rows: int, group: int) -> None:
    """Refuse a teacher's scores that do not fit a batch.

    Args:
        scores: as they were given.
        rows: of the batch.
        group: positives and negatives of a row.
    """
    if group < 2:
        raise BadInput(
            "soft labels without a column of negatives: the teacher's scores of a positive alone say nothing"
        )
    if scores.shape != (rows, group):
        raise BadInput(
            f"teacher's scores of the shape {tuple(scores.shape)} for {rows} rows with {group} passages each: give a "
            "score for the positive and each negative"
        )
    missing = (~scores.isfinite()).nonzero()
    if len(missing):
        row, column = missing[0].tolist()
        raise BadInput(
            f"row {row} of the batch: the teacher's score of passage {column} is "
            f"{scores[row, column].item()}; give one for each of the {group}"
        )


def entropy_share(targets: Tensor) -> Tensor:
    """The mean entropy of probabilities, 0 where they are hard and 1 where they are all alike."""
    entropy = torch.special.entr(targets).sum(dim=1).mean()
    share: Tensor = entropy / math.log(targets.shape[1])
    return share


def warn_if_extreme(share: float) -> None:
    """Warn once when a teacher's temperature makes its labels hard, or empty."""
    low, high = HEALTHY
    if not low <= share <= high:
        says = "hard labels" if share < low else "next to nothing"
        warnings.warn(
            f"the teacher's probabilities have {share:.0%} of the greatest entropy and say {says}: choose another "
            "temperature, for example by calibrate_temperature",
            stacklevel=2,
        )
