"""Interpolation between a model and its fine-tuned child: most of the gain, most of what was known before.

WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903) and LM-Cocktail (Xiao et al. 2023, arXiv 2311.13534).
"""

from __future__ import annotations

import copy

import torch
from sentence_transformers import SentenceTransformer

from polyvec.errors import BadInput


def interpolate(
    base: SentenceTransformer, tuned: SentenceTransformer, weight: float
) -> SentenceTransformer:
    """A new model whose weights are ``(1 - weight) · base + weight · tuned``.

    Args:
        base: the model before fine-tuning.
        tuned: the same architecture after it.
        weight: 0 gives the base, 1 the tuned model, each exactly.

    Raises:
        BadInput: when the two do not have the same weights by name and shape.

    Example:
        >>> from torch import nn
        >>> base, tuned = (SentenceTransformer(modules=[nn.Linear(2, 2)]) for _ in range(2))
        >>> torch.equal(interpolate(base, tuned, 1.0)[0].weight, tuned[0].weight)
        True
    """
    first, second = base.state_dict(), tuned.state_dict()
    different = [
        name for name in first.keys() | second.keys() if _shape(first, name) != _shape(second, name)
    ]
    if different:
        raise BadInput(
            f"models of different shape cannot be interpolated: {sorted(different)[0]} differs"
        )
    merged = copy.deepcopy(base)
    with torch.no_grad():
        merged.load_state_dict(
            {
                name: _between(value, second[name].to(value.device), weight)
                for name, value in first.items()
            }
        )
    return merged


def _between(first: torch.Tensor, second: torch.Tensor, weight: float) -> torch.Tensor:
    if weight == 0 or not first.is_floating_point():
        return first
    return second if weight == 1 else torch.lerp(first, second.to(first.dtype), weight)


def _shape(state: dict[str, torch.Tensor], name: str) -> torch.Size | None:
    return state[name].shape if name in state else None
