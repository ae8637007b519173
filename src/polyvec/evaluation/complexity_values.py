"""A complexity measure of many texts: one value a text, their mean, and its 95 % interval over redrawn texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyvec.errors import BadInput

RESAMPLES = 2_000
_BLOCK = 1_000_000
"""Drawn texts at a time, so that many texts do not fill the memory."""

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[np.intp]], Floats]
"""Drawn positions, shape ``(draws, texts)`` → the measure of each draw, shape ``(draws,)``."""


@dataclass(frozen=True, slots=True, eq=False)
class ComplexityValues:
    """One measure of one data set.

    Attributes:
        values: of each text, or of each question; NaN where the measure is not defined for it.
        mean: of the data set.
        low: lower end of the 95 % bootstrap interval of ``mean``.
        high: upper end.
        unparsable: answers that could not be read; they count as wrong.
    """

    values: Floats
    mean: float
    low: float
    high: float
    unparsable: int = 0


def mean_values(
    values: Sequence[float] | Floats,
    *,
    weights: Sequence[float] | Floats | None = None,
    unparsable: int = 0,
    seed: int = 0,
) -> ComplexityValues:
    """Values with their mean and its interval; NaN takes no part.

    Args:
        values: one a text.
        weights: of each text in the mean; all the same by default.
        unparsable: handed on.
        seed: of the bootstrap.

    Example:
        >>> mean_values([1.0, 2.0, float("nan")]).mean
        1.5
    """
    given = np.asarray(values, dtype=float)
    known = np.isfinite(given)
    weight = np.ones(len(given)) if weights is None else np.asarray(weights, dtype=float)
    held, total = given[known], weight[known]

    def mean(drawn: NDArray[np.intp]) -> Floats:
        found = (held * total)[drawn].sum(axis=1) / total[drawn].sum(axis=1)
        return np.asarray(found, dtype=float)

    return _with_interval(given, len(held), mean, unparsable, seed)


def redrawn_values(
    values: Floats, statistic: Statistic, *, unparsable: int = 0, seed: int = 0
) -> ComplexityValues:
    """Values with a statistic of them that is no plain mean, and its interval.

    Args:
        values: one a question.
        statistic: computes the measure of each draw of questions.
        unparsable: handed on.
        seed: of the bootstrap.
    """
    return _with_interval(values, len(values), statistic, unparsable, seed)


def average(parts: Sequence[ComplexityValues]) -> ComplexityValues:
    """The plain average of parts that were measured apart, such as queries and passages.

    The interval joins those of the parts, which are independent, by the method of variance estimates recovery (Zou and
    Donner 2008, Statistics in Medicine 27(10)).

    Example:
        >>> average([mean_values([1.0, 1.0]), mean_values([3.0])]).mean
        2.0
    """
    mean = float(np.mean([part.mean for part in parts]))
    below = float(np.sqrt(sum((part.mean - part.low) ** 2 for part in parts))) / len(parts)
    above = float(np.sqrt(sum((part.high - part.mean) ** 2 for part in parts))) / len(parts)
    values = np.concatenate([part.values for part in parts])
    unparsable = sum(part.unparsable for part in parts)
    return ComplexityValues(values, mean, mean - below, mean + above, unparsable)


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what has nothing to measure.

    Raises:
        BadInput: when there is no text, or one of them is empty; the sentence says which.
    """
    if isinstance(texts, str):
        raise BadInput("texts is one string; give a list of texts")
    if not len(texts):
        raise BadInput("there is no text to measure; give at least one")
    for number, text in enumerate(texts, 1):
        if not any(letter.isalnum() for letter in text):
            raise BadInput(f"text {number} of {len(texts)} is empty: it has no word; leave it out")


def _with_interval(
    values: Floats, count: int, statistic: Statistic, unparsable: int, seed: int
) -> ComplexityValues:
    if not count:
        return ComplexityValues(values, np.nan, np.nan, np.nan, unparsable)
    value = float(statistic(np.arange(count)[None, :])[0])
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // count)
    sizes = [min(block, RESAMPLES - start) for start in range(0, RESAMPLES, block)]
    drawn = np.concatenate([statistic(rng.integers(count, size=(size, count))) for size in sizes])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return ComplexityValues(values, value, float(low), float(high), unparsable)
