"""The picture beside a recipe's evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from polyvec.evaluation.arms import compare_arms
from polyvec.evaluation.figures import BLUE, GREY, save_png

_SEED = "#222222"


def arm_bars(evidence: dict[str, Any], path: Path) -> None:
    """Mean of the recipe's metric for each arm, with its standard deviation and a dot a seed."""
    metric, baseline = evidence["metric"], evidence["baseline"]
    values = {arm: metrics[metric] for arm, metrics in evidence["arms"].items()}
    compared = compare_arms(values, baseline)
    figure = Figure(figsize=(7, 0.55 * len(values) + 1.4), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(values))
    axes.barh(
        places,
        [compared[arm].mean for arm in values],
        xerr=[compared[arm].sd for arm in values],
        color=[GREY if arm == baseline else BLUE for arm in values],
        error_kw={"capsize": 3, "linewidth": 1},
        height=0.6,
    )
    for place, arm in enumerate(values):
        axes.scatter(values[arm], [place] * len(values[arm]), s=12, color=_SEED, zorder=3)
    axes.set_yticks(places, list(values))
    axes.invert_yaxis()
    axes.set_xlabel(f"{metric} (bars: mean and standard deviation; dots: seeds)")
    axes.set_title(f"{evidence['name']}: {evidence['verdict']}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    save_png(figure, path)
