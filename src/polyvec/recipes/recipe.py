"""What a recipe is: a paper's claim as an experiment that anyone can run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal

from polyvec.errors import BadInput
from polyvec.recipes.papers import PAPERS, Paper

Scale = Literal["cpu", "gpu"]
Verdict = Literal["holds", "holds in part", "not seen at this scale", "contradicted"]
Metrics = dict[str, float]
Values = dict[str, dict[str, list[float]]]
"""Arm → metric → a value per seed."""

SCALES: tuple[Scale, ...] = ("cpu", "gpu")


@dataclass(frozen=True, slots=True)
class Run:
    """What an arm is given.

    Attributes:
        seed: of everything random; each arm gets the same seeds.
        scale: ``cpu`` or ``gpu``.
        device: where to compute.
        cache: folder that all arms and seeds share, for what is dear to compute and the same for each of them.
        say: reports progress; a short line.
    """

    seed: int
    scale: Scale
    device: str
    cache: Path
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Data that a recipe used: where its evidence says that it comes from.

    Attributes:
        sha256: of the uncompressed content.
        rows: how many examples it holds.
    """

    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A claim and the experiment that decides it. The rule is written before the runs, and never loosened after.

    Attributes:
        paper: where the claim was made; its slug is what `polyvec reproduce` takes.
        claim: one sentence.
        rule: the sentences that decide the verdict.
        arms: name → what it does; the first is the baseline.
        metric: name of the metric that arms are compared by.
        judge: applies the rule to the values.
        sources: name → data used; called after the runs.
        minutes: expected, for all arms and seeds.
        seeds: how many.
        higher_is_better: of the metric.
        picture: draws the plot beside the evidence; bars of the metric where None.
        notes: what a reader should know: what departs from the paper, and why.
    """

    paper: Paper
    claim: str
    rule: str
    arms: Mapping[str, Callable[[Run], Metrics]]
    metric: str
    judge: Callable[[Values], Verdict]
    sources: Callable[[], Mapping[str, Source]]
    minutes: Mapping[Scale, float]
    seeds: int = 3
    higher_is_better: bool = True
    picture: Callable[[dict[str, Any], Path], None] | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Slug of the paper."""
        return self.paper.name

    @property
    def baseline(self) -> str:
        """The arm that the others are compared with."""
        return next(iter(self.arms))


def gains(values: Values, ours: str, theirs: str, metric: str) -> list[float]:
    """How much higher one arm is than another in a metric, seed by seed.

    Example:
        >>> gains({"a": {"score": [2.0, 5.0]}, "b": {"score": [1.0, 1.0]}}, "a", "b", "score")
        [1.0, 4.0]
    """
    pairs = zip(values[ours][metric], values[theirs][metric], strict=True)
    return [mine - other for mine, other in pairs]


def recipes() -> list[Recipe]:
    """All recipes: modules called as their papers are. They import what is heavy only when an arm runs."""
    package = import_module("polyvec.recipes")
    papers = {module_name(paper) for paper in PAPERS}
    named = (module.name for module in iter_modules(package.__path__) if module.name in papers)
    return [import_module(f"polyvec.recipes.{name}").RECIPE for name in named]


def module_name(paper: Paper) -> str:
    """What the module of a paper's recipe is called: names in Python have no hyphens, and begin with no digit.

    Example:
        >>> from polyvec.recipes.papers import find_paper
        >>> module_name(find_paper("kalm-v2")), module_name(find_paper("2dmse"))
        ('kalm_v2', 'twodmse')
    """
    name = paper.name.replace("-", "_")
    return f"two{name[1:]}" if name.startswith("2") else name


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        BadInput: when there is none; the sentence names those there are.
    """
    found = {recipe.name: recipe for recipe in recipes()}
    if name not in found:
        raise BadInput(f"no recipe is called {name!r}; there are {', '.join(sorted(found))}")
    return found[name]
