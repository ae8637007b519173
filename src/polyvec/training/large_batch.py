"""How much memory a contrastive batch takes, and how to cut it so that it fits.

A batch of `polyvec.objectives.contrastive.Contrastive` has three sizes that people confuse: the rows that stand
against one another in a step, the tokens that go through the model at a time, and the rows whose scores are held at a
time. Only the first changes what is learned. This file chooses the other two.

Where not all activations fit, chunks are computed twice, which is GradCache (Gao et al. 2021, arXiv:2101.06983).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from sentence_transformers import SentenceTransformer

from polyvec.errors import BadInput
from polyvec.objectives.blockwise_softmax import BLOCK_BYTES
from polyvec.objectives.chunked_embedding import default_chunk_tokens
from polyvec.training.memory import activation_bytes, free_bytes

SHARE = 0.8
"""Of the free memory that a plan may take where nobody says how much there is."""
FEWEST_BLOCK_ROWS = 64
"""With fewer rows at a time, adding to the gradients of all columns takes longer than the scores themselves."""
_BYTES_PER_WEIGHT = 12
"""A gradient and AdamW's two averages in float32; the weight itself is there before."""
_BYTES_PER_TOKEN = 24
"""Its number, its type and whether it is one, 8 bytes each."""
_VECTOR_COPIES = 6
"""As embedded, in order, of length 1, side by side, their gradients, and these on the way back (measured: 4 to 6)."""
_SCORE_ARRAYS = 4
"""Arrays of the size of a block's scores (measured: 1 to 4, by the terms of the objective)."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How a batch is cut.

    Attributes:
        rows: of the batch.
        passages: that each row stands against.
        chunk_tokens: padded tokens that go through the model at a time.
        recompute: whether activations are computed again on the way back.
        block_rows: rows whose scores are held at a time.
        needs: bytes for ``weights`` (gradients and averages), ``tokens``, ``vectors``, ``scores`` and
            ``activations``, beside the model itself.
    """

    rows: int
    passages: int
    chunk_tokens: int
    recompute: bool
    block_rows: int
    needs: dict[str, int]

    @property
    def bytes(self) -> int:
        """What is needed in all."""
        return sum(self.needs.values())

    @property
    def options(self) -> dict[str, int | bool]:
        """The plan, as `Contrastive` takes it."""
        return {
            "block_rows": self.block_rows,
            "chunk_tokens": self.chunk_tokens,
            "recompute": self.recompute,
        }

    def __str__(self) -> str:
        again = ", computed twice" if self.recompute else ""
        parts = ", ".join(f"{name} {_size(count)}" for name, count in self.needs.items())
        return (
            f"{self.rows:,} rows against {self.passages:,} passages: {_size(self.bytes)} ({parts}); "
            f"{self.chunk_tokens:,} tokens at a time{again}, scores of {self.block_rows:,} rows at a time"
        )


def plan_batch(
    model: SentenceTransformer,
    length: int,
    batch: int,
    columns: int = 2,
    memory: int | None = None,
) -> BatchPlan:
    """Choose how a batch is cut: the fastest way that fits.

    Activations are kept where they fit and otherwise computed twice; then fewer scores are held, then fewer tokens go
    through the model at a time. What is learned is the same.

    Args:
        model: what will be trained, where it will be trained. What activations a model takes of which the
            configuration says nothing is not known, and left out.
        length: tokens of a text, at most.
        batch: rows of a step, of one process.
        columns: texts of a row: anchor, positive and negatives.
        memory: bytes that may be taken; by default `SHARE` of what is free.

    Raises:
        BadInput: when a size is not 1 or more, or even the smallest parts do not fit.

    Example:
        >>> print(plan_batch(model, length=64, batch=16_384))  # doctest: +SKIP
        16,384 rows against 16,384 passages: 1.46 GB (weights 273 MB, tokens 50.3 MB, vectors 302 MB, …
    """
    if min(length, batch, columns - 1) < 1:
        raise BadInput(
            f"a batch of {batch} rows of {columns} texts of {length} tokens: give 1 row and 1 token or more, "
            "and an anchor and a positive at least"
        )
    allowed = int(SHARE * free_bytes(model.device)) if memory is None else memory
    plans = list(_plans(model, length, batch, columns))
    fitting = next((plan for plan in plans if plan.bytes <= allowed), None)
    if fitting is None:
        raise BadInput(
            f"a batch that does not fit into {_size(allowed)}: {plans[-1]}; give fewer rows, shorter texts or more "
            "memory"
        )
    return fitting


def _plans(
    model: SentenceTransformer, length: int, batch: int, columns: int
) -> Iterator[BatchPlan]:
    """Ways to cut a batch, the fastest first."""
    passages = batch * (columns - 1)
    chunk = max(length, default_chunk_tokens(model.device))
    block = min(batch, max(1, BLOCK_BYTES // (4 * passages)))
    few = min(block, FEWEST_BLOCK_ROWS)
    for recompute, tokens, rows in (
        (False, chunk, block),
        (True, chunk, block),
        (True, chunk, few),
        (True, length, few),
        (True, length, 1),
    ):
        kept = min(tokens, batch * columns * length) if recompute else batch * columns * length
        yield BatchPlan(
            rows=batch,
            passages=passages,
            chunk_tokens=tokens,
            recompute=recompute,
            block_rows=rows,
            needs={
                "weights": _BYTES_PER_WEIGHT * _learning(model),
                "tokens": _BYTES_PER_TOKEN * batch * columns * length,
                "vectors": 4 * _VECTOR_COPIES * batch * columns * _width(model),
                "scores": 4 * _SCORE_ARRAYS * rows * passages,
                "activations": activation_bytes(model, kept),
            },
        )


def _learning(model: torch.nn.Module) -> int:
    """Weights that are trained."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def _width(model: SentenceTransformer) -> int:
    return model.get_embedding_dimension() or 0


def _size(count: int) -> str:
    """Bytes in words.

    Example:
        >>> _size(1_500_000_000), _size(20_300_000)
        ('1.5 GB', '20.3 MB')
    """
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
