"""The largest logit of each word over a text's tokens, without the logits of all tokens in memory at once.

Of all logits, one for each text, token and word, only the largest over the tokens are wanted, and only these have a
gradient. So the forward pass goes through the texts a few at a time and keeps values and places, and the backward pass
is two products with a sparse matrix: a fraction 1 / length of the work that automatic differentiation would do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LEAST = -1000.0
"""Logit of a word in a text without tokens; what the authors of DupMAE subtract from padding."""
_LOGITS = 2**25
"""Logits that are held at once."""


def max_over_tokens(
    vectors: Tensor, weight: Tensor, bias: Tensor | None, counted: Tensor
) -> Tensor:
    """For each text and word the largest of ``vectors @ weight.T + bias`` over its counted tokens.

    Args:
        vectors: of tokens, shape (rows, length, d).
        weight: of words, shape (vocabulary, d).
        bias: of words, shape (vocabulary,), or None.
        counted: tokens that count, shape (rows, length).

    Returns:
        Shape (rows, vocabulary); gradients reach vectors, weight and bias.

    Example:
        >>> vectors = torch.tensor([[[1.0], [3.0], [9.0]]])
        >>> counted = torch.tensor([[True, True, False]])
        >>> max_over_tokens(vectors, torch.tensor([[1.0], [-1.0]]), None, counted)
        tensor([[ 3., -1.]])
    """
    strongest: Tensor = _MaxOverTokens.apply(  # type: ignore[no-untyped-call]
        vectors.float(), weight, counted
    )
    return strongest if bias is None else strongest + bias


class _MaxOverTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, counted: Tensor) -> Tensor:
        rows, length, _ = vectors.shape
        at_once = max(1, _LOGITS // (length * len(weight)))
        values, places = [], []
        for start in range(0, rows, at_once):
            part = slice(start, start + at_once)
            logits = vectors[part] @ weight.T
            logits.masked_fill_(~counted[part, :, None], LEAST)
            value, place = logits.max(dim=1)
            values.append(value)
            places.append(place)
        places_ = torch.cat(places)
        ctx.save_for_backward(vectors, weight, counted, places_)
        return torch.cat(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        vectors, weight, counted, places = ctx.saved_tensors
        rows, length, width = vectors.shape
        words = torch.arange(len(weight), device=weight.device).expand(rows, -1)
        tokens = places + length * torch.arange(rows, device=places.device)[:, None]
        # A text without counted tokens has the least logit, which no weight can change.
        gradient = gradients[0] * counted.any(dim=1, keepdim=True)
        index = torch.stack([tokens.flatten(), words.flatten()])
        chosen = torch.sparse_coo_tensor(
            index, gradient.flatten().float(), (rows * length, len(weight)), check_invariants=False
        )
        to_vectors = torch.sparse.mm(chosen, weight.float()).view(rows, length, width)
        to_weight = torch.sparse.mm(chosen.t(), vectors.reshape(-1, width))
        return to_vectors, to_weight.to(weight.dtype), None
