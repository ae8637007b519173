"""TIES: keep the largest changes of each model, let the majority decide each sign, and average those that agree.

Yadav, Tam, Choshen, Raffel, Bansal 2023 (arXiv:2306.01708), in the form of MergeLM (yule-BUAA): changes are trimmed
over a model's whole task vector, where mergekit trims each weight matrix by itself; ``granularity`` chooses. The
elected sign is that of the sum, and where that is 0, the one that most weights have.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from polyvec.adaptation.task_vectors import Delta, TaskVectors
from polyvec.errors import BadInput

Granularity = Literal["global", "tensor"]


def ties(
    vectors: TaskVectors,
    *,
    density: float = 0.2,
    scale: float = 1.0,
    granularity: Granularity = "global",
) -> Delta:
    """Merge task vectors by trimming, election of signs, and the mean of what agrees.

    Args:
        vectors: of the models.
        density: share of each model's changes that are kept, the largest; the paper's .2.
        scale: factor of the result; 1 in the paper, which finds .8 to 1.6 worth trying.
        granularity: trim over the whole task vector (``global``), or in each weight by itself (``tensor``).

    Raises:
        BadInput: when the density is not above 0 and at most 1.
    """
    if not 0 < density <= 1:
        raise BadInput(f"density {density}: give a share above 0 and at most 1, say .2")
    cuts = [_cut(delta, density) if granularity == "global" else None for delta in vectors.deltas]
    trimmed: dict[str, Tensor] = {}
    majority = 0.0
    for name in vectors.deltas[0]:
        rows = torch.stack([delta[name] for delta in vectors.deltas])
        own = [
            _cut({name: row}, density) if cut is None else cut
            for row, cut in zip(rows, cuts, strict=True)
        ]
        limits = torch.tensor(own).view(-1, *[1] * (rows.ndim - 1))
        trimmed[name] = rows.where(rows.abs() >= limits, 0.0)
        majority += float(trimmed[name].sum(dim=0).sign().sum())
    return {name: scale * _agreed(rows, majority) for name, rows in trimmed.items()}


def _cut(delta: Delta, density: float) -> float:
    """The smallest magnitude that is kept."""
    sizes = torch.cat([part.flatten().abs() for part in delta.values()])
    kept = max(1, round(density * len(sizes)))
    return float(sizes.kthvalue(len(sizes) - kept + 1).values)


def _agreed(rows: Tensor, majority: float) -> Tensor:
    """Mean of the entries that have the elected sign, shape of one model's weight."""
    elected = rows.sum(dim=0).sign()
    elected = elected.where(elected != 0, 1.0 if majority >= 0 else -1.0)
    agree = rows.sign() == elected
    return (rows * agree).sum(dim=0) / agree.sum(dim=0).clamp(min=1)
