"""Pictures of a domain gap: scores in groups of like complexity, and what is left of the gap under each control."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from polyvec.evaluation.complexity_subgroups import GROUPS, tertile_groups
from polyvec.evaluation.figures import BLUE, GREY, ORANGE, SKY
from polyvec.evaluation.gap_design import Floats

if TYPE_CHECKING:
    from polyvec.evaluation.domain_gap import GapReport

_INK = "#222222"
_BOX = 0.36
_ACROSS = 2
_GOLDEN = (5**0.5 - 1) / 2


def group_boxes(report: GapReport) -> Figure:
    """For each measure the scores of both domains' data sets at low, medium and high complexity.

    A box holds the middle half with the median, whiskers reach 1.5 times its height at most, and every data set is a
    dot.
    """
    down = -(-len(report.measures) // _ACROSS)
    across = min(_ACROSS, len(report.measures))
    figure = Figure(figsize=(4.6 * across + 0.4, 2.9 * down + 0.5), layout="constrained")
    axes = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for place, measure in zip(axes, report.measures, strict=False):
        _boxes(place, report, measure)
    for place in axes[len(report.measures) :]:
        place.set_visible(False)
    for place in axes[::across]:
        place.set_ylabel("score, points")
    sides = ((SKY, report.reference), (ORANGE, report.target))
    figure.legend(
        handles=[Patch(facecolor=colour, edgecolor=_INK, label=name) for colour, name in sides],
        loc="outside upper center",
        ncols=2,
        frameon=False,
    )
    return figure


def coefficients(report: GapReport) -> Figure:
    """The gap under each control, with its 95 % interval."""
    domain = report.regression[report.regression["term"] == "domain"]
    figure = Figure(figsize=(7, 0.42 * len(domain) + 1.1), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(domain))
    values = 100 * domain[["low", "estimate", "high"]].to_numpy(dtype=float)
    for place, (low, value, high) in zip(places, values, strict=True):
        colour = GREY if place == 0 else BLUE
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(value, place, "o", color=colour, markersize=6)
        axes.annotate(
            f"{value:+.1f}",
            (value, place),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.axvline(0, color=_INK, linewidth=0.9, linestyle=":")
    axes.set_yticks(places, [f"held equal: {control}" for control in domain["control"]])
    axes.set_ylim(len(domain) - 0.5, -0.7)
    axes.set_xlabel(f"{report.target} minus {report.reference}, points")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def as_svg(figure: Figure) -> str:
    """The picture as an ``<svg>`` element, the same text for the same picture."""
    content = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "polyvec"}):
        figure.savefig(content, format="svg", bbox_inches="tight", metadata={"Date": None})
    return content.getvalue()[content.getvalue().index("<svg") :]


def _boxes(axes: Axes, report: GapReport, measure: str) -> None:
    table = report.datasets
    groups = np.array(tertile_groups(table[measure].to_numpy(dtype=float)))
    sides = ((report.reference, SKY, -0.2), (report.target, ORANGE, 0.2))
    for place, group in enumerate(GROUPS):
        for domain, colour, aside in sides:
            chosen = (groups == group) & (table["domain"] == domain).to_numpy()
            scores = 100 * table.loc[chosen, "score"].to_numpy(dtype=float)
            if len(scores):
                _box(axes, scores, place + aside, colour)
    axes.set_xticks(range(len(GROUPS)), GROUPS)
    axes.set_xlim(-0.6, len(GROUPS) - 0.4)
    axes.set_title(measure, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _box(axes: Axes, scores: Floats, place: float, colour: str) -> None:
    axes.boxplot(
        [scores],
        positions=[place],
        widths=_BOX,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "alpha": 0.55, "edgecolor": _INK},
        medianprops={"color": _INK, "linewidth": 1.6},
    )
    # Steps of the golden section keep dots of like scores apart.
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    aside = ((order + 0.5) * _GOLDEN % 1 - 0.5) * 0.6 * _BOX
    axes.scatter(place + aside, scores, s=9, color=_INK, alpha=0.7, linewidths=0, zorder=3)
