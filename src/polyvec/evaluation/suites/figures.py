"""Pictures of models on suites: bars with intervals per task, and a radar over suites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyvec.evaluation.figures import MODEL_COLOURS, save_png

_FEWEST_SUITES = 3
"""A radar of fewer has no area."""


def suite_picture(summary: dict[str, Any], path: Path) -> None:
    """Draw every task's score of every model, and the mean of each suite as a radar where there are three or more.

    Args:
        summary: of `polyvec.evaluate` with a suite.
        path: of the PNG.
    """
    models = list(next(iter(summary["tasks"].values())))
    tasks = list(summary["tasks"])
    radar = len(summary["mean"]) >= _FEWEST_SUITES
    height = max(2.6, 0.9 + len(tasks) * (0.16 + 0.14 * len(models)))
    figure = Figure(figsize=(12 if radar else 7.5, height), layout="constrained")
    if radar:
        places = figure.add_gridspec(1, 2, width_ratios=[1.5, 1])
        _bars(figure.add_subplot(places[0]), summary, tasks, models)
        _radar(figure.add_subplot(places[1], projection="polar"), summary["mean"], models)
    else:
        _bars(figure.add_subplot(), summary, tasks, models)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=min(len(models), 4),
        frameon=False,
    )
    save_png(figure, path)


def _bars(axes: Axes, summary: dict[str, Any], tasks: list[str], models: list[str]) -> None:
    width = 0.8 / len(models)
    for number, model in enumerate(models):
        found = [summary["tasks"][task][model] for task in tasks]
        values = np.array([100 * point["value"] for point in found])
        low = np.array([100 * point.get("low", point["value"]) for point in found])
        high = np.array([100 * point.get("high", point["value"]) for point in found])
        axes.barh(
            np.arange(len(tasks)) + (number - (len(models) - 1) / 2) * width,
            values,
            width * 0.9,
            xerr=np.maximum(0.0, [values - low, high - values]),
            label=model,
            color=MODEL_COLOURS[number % len(MODEL_COLOURS)],
            error_kw={"linewidth": 0.8, "capsize": 1.5, "ecolor": "#333333"},
        )
    axes.set_yticks(
        range(len(tasks)), [f"{task} ({summary['measures'][task]})" for task in tasks], fontsize=8
    )
    axes.invert_yaxis()
    axes.set_xlabel("points, with 95 % intervals")
    axes.axvline(0, color="#333333", linewidth=0.6)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _radar(axes: Any, mean: dict[str, Any], models: list[str]) -> None:
    suites = list(mean)
    angles = np.linspace(0, 2 * np.pi, len(suites), endpoint=False)
    closed = np.append(angles, angles[0])
    for number, model in enumerate(models):
        values = [100 * mean[suite][model]["value"] for suite in suites]
        colour = MODEL_COLOURS[number % len(MODEL_COLOURS)]
        axes.plot(closed, [*values, values[0]], color=colour)
        axes.fill(closed, [*values, values[0]], color=colour, alpha=0.08)
    axes.set_xticks(angles, suites, fontsize=8)
    axes.set_ylim(0, 100)
    axes.set_yticks([25, 50, 75, 100])
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title("mean of each suite", fontsize=9)
