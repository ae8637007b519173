"""Which rows stand in a batch together, where rows are of several tasks.

In-batch negatives are the other rows of a batch. Among rows of one task they are hard; among all tasks, most of them
are told apart by their subject alone. KaLM-Embedding (Hu et al. 2025, arXiv:2501.01028) mixes the two by degrees.

Every order here is an endless iterator of batches, each an array of row numbers, the same for the same seed. `ORDERS`
names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyvec.errors import BadInput
from polyvec.training.equal_budget import same_order

Batches = Iterator[NDArray[np.intp]]


def mixed(tasks: Sequence[str], batch: int, seed: int = 0) -> Batches:
    """Rows of all tasks together, every row once before any comes again.

    Args:
        tasks: of each row.
        batch: rows of a batch.
        seed: of the order.

    Raises:
        BadInput: when there are fewer rows than a batch has.
    """
    _refuse_large(len(tasks), batch)
    return same_order(len(tasks), batch, seed)


def homogeneous(tasks: Sequence[str], batch: int, seed: int = 0) -> Batches:
    """Batches of one task each; what is left over of each task makes mixed batches, as in `semi_homogeneous`."""
    return semi_homogeneous(tasks, batch, seed, ratio=1.0)


def semi_homogeneous(
    tasks: Sequence[str], batch: int, seed: int = 0, *, ratio: float = 0.8
) -> Batches:
    """Batches of one task, the last part of each exchanged with the others'.

    A pass takes every row once, but for the last rows that make no whole batch; other rows are left in every pass.

    Args:
        tasks: of each row.
        batch: rows of a batch.
        seed: of the order.
        ratio: share of a batch that stays with its task; 1 is `homogeneous`, 0 mixes all rows.

    Raises:
        BadInput: when the ratio is outside [0, 1], or there are fewer rows than a batch has.

    Example:
        Of four rows two stay with their task and two are dealt:

        >>> batches = semi_homogeneous(["a"] * 4 + ["b"] * 4, batch=4, ratio=0.5)
        >>> [sorted((batch // 4).tolist()) for batch in (next(batches), next(batches))]
        [[0, 0, 0, 1], [0, 1, 1, 1]]
    """
    _refuse_large(len(tasks), batch)
    if not 0 <= ratio <= 1:
        raise BadInput(f"a ratio of {ratio}: give the share that stays, from 0 to 1")
    return _passes(_by_task(tasks), batch, int(batch * (1 - ratio)), np.random.default_rng(seed))


def size_scaled(tasks: Sequence[str], batch: int, seed: int = 0, *, power: float = 0.5) -> Batches:
    """Batches of one task each, drawn in proportion to a power of the task's rows.

    Large tasks lead and small ones are heard: at 1 every row is as likely as any other, at 0 every task. A task goes
    through all of its rows before any comes again; one with fewer rows than a batch repeats them within it.

    Args:
        tasks: of each row.
        batch: rows of a batch.
        seed: of the order.
        power: the exponent.

    Raises:
        BadInput: when the power is below 0, or there are fewer rows than a batch has.

    Example:
        >>> batches = size_scaled(["a"] * 400 + ["b"] * 4, batch=4)
        >>> sum(bool((next(batches) >= 400).any()) for _ in range(110)) > 1  # √4 beside √400: one in eleven
        True
    """
    _refuse_large(len(tasks), batch)
    if not 0 <= power < float("inf"):
        raise BadInput(f"a power of {power}: give 0 (all tasks alike) to 1 (as their rows)")
    return _drawn(_by_task(tasks), batch, power, seed)


ORDERS: dict[str, Callable[..., Batches]] = {
    "random": mixed,
    "homogeneous": homogeneous,
    "semi-homogeneous": semi_homogeneous,
    "size-scaled": size_scaled,
}
"""Name → order, called with the tasks of rows, the rows of a batch and a seed."""


def _by_task(tasks: Sequence[str]) -> list[NDArray[np.intp]]:
    names = np.asarray(tasks)
    return [np.flatnonzero(names == name) for name in dict.fromkeys(tasks)]


def _passes(
    groups: Sequence[NDArray[np.intp]], batch: int, dealt: int, rng: np.random.Generator
) -> Batches:
    while True:
        whole, rest = [], []
        for rows in groups:
            order = rng.permutation(rows)
            end = len(order) // batch * batch
            whole.append(order[:end])
            rest.append(order[end:])
        left = rng.permutation(np.concatenate(rest))
        left = left[: len(left) // batch * batch]
        batches = np.concatenate([*whole, left]).reshape(-1, batch)
        if dealt:
            batches[:, -dealt:] = rng.permutation(batches[:, -dealt:].ravel()).reshape(-1, dealt)
        yield from rng.permutation(batches)


def _drawn(groups: Sequence[NDArray[np.intp]], batch: int, power: float, seed: int) -> Batches:
    sizes = np.array([len(rows) for rows in groups], dtype=np.float64) ** power
    orders = [same_order(len(rows), batch, seed) for rows in groups]
    rng = np.random.default_rng(seed)
    while True:
        drawn = rng.choice(len(groups), p=sizes / sizes.sum())
        yield groups[drawn][next(orders[drawn])]


def _refuse_large(rows: int, batch: int) -> None:
    if not 1 <= batch <= rows:
        raise BadInput(
            f"batches of {batch} of {rows} rows: give a batch of 1 row or more, and no more than there are"
        )
