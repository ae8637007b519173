"""Methods and evidence as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from polyvec.evaluation.arms import compare_arms, spread

_BESIDE = 4
"""Arms beside one another: with more, the columns of a terminal of 80 letters cannot be read."""


def evidence_tables(evidence: Mapping[str, Any]) -> list[Table]:
    """Mean and standard deviation of every metric, an arm a column, and the paired test of the main metric.

    Some arms a table; all but the first table are continuations of it.
    """
    rows = evidence_rows(evidence)
    starts = range(1, len(rows[0]), _BESIDE)
    tables = [
        _arms_table([[row[0], *row[start : start + _BESIDE]] for row in rows]) for start in starts
    ]
    seeds = len(evidence["seeds"])
    tables[0].title = f"{evidence['name']}: {seeds} seed(s), {evidence['minutes']:.1f} minutes"
    return tables


def _arms_table(rows: Sequence[Sequence[str]]) -> Table:
    header, *values, differences = rows
    table = Table()
    for place, name in enumerate(header):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    for row in values:
        if any(row[1:]):
            table.add_row(*row)
    table.add_section()
    table.add_row(*differences)
    return table


def evidence_rows(evidence: Mapping[str, Any]) -> list[list[str]]:
    """The arms' names; for each metric its mean and spread in each arm; last the differences to the baseline."""
    arms: Mapping[str, Mapping[str, Sequence[float]]] = evidence["arms"]
    metrics = dict.fromkeys(metric for values in arms.values() for metric in values)
    rows = [
        [metric, *(spread(values[metric]) if metric in values else "" for values in arms.values())]
        for metric in metrics
    ]
    against = f"{evidence['metric']} against {evidence['baseline']}"
    return [["metric", *arms], *rows, [against, *_differences(evidence)]]


def _differences(evidence: Mapping[str, Any]) -> Iterator[str]:
    """For each arm its difference to the baseline in the main metric, where both have it."""
    metric, baseline = evidence["metric"], evidence["baseline"]
    main = {arm: values[metric] for arm, values in evidence["arms"].items() if metric in values}
    compared = compare_arms(main, baseline) if baseline in main else {}
    for arm in evidence["arms"]:
        other = arm in compared and arm != baseline
        yield f"{compared[arm].difference:+.3f} (p {compared[arm].p:.2g})" if other else ""


def methods_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Every paper with its verdict, or what is still missing."""
    table = Table()
    for column in ("name", "paper", "verdict at scale cpu", "verdict at scale gpu"):
        table.add_column(column, overflow="fold")
    for row in rows:
        nothing = "" if row["recipe"] else "no recipe yet"
        verdicts = (row["verdicts"].get(scale, nothing) for scale in ("cpu", "gpu"))
        table.add_row(row["name"], f"{row['title']} ({row['authors']})", *verdicts)
    return table
