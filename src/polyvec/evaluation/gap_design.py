"""Columns of a linear model: intercept, effects of groups, and which columns say something new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NOTHING_NEW = 1e-8
"""A column whose part beyond the columns before it is this share of its length says nothing new."""


def effects(labels: Sequence[object] | NDArray[np.object_]) -> Floats:
    """Indicator columns of the groups, the first group (in sorted order) left out.

    Args:
        labels: the group of each row.

    Returns:
        Shape ``(rows, groups - 1)``.

    Example:
        >>> effects(["b", "a", "c"]).tolist()
        [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """
    groups, codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    return np.asarray(codes[:, None] == np.arange(1, len(groups)), dtype=float)


def nuisance(rows: int, groupings: Iterable[Sequence[object]]) -> Floats:
    """An intercept and the effects of several groupings, without the columns that say nothing new.

    Args:
        rows: how many.
        groupings: for each the group of each row.

    Returns:
        Shape ``(rows, columns)``, of full rank.

    Example:
        >>> nuisance(3, [["a", "b", "b"], ["x", "y", "y"]]).shape
        (3, 2)
    """
    columns = np.hstack([np.ones((rows, 1)), *(effects(labels) for labels in groupings)])
    return columns[:, independent(columns)]


def independent(columns: Floats) -> NDArray[np.bool_]:
    """Which columns are no linear combination of the columns before them.

    Args:
        columns: shape ``(rows, columns)``.

    Returns:
        Shape ``(columns,)``.

    Example:
        >>> import numpy as np
        >>> independent(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 1.0]])).tolist()
        [True, False, True]
    """
    kept = np.zeros(columns.shape[1], dtype=bool)
    basis = np.empty((len(columns), 0))
    for number, column in enumerate(columns.T):
        length = float(np.linalg.norm(column))
        beyond = residual(basis, residual(basis, column))
        rest = float(np.linalg.norm(beyond))
        if rest > _NOTHING_NEW * length:
            kept[number] = True
            basis = np.column_stack([basis, beyond / rest])
    return kept


def orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of what full-rank columns span, of the same shape."""
    return np.asarray(np.linalg.qr(columns)[0], dtype=float)


def residual(basis: Floats, values: Floats) -> Floats:
    """What an orthonormal basis leaves of the values: their residual on it (Frisch and Waugh 1933).

    Args:
        basis: shape ``(rows, columns)``, orthonormal.
        values: shape ``(rows,)`` or ``(rows, many)``.

    Returns:
        The shape of ``values``.
    """
    return np.asarray(values - basis @ (basis.T @ values), dtype=float)


def standardised(values: Floats) -> Floats:
    """Values in standard deviations (of a sample) from their mean.

    Example:
        >>> import numpy as np
        >>> standardised(np.array([1.0, 2.0, 3.0])).tolist()
        [-1.0, 0.0, 1.0]
    """
    return np.asarray((values - values.mean()) / values.std(ddof=1), dtype=float)
