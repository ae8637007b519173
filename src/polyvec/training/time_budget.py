"""How many training steps fit in the time somebody gives: measured on this machine, with this data."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass

import torch
from datasets import Dataset
from torch import nn

from polyvec.training.batch_loss import batch_loss

SAFETY = 0.92
"""Share of the budget that is planned; the rest pays for checkpoints and for a machine that slows down."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be trained: optimiser steps, pairs a step, and the seconds a step was measured to take."""

    steps: int
    batch: int
    seconds_per_step: float


def plan_steps(minutes: float, seconds_per_step: float, batch: int, most: int) -> Plan:
    """The steps that fit.

    Args:
        minutes: the budget.
        seconds_per_step: as measured.
        batch: pairs a step.
        most: steps that the data allows.

    Example:
        >>> plan_steps(minutes=10, seconds_per_step=4.0, batch=64, most=1000).steps
        138
    """
    fitting = math.floor(minutes * 60 * SAFETY / seconds_per_step)
    return Plan(max(1, min(fitting, most)), batch, seconds_per_step)


def measure_step(objective: nn.Module, rows: Dataset, batch: int) -> float:
    """Seconds that one training step takes on average over the batches in ``rows``: forward, backward and update.

    The weights are left as they are: the update's learning rate is 0; and so are running averages. The first step, in
    which memory is first touched, is not counted.
    """
    device = next(objective.parameters()).device
    columns = [name for name in rows.column_names if name != "label"]
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.0)
    held = [(buffer, buffer.clone()) for buffer in objective.buffers()]
    seconds = []
    for number in [0, *range(len(rows) // batch)]:
        part = rows[number * batch : (number + 1) * batch]
        start = time.perf_counter()
        batch_loss(objective, [part[column] for column in columns], part.get("label")).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    for buffer, before in held:
        buffer.copy_(before)
    return statistics.fmean(seconds[1:])
