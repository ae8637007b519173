"""Processes that train one model together, under ``torchrun`` or ``accelerate launch``, each on a part of a batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed, nn


def rank() -> int:
    """Number of this process among those that train together; 0 when it is alone."""
    return distributed.get_rank() if _together() else 0


def ranks() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _together() else 1


def join_ranks(device: str) -> None:
    """Meet the other processes, where a launcher started several.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` …, as a person gave it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from accelerate import PartialState

        PartialState(cpu=device == "cpu" or not torch.cuda.is_available())


def agreed(value: float) -> float:
    """The value of rank 0, on every rank."""
    if not _together():
        return value
    where = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    held = torch.tensor([value], dtype=torch.float64, device=where)
    distributed.broadcast(held, 0)
    return float(held.item())


@contextmanager
def first_rank_first() -> Iterator[None]:
    """Let rank 0 pass before the others, so that they find what it has written."""
    if _together() and rank() > 0:
        distributed.barrier()
    yield
    if _together() and rank() == 0:
        distributed.barrier()


def average_gradients(objective: nn.Module) -> None:
    """Replace each gradient by its mean over ranks.

    Every weight that an objective trains is averaged, its own heads included: `DistributedDataParallel` would see the
    model only, and only when it is called as a whole.
    """
    if not _together():
        return
    trained = [weight for weight in objective.parameters() if weight.requires_grad]
    for weight in trained:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    gradients = [weight.grad for weight in trained if weight.grad is not None]
    joined = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(joined)
    joined /= ranks()
    for gradient, part in zip(
        gradients, joined.split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(part.view_as(gradient))


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
