"""Arms of an experiment beside each other: mean and spread over seeds, and the paired test against the baseline.

Seeds are the unit: every arm runs with the same seeds, so differences are taken seed by seed and tested
with the paired t test (Student 1908). With three seeds only large differences can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from polyvec.errors import BadInput


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm's metric.

    Attributes:
        mean: over seeds.
        sd: sample standard deviation over seeds; 0 with one seed.
        difference: mean over seeds of this arm minus the baseline; 0 for the baseline.
        low: lower end of the difference's 95 % interval.
        high: upper end; with one seed both are infinite, since nothing is known of the spread.
        p: two-sided, against no difference; 1 for the baseline and with one seed.
    """

    mean: float
    sd: float
    difference: float
    low: float
    high: float
    p: float


def compare_arms(values: Mapping[str, Sequence[float]], baseline: str) -> dict[str, ArmSummary]:
    """Compare arms seed by seed.

    Args:
        values: arm → its metric for each seed, the same seeds in the same order.
        baseline: the arm that the others are compared with.

    Raises:
        BadInput: when the baseline is missing or arms have different numbers of seeds.

    Example:
        >>> compared = compare_arms({"plain": [0.5, 0.6, 0.7], "ours": [0.6, 0.7, 0.9]}, "plain")
        >>> round(compared["ours"].difference, 3), round(compared["ours"].p, 3)
        (0.133, 0.057)
    """
    if baseline not in values:
        raise BadInput(f"no arm is called {baseline!r}; the arms are {', '.join(values)}")
    theirs = np.asarray(values[baseline], float)
    for arm, ours in values.items():
        if len(ours) != len(theirs):
            raise BadInput(f"arm {arm!r} has {len(ours)} seeds and {baseline!r} {len(theirs)}")
    return {arm: _summary(np.asarray(ours, float), theirs) for arm, ours in values.items()}


def spread(values: Sequence[float]) -> str:
    """Mean and sample standard deviation over seeds, in words.

    Example:
        >>> spread([0.5, 0.6, 0.7]), spread([0.5])
        ('0.600 ± 0.100', '0.500')
    """
    mean = f"{np.mean(values):.3f}"
    return f"{mean} ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else mean


def _summary(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> ArmSummary:
    seeds = len(ours)
    sd = float(ours.std(ddof=1)) if seeds > 1 else 0.0
    differences = ours - theirs
    mean = float(differences.mean())
    if not differences.any():
        return ArmSummary(float(ours.mean()), sd, 0.0, 0.0, 0.0, 1.0)
    if seeds == 1:
        return ArmSummary(float(ours.mean()), sd, mean, -np.inf, np.inf, 1.0)
    error = float(differences.std(ddof=1)) / np.sqrt(seeds)
    half = float(student.ppf(0.975, seeds - 1)) * error
    p = 2 * float(student.sf(abs(mean) / error, seeds - 1)) if error > 0 else 0.0
    return ArmSummary(float(ours.mean()), sd, mean, mean - half, mean + half, p)
