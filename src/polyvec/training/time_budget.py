"""How many training steps fit in the time somebody gives: measured on this machine, with this data."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset

from polyvec.encoders.precision import has_bfloat16
from polyvec.objectives.in_batch_softmax import InBatchSoftmax

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


def measure_step(objective: InBatchSoftmax, rows: Dataset, batch: int) -> float:
    """Seconds that one training step takes on average over the batches in ``rows``: forward, backward and update.

    The weights are left as they are: the update's learning rate is 0. The first step, in which memory is first touched,
    is not counted.
    """
    model = objective.model
    device = model.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    seconds = []
    for number in [0, *range(len(rows) // batch)]:
        part = rows[number * batch : (number + 1) * batch]
        start = time.perf_counter()
        features = [
            _to(device, model.preprocess(part[column])) for column in ("anchor", "positive")
        ]
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
            loss = objective(features, torch.tensor(part["label"], device=device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return statistics.fmean(seconds[1:])


def _to(device: torch.device, features: dict[str, Any]) -> dict[str, Any]:
    return {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in features.items()}
