"""Merging along great circles: the length of task vectors is kept, where their mean would be short.

Shoemake 1985; on task vectors in turn as in "Improving General Text Embedding Model" (Li, Nie, Zhang, Long, Zhang, Xie
2024, arXiv:2410.15035). The paper prints the two coefficients the other way round, which only swaps the labels of the
weights; here a larger weight means more of that model. Task vectors are not brought to one length first.

Every merged vector is a sum of the given ones, so all of it happens on coefficients, with nothing of the models' size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_PARALLEL = 1e-4
"""Sine of the angle below which the straight line is taken."""
_EDGE = 1e-7


def slerp_coefficients(gram: Tensor, weights: Sequence[float] | Tensor) -> Tensor:
    """How much of each task vector is in their spherical merge; gradients flow to the weights.

    The first two are merged, the result with the third, and so on; what has been merged weighs the mean of its weights.

    Args:
        gram: inner products of the task vectors, shape (models, models), float64.
        weights: above 0, one a model.

    Returns:
        Coefficients, shape (models,), float64.

    Example:
        Two at a right angle keep their length, where their mean would have .71 of it.

        >>> slerp_coefficients(torch.eye(2, dtype=torch.float64), [1.0, 1.0])
        tensor([0.7071, 0.7071], dtype=torch.float64)
    """
    shares = torch.as_tensor(weights, dtype=torch.float64)
    units = torch.eye(len(gram), dtype=torch.float64)
    merged = units[0]
    for number in range(1, len(gram)):
        before = shares[:number].mean()
        towards = shares[number] / (before + shares[number])
        lengths = (merged @ gram @ merged * gram[number, number]).sqrt()
        cosine = (merged @ gram[number] / lengths).clamp(-1 + _EDGE, 1 - _EDGE)
        angle = torch.acos(cosine)
        if float(angle.detach().sin()) < _PARALLEL:
            merged = (1 - towards) * merged + towards * units[number]
            continue
        here = torch.sin((1 - towards) * angle) / angle.sin()
        there = torch.sin(towards * angle) / angle.sin()
        merged = here * merged + there * units[number]
    return merged
