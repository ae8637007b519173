"""A domain gap in plain sentences, none of which says more than the data do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from polyvec.evaluation.gap_regression import COVARIATES, RAW

if TYPE_CHECKING:
    from polyvec.evaluation.domain_gap import GapReport

FEW_DATASETS = 40
"""With fewer the sentence says that such a number does not carry the paper's claim."""


def sentences(report: GapReport) -> list[str]:
    """Raw gap, gap at equal complexity, what complexity explains, agreement of the measures, order of models."""
    return [
        _raw(report),
        *_controlled(report),
        _groups(report),
        *_matching(report),
        _ranks(report),
        *_caution(report),
    ]


def headline(report: GapReport) -> str:
    """The one sentence that answers the question.

    The fit with all measures decides, or the only fit there is.
    """
    domain = _domain_fits(report)
    if domain.empty or np.isnan(domain.iloc[-1]["se"]):
        return (
            f"There are too few data sets to tell whether {report.target} is harder for these models than "
            f"{report.reference} at equal complexity."
        )
    last = domain.iloc[-1]
    if last["high"] < 0:
        found = f"lower than {report.reference}, also at equal complexity"
    elif last["low"] > 0:
        found = f"higher than {report.reference} at equal complexity"
    else:
        return (
            f"At equal complexity these data show no difference between {report.target} and {report.reference} "
            f"beyond luck: {_points(last)}."
        )
    return f"These models score {report.target} {found}: {_points(last)}."


def _domain_fits(report: GapReport) -> pd.DataFrame:
    if report.regression.empty:
        return report.regression
    domain = report.regression[report.regression["term"] == "domain"]
    return domain[~domain["control"].isin([RAW, COVARIATES])]


def _points(row: Any) -> str:
    if np.isnan(row["low"]):
        return f"{100 * row['estimate']:+.1f} points (no interval: too few data sets)"
    return f"{100 * row['estimate']:+.1f} points (95 % interval {100 * row['low']:+.1f} to {100 * row['high']:+.1f})"


def _raw(report: GapReport) -> str:
    sizes = report.datasets["domain"].value_counts()
    gap = report.raw_gap
    return (
        f"Over {sizes[report.target]} data sets of {report.target} and {sizes[report.reference]} of "
        f"{report.reference} the mean score differs by {100 * gap.value:+.1f} points "
        f"(95 % interval {100 * gap.low:+.1f} to {100 * gap.high:+.1f}), nothing held equal."
    )


def _controlled(report: GapReport) -> list[str]:
    fits = _domain_fits(report)
    if fits.empty:
        return []
    raw = report.regression[
        (report.regression["term"] == "domain") & (report.regression["control"] == RAW)
    ].iloc[0]
    found = [f"With task types and models held equal it is {_points(raw)}."]
    p = report.permutation.set_index("control")["p_studentized"]
    told = "; ".join(
        f"{row['control']} {_points(row)}, permutation p {p[row['control']]:.4f}"
        for _, row in fits.iterrows()
    )
    found.append(f"With complexity held equal too: {told}.")
    last = fits.iloc[-1]
    if np.isnan(last["share_explained"]):
        found.append(
            "As the gap before the control is not told from zero, no share of it can be called explained."
        )
    else:
        found.append(
            f"Complexity ({last['control']}) explains {100 * last['share_explained']:.0f} % of that gap."
        )
    if len(set(np.sign(fits["estimate"]))) > 1:
        found.append("The measures do not agree on the sign of the gap.")
    return found


def _groups(report: GapReport) -> str:
    cells = report.subgroups[report.subgroups["gap"].notna()]
    lower = int((cells["gap"] < 0).sum())
    told = int(((cells["gap"] < 0) & (cells["p_bh"] < 0.05)).sum())
    return (
        f"{report.target.capitalize()} is scored lower in {lower} of {len(cells)} groups of like complexity, "
        f"in {told} of them beyond luck (Mann-Whitney, Benjamini-Hochberg at .05)."
    )


def _matching(report: GapReport) -> list[str]:
    row = report.matched.iloc[-1]
    if row["pairs"] < 2:
        return [f"Too few data sets are alike in {row['measure']} to compare pairs."]
    return [
        f"Over {row['pairs']} pairs matched by {row['measure']} the difference is "
        f"{_points({**row, 'estimate': row['difference']})}."
    ]


def _ranks(report: GapReport) -> str:
    if report.rank_transfer.empty:
        return (
            "No task type has data sets of both domains, so the order of models cannot be compared."
        )
    told = "; ".join(
        f"{row['task_type']}: {row['verdict']}"
        + (f" (Spearman {row['spearman']:+.2f})" if np.isfinite(row["spearman"]) else "")
        for _, row in report.rank_transfer.iterrows()
    )
    return f"Whether the order of models on {report.reference} holds on {report.target}: {told}."


def _caution(report: GapReport) -> Sequence[str]:
    count = len(report.datasets)
    if count >= FEW_DATASETS:
        return []
    return [f"{count} data sets are few: they can point in a direction, not carry a general claim."]
