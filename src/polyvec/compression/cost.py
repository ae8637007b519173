"""What a model really costs: the bytes of its files, and the time that it takes."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from polyvec.encoders.loading import save

TOKENS = 64
"""Of each text that is timed."""
_TEXT = (
    "the quick brown fox jumps over the lazy dog while many old ships come home from the sea " * 8
)
_ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from texts of 64 tokens to their vectors, tokenising among them; medians of several runs.

    Attributes:
        one: of one text alone.
        thirty_two: of 32 texts in one batch.
    """

    one: float
    thirty_two: float


def latency(model: SentenceTransformer, rounds: int = _ROUNDS) -> Latency:
    """Time a model where it is, in its own number format, with as many threads as torch has.

    Args:
        model: reads texts; one that reads fewer than 64 tokens gets texts as long as it reads.
        rounds: how many runs of each size count; two more come before.
    """
    reads = model.max_seq_length
    model.max_seq_length = min(TOKENS, reads or TOKENS)
    try:
        return Latency(_median_ms(model, 1, rounds), _median_ms(model, 32, rounds))
    finally:
        model.max_seq_length = reads


def saved_bytes(model: SentenceTransformer) -> int:
    """Bytes of all files of a model's folder: weights, vocabulary, configuration."""
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder))
        return folder_bytes(Path(folder))


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder and below.

    Example:
        >>> folder_bytes(Path("/nowhere"))
        0
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _median_ms(model: SentenceTransformer, count: int, rounds: int) -> float:
    texts = [_TEXT] * count
    seconds = []
    for number in range(rounds + 2):
        start = time.perf_counter()
        model.encode(texts, batch_size=count, show_progress_bar=False)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        if number >= 2:  # the first pay for memory and kernels
            seconds.append(time.perf_counter() - start)
    return round(1000 * statistics.median(seconds), 3)
