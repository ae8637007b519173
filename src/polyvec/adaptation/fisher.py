"""Fisher merging: where a weight matters to one model more than to the others, its word counts more.

Matena, Raffel 2022 (arXiv:2111.09832), with the mean of squared gradients of each model's own loss as importance. As in
MergeLM, each model's importances are divided by their Euclidean length, so that a model with large gradients does not
take all, and a little is added to each.

A batch's squared gradient is not the mean of its examples' squared gradients; a contrastive loss, however, has no
gradient for one example. Importances are therefore means over small batches: an approximation, as in every merge of
embedding models by this method.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from polyvec.adaptation.task_vectors import Delta, TaskVectors
from polyvec.errors import BadInput
from polyvec.training.batch_loss import batch_loss
from polyvec.training.equal_budget import same_order

_LITTLE = 1e-6


def importances(
    model: SentenceTransformer,
    columns: Sequence[Sequence[str]],
    objective: Callable[[SentenceTransformer], nn.Module],
    *,
    batch: int = 8,
    batches: int = 64,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Mean squared gradient of each weight over batches of a model's own data.

    Args:
        model: where gradients are taken; it is not changed.
        columns: anchors, positives, and negatives if there are any.
        objective: makes its loss.
        batch: rows of one gradient.
        batches: how many gradients.
        seed: of the choice of rows.
    """
    held = copy.deepcopy(model).eval()
    loss = objective(held).eval()
    named = dict(held.named_parameters())
    found = {name: torch.zeros_like(weight) for name, weight in named.items()}
    for _, rows in zip(range(batches), same_order(len(columns[0]), batch, seed), strict=False):
        value = batch_loss(loss, [[column[row] for row in rows] for column in columns])
        gradients = torch.autograd.grad(value, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                found[name] += gradient.square() / batches
    return {name: value.float().cpu() for name, value in found.items()}


def fisher(
    vectors: TaskVectors,
    importance: Sequence[dict[str, Tensor]],
    weights: Sequence[float] | None = None,
) -> Delta:
    """Mean of task vectors, each entry weighted by how much it matters to its model.

    Args:
        vectors: of the models.
        importance: of each model's weights, from `importances`.
        weights: of the models; equal by default.

    Raises:
        BadInput: when there are not as many importances, or weights, as models.
    """
    shares = [1.0] * len(vectors.deltas) if weights is None else list(weights)
    if not len(shares) == len(importance) == len(vectors.deltas):
        raise BadInput(
            f"{len(vectors.deltas)} models, {len(importance)} importances and {len(shares)} weights: give one of each "
            "for every model"
        )
    lengths = [
        sum(float(part.double().square().sum()) for part in found.values()) ** 0.5
        for found in importance
    ]
    merged = {}
    for name in vectors.deltas[0]:
        matter = torch.stack(
            [
                share * (found[name] + _LITTLE) / max(length, _LITTLE)
                for share, found, length in zip(shares, importance, lengths, strict=True)
            ]
        )
        changes = torch.stack([delta[name] for delta in vectors.deltas])
        merged[name] = (matter * changes).sum(dim=0) / matter.sum(dim=0)
    return merged
