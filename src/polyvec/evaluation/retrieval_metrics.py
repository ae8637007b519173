"""How good a ranking is: nDCG, reciprocal rank and recall, a number per query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

METRICS = ("ndcg@10", "mrr@10", "recall@10", "recall@100")
DEPTH = 100
"""How many passages of each ranking are kept; the deepest measure needs this many."""


def measure(
    rankings: Sequence[Sequence[str]], relevant: Sequence[Mapping[str, int]]
) -> dict[str, NDArray[np.float64]]:
    """Measure each query's ranking against what is relevant.

    Gains are the grades themselves and discounts 1/log2(rank + 1), as in trec_eval. Recall counts passages of
    grade above zero.

    Args:
        rankings: for each query the passage ids, best first.
        relevant: for each query passage id → grade; at least one grade above zero.

    Returns:
        For each of `METRICS` an array with a value in [0, 1] per query.

    Example:
        >>> values = measure([["b", "a"]], [{"a": 1}])
        >>> round(float(values["ndcg@10"][0]), 4), float(values["mrr@10"][0])
        (0.6309, 0.5)
    """
    rows = [
        _measure_one(ranking, grades) for ranking, grades in zip(rankings, relevant, strict=True)
    ]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(METRICS))
    return {metric: table[:, column] for column, metric in enumerate(METRICS)}


def first_hit(ranking: Sequence[str], grades: Mapping[str, int]) -> int | None:
    """Rank, from 1, of the first relevant passage; None if the ranking holds none."""
    hits = (rank for rank, passage in enumerate(ranking, 1) if grades.get(passage, 0) > 0)
    return next(hits, None)


def _measure_one(
    ranking: Sequence[str], grades: Mapping[str, int]
) -> tuple[float, float, float, float]:
    gains = np.array(
        [max(grades.get(passage, 0), 0) for passage in ranking[:DEPTH]], dtype=np.float64
    )
    wanted = sum(grade > 0 for grade in grades.values())
    ideal = np.array(
        sorted((max(grade, 0) for grade in grades.values()), reverse=True), dtype=np.float64
    )
    first = first_hit(ranking[:10], grades)
    return (
        _dcg(gains[:10]) / _dcg(ideal[:10]),
        1 / first if first else 0.0,
        float((gains[:10] > 0).sum()) / wanted,
        float((gains > 0).sum()) / wanted,
    )


def _dcg(gains: NDArray[np.float64]) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())
