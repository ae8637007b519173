"""A picture of sizes: what a model finds beside the time it takes, and beside the bytes of its vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyvec.evaluation.figures import BLUE, GREEN, GREY, MODEL_COLOURS, ORANGE, save_png
from polyvec.evaluation.frontier import FLOAT, STORED

Points = Sequence[Mapping[str, Any]]
_WAYS = {"float32": (BLUE, "o"), "int8": (GREEN, "s"), "binary": (ORANGE, "^")}
_STYLES = ("-", "--", ":", "-.")


def frontier_figure(found: Mapping[str, Any]) -> Figure:
    """Two plots side by side, both with the exam's nDCG@10 upwards.

    Left the time of one text, a line a number of dimensions, with the layers at each point; right the bytes of a stored
    vector, a line a way of storing. Where every depth was measured at one width only, as for sizes that were trained,
    lines are models.

    Args:
        found: of `polyvec.evaluation.frontier.frontier`, with an exam.
    """
    points: Points = found["points"]
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    times, sizes = figure.subplots(1, 2, sharey=True)
    floats = [point for point in points if point["stored"] == FLOAT]
    if _one_width_each(floats):
        _times_by_model(times, floats)
        _bytes_by_way(sizes, points)
    else:
        _times_by_width(times, floats)
        deepest = max(point["layers"] for point in points)
        _bytes_by_way(sizes, [point for point in points if point["layers"] == deepest])
        sizes.set_title(f"all {deepest} layers", fontsize=9)
    numbers = "layers, dimensions" if _one_width_each(floats) else "layers"
    times.set_xlabel(f"ms of a text of 64 tokens alone (numbers: {numbers})")
    times.set_ylabel("nDCG@10, points")
    times.set_xlim(left=0)
    sizes.set_xlabel("bytes of a stored vector")
    for axes in (times, sizes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(
            fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3
        )
    return figure


def frontier_picture(found: Mapping[str, Any], path: Path) -> None:
    """Write the figure as PNG."""
    save_png(frontier_figure(found), path)


def _one_width_each(floats: Points) -> bool:
    return len({(point["model"], point["layers"]) for point in floats}) == len(floats)


def _times_by_width(axes: Axes, floats: Points) -> None:
    for number, dims in enumerate(sorted({point["dims"] for point in floats}, reverse=True)):
        own = [point for point in floats if point["dims"] == dims]
        colour = MODEL_COLOURS[number % len(MODEL_COLOURS)]
        _line(axes, own, "ms_1", "o-", color=colour, label=f"{dims} dimensions")
    _label_layers(axes, [point for point in floats if point["dims"] == max(_dims(floats))])


def _times_by_model(axes: Axes, floats: Points) -> None:
    for number, model in enumerate(_models(floats)):
        own = [point for point in floats if point["model"] == model]
        colour = (ORANGE, GREY, BLUE)[number % 3]
        _line(axes, own, "ms_1", "o" + _STYLES[number % 4], color=colour, label=model)
        if not number:
            _label_layers(axes, own, widths=True)


def _bytes_by_way(axes: Axes, points: Points) -> None:
    models = _models(points)
    for number, model in enumerate(models):
        for stored in STORED:
            own = [p for p in points if p["stored"] == stored and p["model"] == model]
            colour, marker = _WAYS[stored]
            name = stored if len(models) == 1 else f"{model}, {stored}"
            style = marker + _STYLES[number % 4]
            _line(
                axes,
                own,
                "vector_bytes",
                style,
                color=colour,
                label=name,
                alpha=1 if not number else 0.5,
            )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")


def _line(axes: Axes, points: Points, across: str, style: str, **looks: Any) -> None:
    ordered = sorted(points, key=lambda point: (point["layers"], point["dims"]))
    heights = [100 * point["quality"] for point in ordered]
    axes.plot([point[across] for point in ordered], heights, style, markersize=4, **looks)


def _label_layers(axes: Axes, points: Points, *, widths: bool = False) -> None:
    for point in points:
        words = f"{point['layers']}, {point['dims']}" if widths else str(point["layers"])
        axes.annotate(
            words,
            (point["ms_1"], 100 * point["quality"]),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color="#333333",
        )


def _dims(points: Points) -> set[int]:
    return {point["dims"] for point in points}


def _models(points: Points) -> list[str]:
    return list(dict.fromkeys(point["model"] for point in points))
