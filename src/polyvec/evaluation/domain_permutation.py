"""Would the gap be as wide had the domain's labels been dealt out by chance? A permutation test over data sets.

Labels are shuffled over data sets within task types, since a data set carries its label as a whole; every shuffle is
refitted. By Frisch, Waugh and Lovell the coefficient of a shuffled label needs only its part that the controls leave
over, so all shuffles are two matrix products.

Tang and Yang 2024 (arXiv:2409.18511) report no such test; it is added here. Shuffling breaks the tie between the domain
and the complexity measure, so where the two are correlated the shuffled coefficients scatter less than the real one,
and a test that compares coefficients finds gaps too easily. Comparing t statistics instead mends that (DiCiccio and
Romano 2017, Journal of the American Statistical Association 112(519)); both are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyvec.evaluation.gap_design import Floats, orthonormal, residual

DRAWS = 10_000
_BLOCK = 1_000
"""Shuffles at a time, so that many rows do not fill the memory."""
_SAME = 1e-9
"""Statistics this close (as a share) are equal but for rounding, and count as equally extreme."""
_COLLINEAR = 1e-10
"""Share of a label's squares that the controls must leave over for its coefficient to mean anything."""


class Permutation(NamedTuple):
    """What shuffling the labels showed.

    Attributes:
        estimate: the coefficient b1 of the real labels.
        p: (1 + number of shuffles with ``|b1*| >= |b1|``) / (1 + shuffles).
        p_studentized: the same with t statistics in place of coefficients.
        draws: number of shuffles.
    """

    estimate: float
    p: float
    p_studentized: float
    draws: int


def permutation_test(
    score: Floats,
    held: Floats,
    clusters: NDArray[np.intp],
    labels: NDArray[np.bool_],
    strata: Sequence[object],
    draws: int = DRAWS,
    seed: int = 0,
) -> Permutation:
    """Test the domain's coefficient by shuffling its labels over data sets within strata.

    Args:
        score: of each model on each data set, shape ``(rows,)``.
        held: what is held equal: intercept, effects, measures; of full rank, shape ``(rows, columns)``.
        clusters: number of each row's data set, from 0 on, shape ``(rows,)``.
        labels: whether each data set is of the domain in question, shape ``(data sets,)``.
        strata: the task type of each data set.
        draws: number of shuffles.
        seed: of the shuffles.

    Returns:
        The coefficient and both p values. A shuffle whose label the controls explain fully counts as extreme.

    Example:
        >>> import numpy as np
        >>> labels = np.array([True, True, False, False])
        >>> found = permutation_test(
        ...     np.array([0.1, 0.2, 0.8, 0.9]), np.ones((4, 1)), np.arange(4), labels, ["sts"] * 4
        ... )
        >>> round(found.estimate, 3), round(found.p, 1)  # 2 of the 6 ways to label are as extreme
        (-0.7, 0.3)
    """
    basis = orthonormal(held)
    left = residual(basis, score)
    order = np.argsort(clusters, kind="stable")
    starts = np.searchsorted(clusters[order], np.arange(len(labels)))
    rows = _Rows(basis[order], left[order], clusters[order], starts)
    real, real_t = (float(found[0]) for found in _statistics(labels[None, :].astype(float), rows))
    rng = np.random.default_rng(seed)
    extreme = extreme_t = 0
    for start in range(0, draws, _BLOCK):
        shuffled = _shuffled(labels, strata, min(_BLOCK, draws - start), rng)
        found, found_t = _statistics(shuffled, rows)
        extreme += int((np.abs(found) >= abs(real) * (1 - _SAME)).sum())
        extreme_t += int((np.abs(found_t) >= abs(real_t) * (1 - _SAME)).sum())
    return Permutation(real, (1 + extreme) / (1 + draws), (1 + extreme_t) / (1 + draws), draws)


class _Rows(NamedTuple):
    """Rows sorted by data set: basis of the controls, what they leave of the score, data set, where each starts."""

    basis: Floats
    left: Floats
    clusters: NDArray[np.intp]
    starts: NDArray[np.intp]


def _statistics(labels: Floats, rows: _Rows) -> tuple[Floats, Floats]:
    """Coefficient and t statistic (errors clustered by data set) of each row of labels, shape ``(shuffles,)``."""
    spread = labels[:, rows.clusters].T
    rest = residual(rows.basis, spread)
    squares = (rest**2).sum(axis=0)
    usable = squares > _COLLINEAR * np.maximum((spread**2).sum(axis=0), 1)
    divisor = np.where(usable, squares, 1.0)
    found = rest.T @ rows.left / divisor
    errors = rows.left[:, None] - rest * found
    scores = np.add.reduceat(rest * errors, rows.starts, axis=0)
    se = np.sqrt((scores**2).sum(axis=0)) / divisor
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without any residual the coefficient is certain, unless it is zero.
        statistic = np.where(se > 0, found / se, np.where(found == 0, 0.0, np.inf))
    return np.where(usable, found, np.inf), np.where(usable, statistic, np.inf)


def _shuffled(
    labels: NDArray[np.bool_], strata: Sequence[object], count: int, rng: np.random.Generator
) -> Floats:
    """Labels shuffled within strata, shape ``(count, data sets)``."""
    shuffled = np.empty((count, len(labels)))
    _, codes = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    for code in range(int(codes.max()) + 1):
        inside = np.flatnonzero(codes == code)
        shuffled[:, inside] = rng.permuted(
            np.tile(labels[inside].astype(float), (count, 1)), axis=1
        )
    return shuffled
