"""The statistics of the domain-gap analysis on data whose truth is known.

Tang and Yang 2024 (arXiv:2409.18511) ask whether models are worse on finance, or finance texts harder. Before any
real data is believed, the tool has to pass this: scores of 7 models on 60 data sets of 7 task types, half of them
finance, are drawn from

    score = .7 + gap · domain + slope · complexity + task-type effect + model effect + noise(.05)

with a gap that is known. `coverage`: how often the 95 % interval of the fitted gap holds the true one. `false_gap`:
with no gap at all, but finance texts that are harder, how often a test that ignores complexity "finds" one, and how
often ours does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyvec.evaluation.cluster_robust import Coefficient, cluster_robust
from polyvec.evaluation.domain_permutation import Permutation, permutation_test
from polyvec.evaluation.gap_design import Floats, nuisance, standardised

GAP, SLOPE, NOISE = -0.10, -0.05, 0.05
CORRELATION = 0.6
"""Between complexity and domain, where `false_gap` looks."""
TASK_TYPES = (
    *("classification", "clustering", "pair classification", "reranking", "retrieval"),
    *("sts", "summarisation"),
)
RUNS = 200
COVERAGE_RUNS = 2_000
"""The specification asks for 93 % of 200, which an interval that is right misses for one seed in fourteen; of 2,000 it
misses next to none."""
_LEVEL = 0.05
_EFFECT = 0.02
"""Standard deviation of task-type and model effects."""
_DRAWS = 999


@dataclass(frozen=True, slots=True)
class World:
    """What is true of simulated scores.

    Attributes:
        gap: of the domain, in units of the score.
        slope: of complexity, per standard deviation.
        correlation: between complexity and domain.
        noise: standard deviation, drawn anew for each model and data set.
        shared: standard deviation of what all models share on a data set; the specification has none.
        datasets: how many.
        models: how many.
    """

    gap: float = GAP
    slope: float = SLOPE
    correlation: float = 0.0
    noise: float = NOISE
    shared: float = 0.0
    datasets: int = 60
    models: int = 7


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the interval held the truth.

    Attributes:
        share: of the runs whose 95 % interval holds the true gap.
        bias: mean estimate minus the true gap.
        width: mean width of the intervals.
        runs: how many.
    """

    share: float
    bias: float
    width: float
    runs: int

    def to_dict(self) -> dict[str, float]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FalseGap:
    """How often a gap was found where there is none: shares of the runs with p < .05.

    Attributes:
        raw: without complexity held equal (one-sided, against the gap not being below zero).
        controlled: with complexity held equal, the same test.
        controlled_two_sided: the same fit, tested in both directions.
        permuted: with complexity held equal, shuffled labels, coefficients compared (two-sided).
        permuted_studentized: the same shuffles, t statistics compared.
        runs: how many.
    """

    raw: float
    controlled: float
    controlled_two_sided: float
    permuted: float
    permuted_studentized: float
    runs: int

    def to_dict(self) -> dict[str, float]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """What is the same in every draw.

    Attributes:
        in_target: whether each data set is of the domain in question.
        codes: number of each data set's task type.
        clusters: the data set of each row; rows are data sets by models.
        effects: intercept, task types and models of each row.
    """

    in_target: NDArray[np.bool_]
    codes: NDArray[np.intp]
    clusters: NDArray[np.intp]
    effects: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """One simulated table: a row a data set, in ``scores`` a column a model."""

    scores: Floats
    complexity: Floats


