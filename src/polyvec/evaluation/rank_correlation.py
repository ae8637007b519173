"""Spearman's and Kendall's rank correlations of many rows at once, which a bootstrap needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def spearman(first: Floats, second: Floats) -> Floats:
    """Spearman's correlation of each row with its fellow; NaN where a row is constant.

    Args:
        first: shape ``(rows, items)``.
        second: of the same shape.

    Example:
        >>> import numpy as np
        >>> spearman(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]])).tolist()
        [0.5]
    """
    return _cosine(*(_centred(rankdata(side, axis=1)) for side in (first, second)))


def kendall(first: Floats, second: Floats) -> Floats:
    """Kendall's tau-b of each row with its fellow; NaN where a row is constant.

    Args:
        first: shape ``(rows, items)``.
        second: of the same shape.

    Example:
        >>> import numpy as np
        >>> kendall(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]])).round(3).tolist()
        [0.333]
    """
    left, right = np.triu_indices(first.shape[1], 1)
    return _cosine(*(np.sign(side[:, left] - side[:, right]) for side in (first, second)))


def _centred(ranks: Floats) -> Floats:
    return np.asarray(ranks - ranks.mean(axis=1, keepdims=True), dtype=float)


def _cosine(first: Floats, second: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        lengths = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
        return np.asarray((first * second).sum(axis=1) / lengths, dtype=float)
