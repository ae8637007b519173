"""Softmax over more columns than fit in memory: row block by row block, with gradients in closed form.

A contrastive loss of 13,334 queries against 80,004 passages has a thousand million scores. Here they exist only for a
block of rows at a time. The gradient of the block's scores is known as soon as their normaliser is, so that the
gradients of rows and columns are summed up in the forward pass, ``d columns += Gᵀ rows`` and ``d rows = G columns``,
and no graph over the scores is ever kept: three matrix products, as plain automatic differentiation has.

What a row loses may depend on its normaliser in any way (`RowLoss`), and scores may be bent before the softmax
(`Bend`): focal weights, curricula, mixed negatives and soft labels all fit in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

NOTHING = -1e30
"""The logarithm of a sum over no column, finite so that no gradient is undefined."""

BLOCK_BYTES = 2**27
"""What one array of a block's scores may take; about four of them are held at a time."""

Block = slice
RowLoss = Callable[[Block, Tensor, tuple[Tensor, ...]], Tensor]
"""Rows of a block, the log of the sum of exponentials of their columns (rows,), and the tensors that were given for
each row → loss of each row (rows,). It is differentiated by what it is given."""
Bend = Callable[[Block, Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""Rows of a block, their scores and which are masked (rows, columns) → logits, and their derivatives by the score times
the temperature; None where these are 1. The scores may be overwritten."""


@dataclass(frozen=True, slots=True)
class Side:
    """Rows that stand against columns, by inner product.

    Args:
        rows: shape (rows, d).
        columns: shape (columns, d).
        masked: told a block of rows and its scores (rows, columns), which of them are left out.
        offset: subtracted from each column's logit, shape (columns,).
    """

    rows: Tensor
    columns: Tensor
    masked: Callable[[Block, Tensor], Tensor]
    offset: Tensor | None = None


def blockwise_softmax(
    sides: Sequence[Side],
    row_loss: RowLoss,
    each_row: Sequence[Tensor] = (),
    *,
    temperature: float,
    bend: Bend | None = None,
    block_rows: int | None = None,
) -> Tensor:
    """The sum over rows of a loss of their log-sum-exp over the columns of all sides.

    Args:
        sides: with equally many rows; the columns of all belong to one softmax.
        row_loss: what a row loses.
        each_row: tensors with a row for each row, that ``row_loss`` is given; they too get gradients.
        temperature: scores are divided by it, unless ``bend`` makes logits of them.
        bend: makes logits of scores.
        block_rows: rows of which scores are held at a time; by default what `BLOCK_BYTES` allow.

    Returns:
        A scalar whose gradient by rows, columns and ``each_row`` is already computed. It can be differentiated once.

    Example:
        The cross-entropy of two rows, whose own columns are the diagonal and are therefore left out of the sum:

        >>> rows, columns = torch.eye(2), torch.tensor([[2.0, 1.0], [0.0, 3.0]])
        >>> diagonal = lambda block, scores: torch.eye(2, dtype=torch.bool)[block]
        >>> def loss(block, rest, own):
        ...     return torch.nn.functional.softplus(rest - own[0])
        >>> own = (rows * columns).sum(1)  # 2 and 3; the others are 0 and 1
        >>> blockwise_softmax([Side(rows, columns, diagonal)], loss, [own], temperature=1.0)
        tensor(0.2539)
    """
    tensors = [tensor for side in sides for tensor in (side.rows, side.columns)] + list(each_row)
    plan = _Plan(
        sides=sides,
        row_loss=row_loss,
        temperature=temperature,
        bend=bend or (lambda block, scores, masked: (scores.div_(temperature), None)),
        block_rows=block_rows or _rows_in_memory(sides),
        learns=torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors),
    )
    total: Tensor = _BlockwiseSoftmax.apply(plan, *tensors)  # type: ignore[no-untyped-call]
    return total


@dataclass(frozen=True, slots=True)
class _Plan:
    sides: Sequence[Side]
    row_loss: RowLoss
    temperature: float
    bend: Bend
    block_rows: int
    learns: bool


def _rows_in_memory(sides: Sequence[Side]) -> int:
    widest = sum(len(side.columns) for side in sides)
    return max(1, BLOCK_BYTES // (widest * sides[0].rows.element_size()))


class _BlockwiseSoftmax(Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, *tensors: Tensor) -> Tensor:
        """Sum the loss, and its gradients, over blocks."""
        gradients = [
            torch.zeros_like(tensor) if plan.learns and wanted else None
            for tensor, wanted in zip(tensors, ctx.needs_input_grad[1:], strict=True)
        ]
        rows = len(tensors[0])
        total = tensors[0].new_zeros(())
        for start in range(0, rows, plan.block_rows):
            block = slice(start, min(start + plan.block_rows, rows))
            total += _block(plan, block, tensors, gradients)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Scale what the forward pass found."""
        return None, *(None if saved is None else saved * upstream for saved in ctx.saved_tensors)


def _block(
    plan: _Plan, block: Block, tensors: tuple[Tensor, ...], gradients: list[Tensor | None]
) -> Tensor:
    """The loss of a block of rows; its gradients are added to those of the blocks before."""
    logits, slopes = zip(*(_logits(plan, side, block) for side in plan.sides), strict=True)
    highest = torch.stack([part.amax(1) for part in logits]).amax(0).clamp_min(NOTHING)
    shares = [part.sub_(highest[:, None]).exp_() for part in logits]
    summed = torch.stack([part.sum(1) for part in shares]).sum(0)
    rest = (highest + summed.log()).clamp_min(NOTHING)
    each_row = tuple(tensor[block] for tensor in tensors[2 * len(plan.sides) :])
    if not plan.learns:
        return plan.row_loss(block, rest, each_row).sum()
    loss, by_rest, by_each = _differentiated(plan.row_loss, block, rest, each_row)
    # Where nothing is left of a row its shares are 0, and so is their sum.
    factor = by_rest / summed.clamp_min(torch.finfo(summed.dtype).tiny) / plan.temperature
    for number, (part, slope, side) in enumerate(zip(shares, slopes, plan.sides, strict=True)):
        part *= factor[:, None]
        if slope is not None:
            part *= slope
        by_rows, by_columns = gradients[2 * number : 2 * number + 2]
        if by_rows is not None:
            torch.mm(part, side.columns, out=by_rows[block])
        if by_columns is not None:
            by_columns.addmm_(part.T, side.rows[block])
    for whole, gradient in zip(gradients[2 * len(plan.sides) :], by_each, strict=True):
        if whole is not None:
            whole[block] = gradient
    return loss


def _logits(plan: _Plan, side: Side, block: Block) -> tuple[Tensor, Tensor | None]:
    scores = side.rows[block] @ side.columns.T
    masked = side.masked(block, scores)
    logits, slopes = plan.bend(block, scores, masked)
    if side.offset is not None:
        logits -= side.offset
    return logits.masked_fill_(masked, float("-inf")), slopes


def _differentiated(
    row_loss: RowLoss, block: Block, rest: Tensor, each_row: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The summed loss of a block, and its gradients by each row's log-sum-exp and other tensors."""
    with torch.enable_grad():
        leaf, *others = (tensor.detach().requires_grad_() for tensor in (rest, *each_row))
        loss = row_loss(block, leaf, tuple(others)).sum()
        by_rest, *by_each = torch.autograd.grad(
            loss, [leaf, *others], allow_unused=True, materialize_grads=True
        )
    return loss.detach(), by_rest, tuple(by_each)
