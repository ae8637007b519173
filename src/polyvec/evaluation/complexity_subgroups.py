"""Is the domain scored lower among data sets that are equally complex? Groups at the tertiles of one measure.

Tang and Yang 2024 (arXiv:2409.18511), analysis B: all data sets of both domains are cut together at the tertiles of a
measure into low, medium and high; in each group the domains' scores are compared, each data set being the mean over
the models. Added here: the rank test of Mann and Whitney 1947 in each cell, and the correction for many cells of
Benjamini and Hochberg 1995 over all cells; and the gap with task types held equal, since scores of different kinds
are no one scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, mannwhitneyu

from polyvec.evaluation.domain_gap_data import GapData
from polyvec.evaluation.gap_design import Floats, independent, nuisance

GROUPS = ("low", "medium", "high")


def tertile_groups(values: Floats) -> list[str]:
    """Low, medium or high: where each value lies among the tertiles of all.

    Args:
        values: of one measure for each data set, shape ``(data sets,)``; a value on a tertile belongs to the lower
        group.

    Example:
        >>> import numpy as np
        >>> tertile_groups(np.array([5.0, 1.0, 3.0]))
        ['high', 'low', 'medium']
    """
    cuts = np.quantile(values, [1 / 3, 2 / 3])
    return [GROUPS[number] for number in np.searchsorted(cuts, values, side="left")]


def subgroups(data: GapData) -> pd.DataFrame:
    """Compare the domains within low, medium and high complexity of each measure.

    Returns:
        A row a cell: ``measure``, ``group``, ``n_reference``, ``n_target`` (data sets), ``mean_reference``,
        ``mean_target``, ``median_reference``, ``median_target``, ``gap`` (target minus reference, of means),
        ``gap_within_task_types`` (the same with task types held equal), ``p`` (Mann-Whitney, two-sided) and ``p_bh``.
        Where a domain has no data set in the cell, what needs it is NaN.
    """
    rows = [
        {"measure": measure, "group": group, **_cell(cell, data)}
        for measure in data.measures
        for group, cell in _cells(data.datasets, measure)
    ]
    table = pd.DataFrame(rows)
    tested = table["p"].notna()
    table["p_bh"] = np.nan
    if tested.any():
        table.loc[tested, "p_bh"] = false_discovery_control(table.loc[tested, "p"], method="bh")
    return table


def _cells(datasets: pd.DataFrame, measure: str) -> list[tuple[str, pd.DataFrame]]:
    groups = np.array(tertile_groups(datasets[measure].to_numpy(dtype=float)))
    return [(group, datasets[groups == group]) for group in GROUPS]


def _cell(cell: pd.DataFrame, data: GapData) -> dict[str, Any]:
    reference = cell.loc[cell["domain"] == data.reference, "score"].to_numpy(dtype=float)
    target = cell.loc[cell["domain"] == data.target, "score"].to_numpy(dtype=float)
    both = len(reference) > 0 and len(target) > 0
    means = [_or_nan(np.mean, scores) for scores in (reference, target)]
    return {
        "n_reference": len(reference),
        "n_target": len(target),
        "mean_reference": means[0],
        "mean_target": means[1],
        "median_reference": _or_nan(np.median, reference),
        "median_target": _or_nan(np.median, target),
        "gap": means[1] - means[0],
        "gap_within_task_types": _gap_within_task_types(cell, data.target),
        "p": float(mannwhitneyu(target, reference).pvalue) if both else np.nan,
    }


def _or_nan(summary: Any, scores: Floats) -> float:
    return float(summary(scores)) if len(scores) else np.nan


def _gap_within_task_types(cell: pd.DataFrame, target: str) -> float:
    """The domain's coefficient beside task-type effects; NaN where no task type in the cell has both domains."""
    if cell.empty:
        return np.nan
    types = nuisance(len(cell), [list(cell["task_type"])])
    design = np.column_stack([types, (cell["domain"] == target).to_numpy(dtype=float)])
    if not independent(design)[-1]:
        return np.nan
    found = np.linalg.lstsq(design, cell["score"].to_numpy(dtype=float), rcond=None)[0]
    return float(found[-1])
