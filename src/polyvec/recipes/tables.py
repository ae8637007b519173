"""Methods and evidence as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from polyvec.evaluation.arms import compare_arms, spread


def evidence_table(evidence: Mapping[str, Any]) -> Table:
    """Mean and standard deviation of every metric of every arm, and the paired test of the main one."""
    seeds = len(evidence["seeds"])
    table = Table(title=f"{evidence['name']}: {seeds} seed(s), {evidence['minutes']:.1f} minutes")
    table.add_column("arm", overflow="fold")
    metrics = list(dict.fromkeys(m for values in evidence["arms"].values() for m in values))
    for metric in metrics:
        table.add_column(metric, justify="right", overflow="fold")
    main = {arm: values[evidence["metric"]] for arm, values in evidence["arms"].items()}
    compared = compare_arms(main, evidence["baseline"]) if evidence["baseline"] in main else {}
    table.add_column(f"{evidence['metric']} against {evidence['baseline']}", justify="right")
    for arm, values in evidence["arms"].items():
        other = arm in compared and arm != evidence["baseline"]
        difference = f"{compared[arm].difference:+.3f} (p {compared[arm].p:.3f})" if other else ""
        table.add_row(
            arm,
            *(spread(values[metric]) if metric in values else "" for metric in metrics),
            difference,
        )
    return table


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
