"""The loss of an objective on a batch of raw rows, outside of a trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from polyvec.encoders.precision import has_bfloat16


def batch_loss(
    objective: nn.Module,
    columns: Sequence[Sequence[Any]],
    labels: Sequence[float] | Sequence[Sequence[float]] | None = None,
) -> Tensor:
    """Preprocess a batch and apply an objective to it, as sentence-transformers' trainer does.

    Args:
        objective: built with its model, which it holds as ``model``.
        columns: for each column the raw things of the batch.
        labels: one a row, or a teacher's scores of each row, or None.

    Returns:
        A scalar with its gradient; where the objective returns several named ones, their sum.
    """
    model: SentenceTransformer = objective.model  # type: ignore[assignment]
    device = model.device
    features = [_to(device, model.preprocess(list(column))) for column in columns]
    wanted = None if labels is None else torch.tensor(labels, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
        found = objective(features, wanted)
    return torch.stack(list(found.values())).sum() if isinstance(found, dict) else found


def _to(device: torch.device, features: dict[str, Any]) -> dict[str, Any]:
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in features.items()}
