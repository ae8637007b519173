"""Embedding a column of a large batch chunk by chunk, with the gradient of the whole batch.

Chunks hold rows of like length under a token budget. Their activations may be recomputed on the way back: this is
GradCache (Gao et al. 2021, arXiv:2101.06983), with dropout replayed. PyTorch's own checkpointing would do the same for
each chunk, but what it keeps of each stands in memory between the large blocks and leaves holes there: a step of 16,384
short pairs would hold half as much again. Layers that draw from a generator of their own cannot be replayed; they are
found and refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from polyvec.encoders.token_batches import default_batch_tokens
from polyvec.errors import BadInput

Features = dict[str, Any]

REPLAYED = 1e-2
"""Largest difference of a replayed output, as a share of its largest number; rounding stays below it, dropout not."""


def embed_in_chunks(
    model: SentenceTransformer,
    features: Features,
    chunk_tokens: int | None = None,
    recompute: bool = False,
) -> Tensor:
    """Vectors of a column, shape (rows, d), in float32 or more, shortest rows first.

    Args:
        model: embeds them.
        features: as the model preprocessed them; without an attention mask they are one chunk.
        chunk_tokens: most padded tokens of a chunk; a longer row is a chunk of its own. By default what suits the
            device.
        recompute: keep no activations, and compute them again on the way back. Gradients are then found by
            ``backward()``, not by ``torch.autograd.grad``.
    """
    chunks = _chunks_of(features, chunk_tokens)

    def embed(part: Features) -> Tensor:
        vectors: Tensor = model(dict(part))["sentence_embedding"]
        return vectors.to(torch.promote_types(vectors.dtype, torch.float32))

    if recompute and torch.is_grad_enabled():
        # Something has to ask for gradients; the weights, which get them, are not given.
        asking = torch.zeros((), device=next(model.parameters()).device, requires_grad=True)
        recomputed: Tensor = _Recomputed.apply(asking, embed, features, chunks)  # type: ignore[no-untyped-call]
        return recomputed
    if chunks is None:
        return embed(features)
    vectors = torch.cat([embed(rows_of(features, chunk)) for chunk in chunks])
    return vectors[torch.argsort(torch.cat(chunks))]


def default_chunk_tokens(device: torch.device) -> int:
    """Most padded tokens of a chunk where nobody says.

    Half of what encoding takes at a time: a step is no slower for it, and holds half the activations
    (``benchmarks/contrastive_step.py``).

    Example:
        >>> default_chunk_tokens(torch.device("cpu"))
        1024
    """
    return default_batch_tokens(device) // 2


def rows_of(features: Features, rows: Tensor) -> Features:
    """The given rows of every tensor, without the columns in which all of them are padding."""
    padded = features["attention_mask"].shape
    used = features["attention_mask"][rows].any(dim=0)
    used[0] |= ~used.any()
    return {
        name: value[rows][:, used]
        if isinstance(value, Tensor) and value.shape[:2] == padded
        else value[rows]
        if isinstance(value, Tensor)
        else value
        for name, value in features.items()
    }


def refuse_unrepeatable(
    model: SentenceTransformer, features: Features, chunk_tokens: int | None = None
) -> None:
    """Refuse a model whose forward pass cannot be repeated from the state of PyTorch's random numbers.

    Args:
        model: in training mode.
        features: of a column; its longest chunk is embedded twice.
        chunk_tokens: as in `embed_in_chunks`.

    Raises:
        BadInput: names the first layer that came out differently.
    """
    chunks = _chunks_of(features, chunk_tokens)
    part = features if chunks is None else rows_of(features, chunks[-1])
    outputs: list[tuple[str, Tensor]] = []
    with _watching(model, outputs), torch.no_grad():
        for _ in range(2):
            devices = [model.device] if model.device.type == "cuda" else []
            with torch.random.fork_rng(devices):
                model(dict(part))
    first, second = outputs[: len(outputs) // 2], outputs[len(outputs) // 2 :]
    for (name, once), (_, again) in zip(first, second, strict=True):
        if once.shape != again.shape or not _alike(once, again):
            raise BadInput(
                f"layer {name} gives something else when it is computed again, because it does not draw from PyTorch's "
                "random numbers: recompute=True would learn from wrong gradients; give recompute=False, or set the "
                "layer to eval()"
            )


def _chunks_of(features: Features, chunk_tokens: int | None) -> list[Tensor] | None:
    mask = features.get("attention_mask")
    if mask is None:
        return None
    lengths = mask.sum(dim=1)
    budget = chunk_tokens or default_chunk_tokens(lengths.device)
    return _cut(torch.argsort(lengths, stable=True), lengths, budget)


def _cut(order: Tensor, lengths: Tensor, budget: int) -> list[Tensor]:
    """Cut rows, sorted by length, so that rows times longest row of each chunk stays within the budget."""
    chunks = []
    start = 0
    longest = lengths[order].tolist()
    for end in range(1, len(longest) + 1):
        if end == len(longest) or (end + 1 - start) * longest[end] > budget:
            chunks.append(order[start:end])
            start = end
    return chunks


class _Recomputed(Function):
    """Vectors of which no graph is kept; on the way back each chunk adds to the gradients of the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        asking: Tensor,
        embed: Callable[[Features], Tensor],
        features: Features,
        chunks: Sequence[Tensor] | None,
    ) -> Tensor:
        ctx.embed, ctx.features, ctx.chunks = embed, features, chunks
        ctx.as_before = _replay(asking.device)
        if chunks is None:
            return embed(features)
        vectors: Tensor | None = None
        for chunk in chunks:
            found = embed(rows_of(features, chunk))
            if vectors is None:
                vectors = found.new_empty((sum(map(len, chunks)), *found.shape[1:]))
            vectors[chunk] = found
        assert vectors is not None
        return vectors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, ...]:
        features, chunks = ctx.features, ctx.chunks
        with ctx.as_before():
            for chunk in [None] if chunks is None else chunks:
                with torch.enable_grad():
                    vectors = ctx.embed(features if chunk is None else rows_of(features, chunk))
                if vectors.requires_grad:
                    vectors.backward(upstream if chunk is None else upstream[chunk])
        return None, None, None, None


