"""Pairs of data sets, one of each domain, of the same task type and nearly the same complexity: do their scores differ?

An addition to Tang and Yang 2024 (arXiv:2409.18511): nearest-neighbour matching with a caliper (Cochran and Rubin
1973). It assumes no straight line between complexity and score, and leaves out what has no equal in the other domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from polyvec.evaluation.domain_gap_data import GapData
from polyvec.evaluation.gap_design import Floats, standardised
from polyvec.evaluation.gap_regression import ALL

CALIPER = 0.5
"""Standard deviations that two data sets may lie apart."""


def matched(data: GapData, caliper: float = CALIPER) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pair data sets of the two domains within task types, by each measure and by all together.

    The closest two are paired first, and no data set is used twice. The distance by several measures is the root mean
    square of the distances by each, so that the caliper means the same.

    Args:
        data: scores and complexity.
        caliper: the farthest that two paired data sets may lie apart, in standard deviations over all data sets.

    Returns:
        A row for each measure: ``measure``, ``pairs``, ``difference`` (target minus reference, mean over pairs),
        ``low``, ``high`` (95 %, paired t), ``p``; and a row for each pair: ``measure``, ``task_type``, ``target``,
        ``reference`` (data sets), ``distance``, ``difference``.
    """
    sets: dict[str, tuple[str, ...]] = {measure: (measure,) for measure in data.measures}
    if len(data.measures) > 1:
        sets[ALL] = data.measures
    pairs = {name: _pairs(data, measures, caliper) for name, measures in sets.items()}
    summary = [{"measure": name, **_difference(found)} for name, found in pairs.items()]
    columns = ["measure", "task_type", "target", "reference", "distance", "difference"]
    listed = [{"measure": name, **pair} for name, found in pairs.items() for pair in found]
    return pd.DataFrame(summary), pd.DataFrame(listed, columns=columns)


def closest_pairs(distances: Floats, caliper: float) -> list[tuple[int, int]]:
    """Pair rows with columns, the closest first, none twice.

    Args:
        distances: shape ``(rows, columns)``.
        caliper: pairs that lie farther apart are left out.

    Returns:
        Row and column of each pair, in the order in which they were found.

    Example:
        >>> import numpy as np
        >>> closest_pairs(np.array([[0.2, 0.1], [0.4, 0.3]]), caliper=0.5)
        [(0, 1), (1, 0)]
    """
    found: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    for place in np.argsort(distances, axis=None, kind="stable"):
        row, column = divmod(int(place), distances.shape[1])
        if distances[row, column] > caliper:
            break
        if row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            found.append((row, column))
    return found


def _pairs(data: GapData, measures: Sequence[str], caliper: float) -> list[dict[str, Any]]:
    table = data.datasets.sort_index()
    places = np.column_stack([standardised(table[name].to_numpy(dtype=float)) for name in measures])
    scores = table["score"].to_numpy(dtype=float)
    found: list[dict[str, Any]] = []
    for task_type in sorted(set(table["task_type"])):
        inside = (table["task_type"] == task_type).to_numpy()
        target = np.flatnonzero(inside & (table["domain"] == data.target).to_numpy())
        reference = np.flatnonzero(inside & (table["domain"] == data.reference).to_numpy())
        apart = places[target][:, None, :] - places[reference][None, :, :]
        distances = np.sqrt((apart**2).mean(axis=2))
        found.extend(
            {
                "task_type": task_type,
                "target": table.index[target[row]],
                "reference": table.index[reference[column]],
                "distance": float(distances[row, column]),
                "difference": float(scores[target[row]] - scores[reference[column]]),
            }
            for row, column in closest_pairs(distances, caliper)
        )
    return found


def _difference(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    differences = np.array([pair["difference"] for pair in pairs], dtype=float)
    count = len(differences)
    mean = float(differences.mean()) if count else np.nan
    error = float(differences.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
    half = float(student.ppf(0.975, count - 1)) * error if count > 1 else np.nan
    p = 2 * float(student.sf(abs(mean) / error, count - 1)) if error > 0 else np.nan
    return {"pairs": count, "difference": mean, "low": mean - half, "high": mean + half, "p": p}
