"""Do large batches and weights that progress make better retrievers? The claim of Wu et al. 2023 (arXiv:2311.11691).

Encoders learn to find a function by the first sentence of its docstring: with batches of several sizes that see as many
rows, and with weights of hard negatives that stay, rise or fall as training goes on, on clean pairs and on pairs of
which a fifth are wrong. They are asked in packages that none has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from polyvec.recipes.papers import find_paper
from polyvec.recipes.recipe import Metrics, Recipe, Run, Source, Values, Verdict, gains

UNIFORM, CURRICULAR, SCHEDULED, CONSTANT, REVERSED = (
    *("uniform", "curricular", "scheduled"),
    *("constant hardness", "reversed schedule"),
)
WEIGHTINGS = (UNIFORM, CURRICULAR, SCHEDULED, CONSTANT, REVERSED)
PROGRESSIVE = (CURRICULAR, SCHEDULED)
SMALL, MEDIUM, LARGE = 32, 256, 2048
METRIC = "nDCG@10"
TWICE, CLOSED = "gradient difference, computed twice", "gradient difference, closed form"
_EXACT = 1e-4


def noisy(weighting: str) -> str:
    """Name of the arm with wrong positives."""
    return f"{weighting}, noisy"


def batch(rows: int) -> str:
    """Name of the arm with so many rows in a step."""
    return f"batch {rows:,}"


def _weighted(run: Run, weighting: str, wrong: bool) -> Metrics:
    from polyvec.recipes.peg_model import learn

    return learn(run, weighting, noisy=wrong)


def _batched(run: Run, rows: int) -> Metrics:
    from polyvec.recipes.peg_model import learn

    return learn(run, rows=rows)


def _large(run: Run) -> Metrics:
    """The largest batch, and whether the parts it is cut into give the gradient of the whole."""
    from polyvec.recipes.peg_exactness import exactness

    run.say("comparing gradients")
    return exactness(run) | _batched(run, LARGE)


def _sources() -> Mapping[str, Source]:
    from polyvec.recipes.peg_data import sources

    return sources()


def judge(values: Values) -> Verdict:
    """Apply the rule.

    Args:
        values: of the arms.
    """
    exact = max(*values[batch(LARGE)][TWICE], *values[batch(LARGE)][CLOSED]) < _EXACT
    rises = gains(values, batch(MEDIUM), batch(SMALL), METRIC)
    clean = {name: gains(values, name, UNIFORM, METRIC) for name in PROGRESSIVE}
    wrong = {name: gains(values, noisy(name), noisy(CONSTANT), METRIC) for name in PROGRESSIVE}
    if not exact:
        return "not seen at this scale"
    progress = [name for name in PROGRESSIVE if _progresses(values, name)]
    always = [name for name in progress if min(clean[name]) >= 0 and min(wrong[name]) > 0]
    if min(rises) > 0 and len(always) == len(PROGRESSIVE):
        return "holds"
    if max(rises) < 0 and all(max(clean[name]) < 0 for name in PROGRESSIVE):
        return "contradicted"
    mostly = [name for name in progress if fmean(clean[name]) >= 0 and fmean(wrong[name]) > 0]
    return "holds in part" if fmean(rises) > 0 or mostly else "not seen at this scale"


def _progresses(values: Values, weighting: str) -> bool:
    """Whether hard negatives are damped first and amplified later, and it matters that it is in this order."""
    found = values[weighting]
    damped = max(found["hard weight, first third"]) < 1
    amplified = min(found["hard weight, last third"]) > 1
    if weighting == CURRICULAR:
        return damped and amplified
    forward = gains(values, SCHEDULED, REVERSED, METRIC)
    with_noise = gains(values, noisy(SCHEDULED), noisy(REVERSED), METRIC)
    return damped and amplified and fmean([*forward, *with_noise]) > 0


def picture(evidence: dict[str, Any], path: Path) -> None:
    """Batches, weights on clean and noisy pairs, and how the weights went; a dot a seed."""
    from matplotlib.figure import Figure

    from polyvec.evaluation.figures import BLUE, GREY, ORANGE, save_png

    arms: Values = evidence["arms"]
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    figure.suptitle(f"peg: {evidence['verdict']}", fontsize=11)
    batches, weights, traces = figure.subplots(1, 3)
    for rows in (SMALL, MEDIUM, LARGE):
        found = arms[batch(rows)][METRIC]
        batches.plot([rows] * len(found), found, "o", color=BLUE, markersize=4)
    means = [fmean(arms[batch(rows)][METRIC]) for rows in (SMALL, MEDIUM, LARGE)]
    batches.plot([SMALL, MEDIUM, LARGE], means, color=BLUE)
    batches.set_xscale("log", base=2)
    batches.set_xlabel("rows in a step, as many rows in all")
    batches.set_ylabel(METRIC)
    for arm, colour, shift in ((str, BLUE, -0.15), (noisy, ORANGE, 0.15)):
        for place, weighting in enumerate(WEIGHTINGS):
            found = arms[arm(weighting)][METRIC]
            label = ("clean pairs" if arm is str else "a fifth wrong") if not place else None
            weights.plot(found, [place + shift] * len(found), "o", color=colour, markersize=4)
            weights.plot(
                [fmean(found)], [place + shift], "|", color=colour, markersize=14, label=label
            )
    weights.set_yticks(range(len(WEIGHTINGS)), list(WEIGHTINGS))
    weights.invert_yaxis()
    weights.set_xlabel(METRIC)
    weights.legend(fontsize=8)
    for weighting, colour in ((CURRICULAR, BLUE), (SCHEDULED, ORANGE), (REVERSED, GREY)):
        means = [
            fmean(arms[weighting][f"hard weight, {third} third"])
            for third in ("first", "middle", "last")
        ]
        traces.plot(range(3), means, "o-", color=colour, label=weighting)
    traces.axhline(1, color="#333333", linewidth=0.8)
    traces.set_xticks(range(3), ["first", "middle", "last"])
    traces.set_xlabel("third of the training, clean pairs")
    traces.set_ylabel("mean weight of hard negatives")
    traces.legend(fontsize=8)
    for axes in (batches, weights, traces):
        axes.spines[["top", "right"]].set_visible(False)
    save_png(figure, path)


_ARMS: Mapping[str, Callable[[Run], Metrics]] = {
    **{name: partial(_weighted, weighting=name, wrong=False) for name in WEIGHTINGS},
    **{noisy(name): partial(_weighted, weighting=name, wrong=True) for name in WEIGHTINGS},
    **{batch(rows): partial(_batched, rows=rows) for rows in (SMALL, MEDIUM)},
    batch(LARGE): _large,
}

RECIPE = Recipe(
    paper=find_paper("peg"),
    claim=(
        "A retriever learns more from large batches, and from hard negatives whose weight grows with its progress, "
        "also where some pairs are wrong."
    ),
    rule=(
        f"{METRIC} in packages that were not learned from. Holds, in every seed: with as many rows seen, batches of "
        f"{MEDIUM} are above batches of {SMALL}; curricular and scheduled weights are at least uniform ones on clean "
        "pairs and above constant hardness where a fifth of the positives is wrong; the mean weight of hard negatives "
        "is below 1 in the first third of the training and above 1 in the last; and, on the mean, the schedule is "
        "above the reversed one. Holds in part: on the mean over seeds, larger batches are above, or one of the two "
        "weights does all that is asked of it. Contradicted: in every seed, the larger batch and both weights on "
        "clean pairs are below. Otherwise not seen at this scale; and so where a gradient computed twice, or in closed "
        f"form, differs by {_EXACT:g} of its largest number."
    ),
    arms=_ARMS,
    metric=METRIC,
    judge=judge,
    sources=_sources,
    minutes={"cpu": 12, "gpu": 10},
    picture=picture,
    notes=(
        "The paper's formula of the weights is not public: both progressive weights are reconstructions, and the "
        "verdict is about them.",
        "Each row has five negatives of BM25's ranks 10 to 60, none above 0.95 of its positive's score, and all arms "
        "mask the same: the same text, and scores 0.1 above the positive.",
    ),
)
