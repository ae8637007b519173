"""Analysis of variance with two factors, model and domain: which of them moves the scores more?

Tang and Yang 2024 (arXiv:2409.18511), analysis A: ``score ~ C(model) + C(domain)``, with type II sums of squares.
Scores of several models on one data set hang together, so that the classical F counts more evidence for the domain
than there is. Beside it stands the test whose errors are clustered by data set; that is the one to believe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as fisher

from polyvec.evaluation.cluster_robust import Wald, cluster_robust
from polyvec.evaluation.gap_design import Floats, effects, independent

_ROUNDING = 1e-20
"""A residual sum of squares that is this share of all is what rounding leaves of a perfect fit."""


def type_two_anova(
    score: Floats,
    factors: Mapping[str, Sequence[object]],
    clusters: NDArray[np.intp],
) -> pd.DataFrame:
    """Type II analysis of variance without interactions, beside the cluster-robust test of each factor.

    Args:
        score: shape ``(rows,)``.
        factors: name → the group of each row; each factor is tested given all others.
        clusters: number of each row's data set, from 0 on, shape ``(rows,)``.

    Returns:
        A row per factor and one named ``residual``: ``factor``, ``sum_sq``, ``df``, ``F``, ``p``, ``partial_eta_sq``,
        and of the test with errors clustered by data set (CR2) ``robust_F``, ``robust_df2``, ``robust_p``.

    Example:
        >>> import numpy as np
        >>> table = type_two_anova(
        ...     np.array([0.5, 0.7, 0.4, 0.8]),
        ...     {"model": ["a", "b", "a", "b"], "domain": ["x", "x", "y", "y"]},
        ...     np.array([0, 0, 1, 1]),
        ... )
        >>> table["sum_sq"].round(4).tolist()
        [0.09, 0.0, 0.01]
    """
    columns = {name: effects(labels) for name, labels in factors.items()}
    intercept = np.ones((len(score), 1))
    full = np.hstack([intercept, *columns.values()])
    kept = independent(full)
    names = np.repeat(["", *columns], [1, *(part.shape[1] for part in columns.values())])
    rest, rank = _unexplained(full, score)
    if rest < _ROUNDING * float((score - score.mean()) @ (score - score.mean())):
        rest = 0.0
    df = len(score) - rank
    fit = cluster_robust(full[:, kept], score, clusters)
    rows = []
    for name in columns:
        without = np.hstack(
            [intercept, *(part for other, part in columns.items() if other != name)]
        )
        left, smaller = _unexplained(without, score)
        rows.append(
            {
                "factor": name,
                **_classical(left - rest, rank - smaller, rest, df),
                **_robust(fit.wald(np.flatnonzero(names[kept] == name))),
            }
        )
    return pd.DataFrame([*rows, {"factor": "residual", "sum_sq": rest, "df": df}])


def _unexplained(design: Floats, score: Floats) -> tuple[float, int]:
    """Sum of squares that a design leaves over, and its rank."""
    found, _, rank, _ = np.linalg.lstsq(design, score, rcond=None)
    return float(((score - design @ found) ** 2).sum()), int(rank)


def _classical(explained: float, count: int, rest: float, df: int) -> dict[str, Any]:
    both = explained + rest
    found = {
        "sum_sq": explained,
        "df": count,
        "partial_eta_sq": explained / both if both > 0 else np.nan,
    }
    if df < 1 or count < 1 or rest <= 0:
        return {**found, "F": np.nan, "p": np.nan}
    statistic = (explained / count) / (rest / df)
    return {**found, "F": statistic, "p": float(fisher.sf(statistic, count, df))}


def _robust(test: Wald) -> dict[str, float]:
    return {"robust_F": test.statistic, "robust_df2": test.df2, "robust_p": test.p}