def simulate_gap(seed: int, world: World | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw scores and complexities as `polyvec.evaluation.domain_gap.domain_gap` takes them.

    Args:
        seed: of the draw.
        world: what is true.

    Returns:
        ``results`` with ``model``, ``dataset``, ``task_type``, ``domain`` (``finance`` or ``general``), ``score``, and
        ``complexity`` with ``dataset``, ``complexity``. The rare score above 1 is cut to it, as a real one would be.

    Example:
        >>> results, complexity = simulate_gap(0)
        >>> len(results), len(complexity), sorted(set(results["domain"]))
        (420, 60, ['finance', 'general'])
    """
    truth = world or World()
    layout = _layout(truth)
    drawn = _draw(np.random.default_rng(seed), truth, layout)
    count, models = drawn.scores.shape
    names = [f"set {number:02d}" for number in range(count)]
    domains = np.where(layout.in_target, "finance", "general")
    results = pd.DataFrame(
        {
            "model": np.tile([f"model {number}" for number in range(models)], count),
            "dataset": np.repeat(names, models),
            "task_type": np.repeat([TASK_TYPES[code] for code in layout.codes], models),
            "domain": np.repeat(domains, models),
            "score": np.clip(drawn.scores.ravel(), -1, 1),
        }
    )
    return results, pd.DataFrame({"dataset": names, "complexity": drawn.complexity})


def coverage(runs: int = COVERAGE_RUNS, seed: int = 0, world: World | None = None) -> Coverage:
    """Fit the gap with complexity held equal in many draws, and count the intervals that hold the true one.

    Args:
        runs: how many draws.
        seed: of the first; each draw has a seed of its own.
        world: what is true; by default a gap of -.10 and complexity that has nothing to do with the domain.

    Example:
        >>> coverage(runs=5).runs
        5
    """
    truth = world or World()
    layout = _layout(truth)
    found = [_controlled(_draw(rng, truth, layout), layout) for rng in _generators(runs, seed)]
    low, high = (np.array([getattr(one, end) for one in found]) for end in ("low", "high"))
    return Coverage(
        float(((low <= truth.gap) & (truth.gap <= high)).mean()),
        float(np.mean([one.estimate for one in found]) - truth.gap),
        float((high - low).mean()),
        runs,
    )


def false_gap(runs: int = RUNS, seed: int = 0, world: World | None = None) -> FalseGap:
    """Count the gaps that are found where there is none, but where one domain's texts are harder.

    Args:
        runs: how many draws.
        seed: of the first.
        world: what is true; by default no gap, and complexity correlated .6 with the domain.

    Example:
        >>> false_gap(runs=5).raw
        1.0
    """
    truth = world or World(gap=0.0, correlation=CORRELATION)
    layout = _layout(truth)
    draws = [_draw(rng, truth, layout) for rng in _generators(runs, seed)]
    raw = [_raw(drawn, layout) for drawn in draws]
    held = [_controlled(drawn, layout) for drawn in draws]
    shuffled = [_shuffled(drawn, layout, number) for number, drawn in enumerate(draws)]

    return FalseGap(
        _below_level([one.p_less for one in raw]),
        _below_level([one.p_less for one in held]),
        _below_level([one.p for one in held]),
        _below_level([one.p for one in shuffled]),
        _below_level([one.p_studentized for one in shuffled]),
        runs,
    )


def _below_level(p: list[float]) -> float:
    return float((np.array(p) < _LEVEL).mean())


def _generators(runs: int, seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(runs)]


def _layout(world: World) -> _Layout:
    count, models = world.datasets, world.models
    # Pairs of neighbours, one of each domain, share a task type: every type has both domains.
    codes = (np.arange(count) // 2) % len(TASK_TYPES)
    clusters = np.repeat(np.arange(count), models)
    numbers = list(np.tile(np.arange(models), count))
    effects = nuisance(count * models, [list(codes[clusters]), numbers])
    return _Layout(np.arange(count) % 2 == 1, codes, clusters, effects)


def _draw(rng: np.random.Generator, world: World, layout: _Layout) -> _Drawn:
    count = world.datasets
    domain = standardised(layout.in_target.astype(float))
    own = np.sqrt(1 - world.correlation**2) * rng.standard_normal(count)
    complexity = world.correlation * domain + own
    per_dataset = (
        0.7
        + world.gap * layout.in_target
        + world.slope * complexity
        + rng.normal(0, _EFFECT, len(TASK_TYPES))[layout.codes]
        + rng.normal(0, world.shared, count)
    )
    per_model = rng.normal(0, _EFFECT, world.models)
    noise = rng.normal(0, world.noise, (count, world.models))
    return _Drawn(per_dataset[:, None] + per_model + noise, complexity)


def _raw(drawn: _Drawn, layout: _Layout) -> Coefficient:
    """The gap with task types and models held equal."""
    domain = layout.in_target[layout.clusters].astype(float)
    design = np.column_stack([domain, layout.effects])
    return cluster_robust(design, drawn.scores.ravel(), layout.clusters).coefficient(0)


def _controlled(drawn: _Drawn, layout: _Layout) -> Coefficient:
    """The gap with complexity held equal too."""
    domain = layout.in_target[layout.clusters].astype(float)
    design = np.column_stack([domain, layout.effects, drawn.complexity[layout.clusters]])
    return cluster_robust(design, drawn.scores.ravel(), layout.clusters).coefficient(0)


def _shuffled(drawn: _Drawn, layout: _Layout, seed: int) -> Permutation:
    return permutation_test(
        drawn.scores.ravel(),
        np.column_stack([layout.effects, drawn.complexity[layout.clusters]]),
        layout.clusters,
        layout.in_target,
        list(layout.codes),
        draws=_DRAWS,
        seed=seed,
    )
