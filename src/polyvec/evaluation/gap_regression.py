"""How much of a domain's lower scores is left once the complexity of its data sets is held equal.

Tang and Yang 2024 (arXiv:2409.18511), analysis C: ``score = b0 + b1 domain + b2 complexity + task-type effects + model
effects + error``, a fit for each measure and one with all of them, each measure in standard deviations. Data sets, not
scores, are the unit: several models fail on the same data set for the same reason. So the errors are clustered by data
set (CR2, Satterthwaite degrees of freedom), whatever the number of data sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polyvec.errors import BadInput
from polyvec.evaluation.cluster_robust import cluster_robust
from polyvec.evaluation.domain_gap_data import GapData
from polyvec.evaluation.gap_design import Floats, independent, nuisance

RAW = "nothing"
ALL = "all measures"
COVARIATES = "covariates"


def controls(data: GapData) -> dict[str, tuple[str, ...]]:
    """What each fit holds equal beside task types and models: name of the fit → columns.

    The first holds nothing equal; covariates, where there are any, stand in every other.
    """
    found: dict[str, tuple[str, ...]] = {RAW: ()}
    if data.covariates:
        found[COVARIATES] = data.covariates
    found |= {measure: (measure, *data.covariates) for measure in data.measures}
    if len(data.measures) > 1:
        found[ALL] = (*data.measures, *data.covariates)
    return found


def fixed_effects(data: GapData) -> Floats:
    """Intercept, effects of task types and effects of models, of full rank; shape ``(rows, columns)``."""
    return nuisance(len(data.rows), [list(data.rows["task_type"]), list(data.rows["model"])])


def gap_regression(data: GapData) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Fit the domain's coefficient under each control.

    Args:
        data: at least three data sets in each domain.

    Returns:
        A row for each control and term: ``control``, ``term`` (``domain``, or the column controlled for), ``estimate``,
        ``se``, ``df``, ``t``, ``p`` (two-sided), ``p_less`` (one-sided, against the coefficient not being below zero),
        ``low``, ``high``, and for the domain ``share_explained``: 1 - b1 controlled / b1 under no control, missing
        where the interval of the latter holds 0. The second thing returned are notes on fits that could not be made.

    Raises:
        BadInput: when the domain and a measure, or the domain and the task types, say the same.
    """
    effects = fixed_effects(data)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for control, columns in controls(data).items():
        problem = _unidentified(data, effects, columns)
        if problem is None:
            rows.extend(_fitted(data, effects, control, columns))
        elif len(columns) > 1:
            notes.append(f"no fit that controls for {control}: {problem}")
        else:
            raise BadInput(f"{problem}; no regression can tell them apart")
    table = pd.DataFrame(rows)
    table["share_explained"] = _share_explained(table)
    return table, tuple(notes)


def _fitted(
    data: GapData, effects: Floats, control: str, columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    design = np.column_stack([effects, data.in_target, data.standardised(columns)])
    kept = independent(design)
    fit = cluster_robust(design[:, kept], data.scores, data.clusters)
    places = np.cumsum(kept) - 1
    for number, term in enumerate(("domain", *columns), effects.shape[1]):
        if kept[number]:
            found = fit.coefficient(int(places[number]))
            yield {"control": control, "term": term, **found._asdict()}


def _unidentified(data: GapData, effects: Floats, columns: Sequence[str]) -> str | None:
    """Why the domain's coefficient cannot be told from the others, if it cannot."""
    held = data.standardised(columns)
    design = np.column_stack([effects, held, data.in_target])
    if not independent(np.column_stack([effects, data.in_target]))[-1]:
        return (
            "no task type has data sets of both domains, so the domain and the task types say the same of every "
            "data set"
        )
    if not independent(design)[-1]:
        what = " and ".join(columns)
        return f"the domain and {what} say the same of every data set (task types held equal)"
    between = nuisance(len(data.datasets), [list(data.datasets["task_type"])]).shape[1]
    if between + len(columns) + 1 >= len(data.datasets):
        return f"{len(data.datasets)} data sets are too few for {len(columns)} columns beside the task types"
    return None


def _share_explained(table: pd.DataFrame) -> pd.Series[float]:
    domain = table["term"] == "domain"
    raw = table.loc[domain & (table["control"] == RAW)].iloc[0]
    # A share of a gap that may as well be none is a ratio of two accidents.
    told = raw["low"] > 0 or raw["high"] < 0
    share = 1 - table["estimate"] / (raw["estimate"] if told else np.nan)
    return share.where(domain & (table["control"] != RAW))
