"""Pictures of an adaptation: bars with intervals, the training curve, the merge curve, where the time went."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from polyvec.evaluation.figures import GREEN, GREY, ORANGE, SKY
from polyvec.evaluation.frontier_figure import frontier_figure

# Hatches tell them apart in print.
COLOURS = {"bm25": GREY, "base": SKY, "adapted": ORANGE, "hybrid": GREEN}
HATCHES = {"bm25": "", "base": "", "adapted": "", "hybrid": "//"}
NAMES = {"bm25": "BM25", "base": "base", "adapted": "adapted", "hybrid": "hybrid"}
MEASURE = "ndcg@10"


def bars(metrics: dict[str, Any]) -> Figure:
    """nDCG@10 of each system on each task and on average, with 95 % intervals."""
    groups = (
        {**metrics["tasks"], "mean": metrics["mean"]}
        if len(metrics["tasks"]) > 1
        else metrics["tasks"]
    )
    figure, axes = _figure(9, 3.6)
    width = 0.8 / len(NAMES)
    for number, (system, name) in enumerate(NAMES.items()):
        heights = [100 * systems[system][MEASURE] for systems in groups.values()]
        places = [position + (number - 1.5) * width for position in range(len(groups))]
        bounds = [metrics["intervals"][task]["systems"][system] for task in groups]
        errors = [
            [
                max(0.0, height - 100 * bound["low"])
                for height, bound in zip(heights, bounds, strict=True)
            ],
            [
                max(0.0, 100 * bound["high"] - height)
                for height, bound in zip(heights, bounds, strict=True)
            ],
        ]
        drawn = axes.bar(
            places,
            heights,
            width * 0.92,
            yerr=errors,
            label=name,
            color=COLOURS[system],
            hatch=HATCHES[system],
            error_kw={"linewidth": 0.9, "capsize": 2, "ecolor": "#333333"},
        )
        axes.bar_label(drawn, fmt="%.0f", padding=2, fontsize=7.5, color="#333333")
    axes.set_xticks(range(len(groups)), [_wrapped(task) for task in groups])
    axes.set_ylabel("nDCG@10, points")
    axes.set_ylim(0, 108)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.14), frameon=False)
    return figure


def training_curve(metrics: dict[str, Any]) -> Figure:
    """Loss and learning rate against the seconds of training on pairs."""
    return _curve(metrics["training"]["curve"])


def pretraining_curve(metrics: dict[str, Any]) -> Figure:
    """The same of pre-training."""
    return _curve(metrics["pretraining"]["curve"])


def _curve(curve: list[dict[str, float]]) -> Figure:
    figure, axes = _figure(5.4, 3.0)
    seconds = [point["seconds"] for point in curve]
    axes.plot(
        seconds,
        [point["loss"] for point in curve],
        color=COLOURS["adapted"],
        alpha=0.3,
        linewidth=1,
    )
    axes.plot(
        seconds, smooth([point["loss"] for point in curve]), color=COLOURS["adapted"], label="loss"
    )
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("loss (line: running mean)")
    rates = axes.twinx()
    rates.plot(
        seconds,
        [point["learning_rate"] for point in curve],
        color="#666666",
        linestyle=":",
        linewidth=1.2,
    )
    rates.set_ylabel("learning rate (dotted)", color="#666666")
    rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rates.spines[["top"]].set_visible(False)
    return figure


def merge_curve(metrics: dict[str, Any]) -> Figure:
    """Dev and retention against the interpolation weight, the chosen one marked."""
    points = metrics["merge"]["curve"]
    figure, axes = _figure(5.4, 3.0)
    weights = [point["weight"] for point in points]
    axes.plot(
        weights, [100 * p["dev"] for p in points], "o-", color=COLOURS["adapted"], label="dev"
    )
    if all("retention" in point for point in points):
        kept = [100 * point["retention"] for point in points]
        axes.plot(weights, kept, "s--", color=COLOURS["base"], label="outside the domain")
    axes.axvline(
        metrics["merge"]["chosen"], color="#333333", linewidth=1, linestyle=":", label="chosen"
    )
    axes.set_xlabel("weight: 0 is the base, 1 the fine-tuned model")
    axes.set_ylabel("nDCG@10, points")
    axes.legend(frameon=False)
    return figure


def sizes(metrics: dict[str, Any]) -> Figure:
    """Quality of smaller sizes beside their time and the bytes of their vectors."""
    return frontier_figure(metrics["frontier"])


def cost_bars(metrics: dict[str, Any]) -> Figure:
    """Seconds of each stage."""
    stages = metrics["cost"]["stages"]
    figure, axes = _figure(5.4, 0.5 + 0.3 * len(stages))
    drawn = axes.barh(list(stages), list(stages.values()), color=COLOURS["base"])
    axes.bar_label(drawn, fmt="%.0f s", padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.margins(x=0.15)
    return figure


def as_svg(draw: Callable[[dict[str, Any]], Figure], metrics: dict[str, Any]) -> str:
    """The picture as an ``<svg>`` element."""
    content = io.StringIO()
    draw(metrics).savefig(content, format="svg", bbox_inches="tight", metadata={"Date": None})
    return content.getvalue()[content.getvalue().index("<svg") :]


def summary_picture(metrics: dict[str, Any], path: Path) -> None:
    """Write the bars as a PNG, sharp enough for dense screens."""
    figure = bars(metrics)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=200, bbox_inches="tight", facecolor="white")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _wrapped(task: str) -> str:
    return task.replace(" → ", "\n→ ") if len(task) < 40 else f"{task[:38]}…"


def smooth(values: list[float], reach: int = 4) -> list[float]:
    """Running means over so many values to each side."""
    near = (values[max(0, n - reach) : n + reach + 1] for n in range(len(values)))
    return [sum(window) / len(window) for window in near]
