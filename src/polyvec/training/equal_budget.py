"""Arms of an experiment get the same: equal steps or equal seconds, and the data in the same order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from polyvec.errors import BadInput
from polyvec.training.batch_loss import batch_loss

WARM_UP = 0.1
"""Share of a budget in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class EqualBudget:
    """How long each arm trains: a number of steps, or of seconds, never both.

    Args:
        steps: optimiser steps.
        seconds: wall time.

    Raises:
        BadInput: when neither or both are given, or one is not above 0.

    Example:
        >>> [round(share, 2) for share in EqualBudget(steps=4)]
        [0.0, 0.25, 0.5, 0.75]
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Check the sizes."""
        given = [size for size in (self.steps, self.seconds) if size is not None]
        if len(given) != 1 or given[0] <= 0:
            raise BadInput(
                f"a budget of {self.steps} steps and {self.seconds} seconds: give one of them, above 0"
            )

    def __iter__(self) -> Iterator[float]:
        """Yield, for each step to take, the share of the budget that is spent; schedules follow it."""
        start = time.monotonic()
        taken = 0
        while (share := self._spent(taken, time.monotonic() - start)) < 1:
            yield share
            taken += 1

    def _spent(self, steps: int, seconds: float) -> float:
        return steps / self.steps if self.steps else seconds / (self.seconds or 1.0)


def same_order(rows: int, batch: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Batches of row numbers without end, the same for every arm that has the same seed.

    Each pass goes over all rows in a new order; a batch at the end of a pass is filled from the next, so that every
    batch is whole.

    Args:
        rows: how many there are.
        batch: rows a batch.
        seed: of the order.

    Example:
        >>> from itertools import islice
        >>> [len(numbers) for numbers in islice(same_order(5, 2, seed=0), 3)]
        [2, 2, 2]
    """
    if rows < 1 or batch < 1:
        raise BadInput(f"batches of {batch} of {rows} rows: both have to be 1 or more")
    rng = np.random.default_rng(seed)
    held = np.empty(0, np.intp)
    while True:
        while len(held) < batch:
            held = np.concatenate([held, rng.permutation(rows)])
        yield held[:batch]
        held = held[batch:]


def train_equally(
    objective: nn.Module,
    columns: Sequence[Sequence[Any]],
    budget: EqualBudget,
    *,
    batch: int,
    learning_rate: float,
    seed: int,
    labels: Sequence[float] | Sequence[Sequence[float]] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[float]:
    """Train an objective as every other arm is trained: AdamW, a tenth of the budget to warm up, then down to zero.

    Args:
        objective: has a ``model`` that preprocesses them; its weights and the model's are changed.
        columns: the raw things of each column, of equal length; a row is a training example.
        budget: steps or seconds.
        batch: rows in a step; the same seed gives every arm the same rows in the same order.
        learning_rate: the highest.
        seed: of the order, and of dropout.
        labels: passed to the objective, one a row, or a teacher's scores of each row.
        say: reports now and then how far it is.

    Returns:
        The loss of each step. Where the objective returns several, their sum.
    """
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=learning_rate, weight_decay=0.01)
    objective.train()
    losses: list[float] = []
    for share, rows in zip(budget, same_order(len(columns[0]), batch, seed), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min((share + 1e-3) / WARM_UP, (1 - share) / (1 - WARM_UP))
        wanted = None if labels is None else [labels[row] for row in rows]
        loss = batch_loss(objective, [[column[row] for row in rows] for column in columns], wanted)
        loss.backward()
        nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        if say is not None and len(losses) % 50 == 0:
            say(f"step {len(losses)}, loss {np.mean(losses[-50:]):.3f}")
    objective.eval()
    return losses