def _replay(device: torch.device) -> Callable[[], AbstractContextManager[None]]:
    """A context in which random numbers and precision are what they are now."""
    accelerators = [device] if device.type == "cuda" else []
    drawn = torch.get_rng_state()
    drawn_there = [torch.cuda.get_rng_state(one) for one in accelerators]
    enabled = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type)

    @contextmanager
    def as_before() -> Iterator[None]:
        with (
            torch.random.fork_rng(accelerators),
            torch.autocast(device.type, dtype=dtype, enabled=enabled),
        ):
            torch.set_rng_state(drawn)
            for one, state in zip(accelerators, drawn_there, strict=True):
                torch.cuda.set_rng_state(state, one)
            yield

    return as_before


@contextmanager
def _watching(model: nn.Module, outputs: list[tuple[str, Tensor]]) -> Iterator[None]:
    """Note the outputs of all layers without parts, by name, in the order in which they are computed."""
    leaves = [(name, layer) for name, layer in model.named_modules() if not list(layer.children())]
    hooks = [
        layer.register_forward_hook(
            lambda _layer, _given, found, name=name: outputs.extend(
                (name, part) for part in _tensors(found)
            )
        )
        for name, layer in leaves
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensors(found: object) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    if isinstance(found, dict):
        found = tuple(found.values())
    parts = found if isinstance(found, tuple) else ()
    return [part for part in parts if isinstance(part, Tensor) and part.is_floating_point()]


def _alike(once: Tensor, again: Tensor) -> bool:
    largest = float(once[once.isfinite()].abs().max()) if once.isfinite().any() else 0.0
    return torch.allclose(once, again, rtol=0, atol=REPLAYED * largest, equal_nan=True)
