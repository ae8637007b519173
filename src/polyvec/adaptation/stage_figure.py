"""A picture of training in stages: the loss of each step, and below it what the terms of the objective did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyvec.adaptation.report_figures import smooth
from polyvec.evaluation.figures import GREY, MODEL_COLOURS, save_png

Curve = Sequence[Mapping[str, float]]
ALWAYS = ("step", "seconds", "loss", "learning_rate")
"""What a point has whatever the objective is; all else are terms."""


def stage_picture(curves: Mapping[str, Curve], path: Path) -> None:
    """Draw the stages side by side on one axis of steps.

    Args:
        curves: stage → points of `polyvec.training.fine_tuning.fine_tune`.
        path: of the PNG.
    """
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    losses, terms = figure.subplots(2, 1, sharex=True)
    looks = dict(zip(_names(curves.values()), product("-:", MODEL_COLOURS), strict=False))
    before = 0
    for number, (name, curve) in enumerate(curves.items()):
        steps = [before + point["step"] for point in curve]
        colour = MODEL_COLOURS[number % len(MODEL_COLOURS)]
        values = [point["loss"] for point in curve]
        losses.plot(steps, values, color=colour, alpha=0.3, linewidth=1)
        losses.plot(steps, smooth(values), color=colour, label=name)
        _terms(terms, steps, curve, looks)
        if before:
            for axes in (losses, terms):
                axes.axvline(before + 0.5, color="#bbbbbb", linewidth=0.8)
        before = int(steps[-1])
    losses.set_ylabel("loss (line: running mean)")
    terms.set_ylabel("terms of the objective")
    terms.set_xlabel("steps")
    for axes in (losses, terms):
        axes.spines[["top", "right"]].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        axes.legend(
            unique.values(), unique.keys(), fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    save_png(figure, path)


def _terms(
    axes: Axes, steps: Sequence[float], curve: Curve, looks: Mapping[str, tuple[str, str]]
) -> None:
    for name in _names([curve]):
        known = [(step, p[name]) for step, p in zip(steps, curve, strict=True) if name in p]
        shown = name.replace("_", " ")
        line, colour = looks.get(name, ("--", GREY))
        axes.plot(*zip(*known, strict=True), line, color=colour, linewidth=1.2, label=shown)


def _names(curves: Iterable[Curve]) -> list[str]:
    found = dict.fromkeys(key for curve in curves for point in curve for key in point)
    return [name for name in found if name not in ALWAYS]
