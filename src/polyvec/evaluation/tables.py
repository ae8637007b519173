"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from polyvec.evaluation.frontier import STORED, by_size
from polyvec.evaluation.retrieval_metrics import METRICS


def exam_table(values: Mapping[str, Any]) -> Table:
    """Each system's means on one exam."""
    table = Table(title=f"{values['on']}: mean over {len(values['tasks'])} task(s)")
    table.add_column("system")
    for metric in METRICS:
        table.add_column(metric, justify="right")
    for system, scores in values["mean"].items():
        table.add_row(system, *(f"{100 * scores[metric]:.1f}" for metric in METRICS))
    return table


def suite_table(values: Mapping[str, Any]) -> Table:
    """Each task's main score for each model with its interval, and each suite's mean."""
    models = list(next(iter(values["tasks"].values())))
    table = Table(title="points, with 95 % intervals over redrawn examples")
    for column in ("suite", "task", "measure"):
        table.add_column(column, overflow="fold")
    for model in models:
        table.add_column(model, justify="right", overflow="fold")
    for model in models[1:]:
        table.add_column(f"{model} - {models[0]}", justify="right", overflow="fold")
    for suite, mean in values["mean"].items():
        inside = [task for task, own in values["suites"].items() if own == suite]
        for task in inside:
            table.add_row(
                suite,
                task,
                values["measures"][task],
                *(in_points(values["tasks"][task][model]) for model in models),
                *(in_points(values["gains"][model][task], signed=True) for model in models[1:]),
            )
        if len(inside) > 1:
            table.add_row(
                suite,
                "mean",
                "",
                *(in_points(mean[model]) for model in models),
                *(in_points(values["gains"][model][suite], signed=True) for model in models[1:]),
                style="bold",
            )
        table.add_section()
    return table


def frontier_table(found: Mapping[str, Any], chosen: tuple[int, int] | None = None) -> Table:
    """Each size's cost, and what the exam says of its vectors stored in each way.

    Args:
        found: of `polyvec.evaluation.frontier.frontier`.
        chosen: a size to point at.
    """
    rows = by_size(found)
    judged = any(point["quality"] is not None for point in found["points"])
    several = len({row["model"] for row in rows}) > 1
    table = Table(
        title="sizes of a model",
        caption="nDCG@10 in points for each way of storing vectors; bold: nothing smaller finds as much"
        if judged
        else None,
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    if several:
        table.add_column("model")
    costs = ("layers", "dims", "MB", "ms\n1 text", "ms\n32 texts")
    for column in (*costs, *(STORED if judged else []), "bytes\na vector"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        points = row["stored"]
        table.add_row(
            *([row["model"]] if several else []),
            str(row["layers"]),
            str(row["dims"]),
            f"{row['model_bytes'] / 1e6:.1f}",
            f"{row['ms_1']:.1f}",
            f"{row['ms_32']:.1f}",
            *(_judged(points[stored]) for stored in STORED if judged),
            "/".join(str(points[stored]["vector_bytes"]) for stored in STORED),
            style="reverse" if (row["layers"], row["dims"]) == chosen else "",
        )
    return table


def _judged(point: Mapping[str, Any]) -> str:
    value = f"{100 * point['quality']:.1f}"
    return f"[bold]{value}[/bold]" if point["best"] else value


def frame_table(frame: pd.DataFrame, title: str) -> Table:
    """A data frame, intervals behind their values, ``n/a`` where there is none."""
    table = Table(title=title)
    shown = [name for name in frame if not str(name).endswith(("_low", "_high"))]
    for name in shown:
        table.add_column(str(name), justify="left" if name == "dataset" else "right")
    for _, row in frame.iterrows():
        table.add_row(*(_cell(row, str(name)) for name in shown))
    return table


def _cell(row: pd.Series[Any], name: str) -> str:
    value = row[name]
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "n/a"
    if f"{name}_low" not in row:
        return f"{value:g}"
    return f"{value:.3g} [{row[f'{name}_low']:.3g}, {row[f'{name}_high']:.3g}]"


def in_points(interval: Mapping[str, float], *, signed: bool = False) -> str:
    """A value with its interval, in points.

    Example:
        >>> in_points({"value": 0.512, "low": 0.5, "high": 0.525})
        '51.2 [50.0, 52.5]'
        >>> in_points({"value": 0.012}, signed=True)
        '+1.2'
    """
    kind = "+.1f" if signed else ".1f"
    value = f"{100 * interval['value']:{kind}}"
    if "low" not in interval:
        return value
    return f"{value} [{100 * interval['low']:{kind}}, {100 * interval['high']:{kind}}]"
