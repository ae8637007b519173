"""Is a difference more than luck? Paired bootstrap over queries (Efron and Tibshirani 1993; Sakai 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % percentile interval; for differences, ``p`` is two-sided against no difference."""

    value: float
    low: float
    high: float
    p: float

    def to_dict(self) -> dict[str, float]:
        """The interval as plain JSON."""
        return asdict(self)


def paired_bootstrap(
    differences: Sequence[NDArray[np.float64]], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Interval of the mean over tasks of per-query values, queries resampled within each task.

    Args:
        differences: one array a task, each with a value per query: system A minus system B on the same query, or
            plainly the values of one system.
        seed: of the resampling.
        resamples: how many bootstrap samples.

    Returns:
        Every task weighs the same, whatever its number of queries.

    Example:
        >>> import numpy as np
        >>> paired_bootstrap([np.full(50, 0.25)]).low
        0.25
    """
    rng = np.random.default_rng(seed)
    means = np.mean([_resampled_means(task, rng, resamples) for task in differences], axis=0)
    return interval_of(float(np.mean([task.mean() for task in differences])), means)


def interval_of(value: float, means: NDArray[np.float64]) -> Interval:
    """The interval of a value that came out as ``means`` on redrawn data.

    Example:
        >>> import numpy as np
        >>> interval_of(0.5, np.linspace(0, 1, 101)).low
        0.025
    """
    low, high = np.quantile(means, [0.025, 0.975])
    tail = min((means <= 0).mean(), (means >= 0).mean())
    # The add-one correction: a bootstrap of n samples cannot show a probability below 1/n.
    p = min(1.0, 2 * (tail * len(means) + 1) / (len(means) + 1))
    return Interval(value, float(low), float(high), float(p))


def _resampled_means(
    values: NDArray[np.float64], rng: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    # In blocks of about a million numbers, so that many queries do not fill the memory.
    block = max(1, 1_000_000 // len(values))
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    draws = (rng.integers(len(values), size=(size, len(values))) for size in sizes)
    return np.concatenate([values[drawn].mean(axis=1) for drawn in draws])
