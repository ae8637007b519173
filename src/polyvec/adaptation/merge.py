"""`polyvec.merge`: several models that were trained from one base become one.

Each method stands in a file of its own and works on task vectors. Here they get what they need, and the result is
written down beside the model. Methods that are not ours (``karcher``, ``breadcrumbs``, ``della`` …) are those of
mergekit, through sentence-transformers' own `SentenceTransformer.merge`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from polyvec.adaptation.dare import dare
from polyvec.adaptation.fisher import fisher, importances
from polyvec.adaptation.regmean import input_products, regmean
from polyvec.adaptation.self_positioning import Position, Probe, SelfPositioning, probe_loss
from polyvec.adaptation.slerp import slerp_coefficients
from polyvec.adaptation.soups import cocktail_shares, greedy_shares, shares
from polyvec.adaptation.task_vectors import Delta, TaskVectors, task_vectors
from polyvec.adaptation.ties import Granularity, ties
from polyvec.encoders.loading import model_fingerprint, save
from polyvec.errors import BadInput
from polyvec.files import write_json
from polyvec.training.batch_loss import batch_loss

JUDGED_BY = 256
"""Most pairs of a task by which a model is judged."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What `merge` gives back.

    Attributes:
        model: the merged model.
        method: how it was merged.
        names: of the models, in order.
        coefficients: how much of each task vector it holds, where it is a sum of them; else None.
        position: what Self Positioning learned; else None.
        gram: inner products of the task vectors.
        options: what was asked for.
        parents: fingerprints of base and models.
    """

    model: SentenceTransformer = field(repr=False)
    method: str
    names: list[str]
    coefficients: list[float] | None
    position: Position | None
    gram: list[list[float]]
    options: dict[str, Any]
    parents: dict[str, str]

    def save(self, folder: str | Path) -> Path:
        """Write the model, and ``merge.json`` beside its files, which tells how it came to be."""
        path = Path(folder)
        save(self.model, path)
        told: dict[str, Any] = {
            "method": self.method,
            "models": self.names,
            "coefficients": self.coefficients,
            "options": self.options,
            "parents": self.parents,
            "gram": self.gram,
        }
        if self.position:
            told |= {
                "weights": self.position.weights,
                "scale": self.position.scale,
                "history": self.position.history,
            }
        write_json(path / "merge.json", told)
        return path


def merge(
    base: SentenceTransformer,
    models: Sequence[SentenceTransformer],
    method: str = "slerp",
    *,
    weights: Sequence[float] | None = None,
    scale: float = 1.0,
    probe: Probe | None = None,
    include: str | None = None,
    exclude: str | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    **options: Any,
) -> Merged:
    """Merge models that were trained from one base into one model of the same size.

    Args:
        base: the model that all of them were trained from.
        models: one or more; a single one can be scaled, or placed by Self Positioning.
        method: ``average`` (mean of task vectors), ``slerp`` (keeps their length; in turn where there are more than
            two), ``task_arithmetic`` (their sum; with a negative scale the base forgets a task), ``ties``,
            ``dare_linear`` and ``dare_ties`` (most changes dropped first), ``fisher``, ``regmean``, ``greedy_soup``,
            ``cocktail`` (LM-Cocktail), ``self_positioning`` (learned); or a method of mergekit.
        weights: of the models, above 0; equal by default. ``ties`` and those that choose by data take none.
        scale: factor of the merged task vector.
        probe: task → columns (anchors, positives, negatives if there are any), for the methods that choose by data.
            ``fisher`` and ``regmean`` take a task of each model, in the same order.
        include: a regular expression; weights whose name holds no match stay as in the base.
        exclude: a regular expression; weights whose name holds a match stay as in the base.
        names: of the models, for messages and reports.
        seed: of everything random.
        options: of the method: ``density`` and ``granularity`` of TIES, ``drop`` of DARE, ``keep`` of RegMean,
            ``temperature`` of the cocktail, ``steps``, ``mu``, ``learning_rate``, ``batch`` and ``space`` of Self
            Positioning; parameters of mergekit's methods.

    Returns:
        The model and how it came to be.

    Raises:
        BadInput: when the models do not come from the base, a method or an option is not known, or something that the
            method needs is missing, mergekit for its methods among it.

    Example:
        >>> merged = merge(base, [first, second], "slerp", weights=[1, 2])  # doctest: +SKIP
        >>> merged.save("merged")  # doctest: +SKIP
    """
    vectors = task_vectors(base, models, names=names, include=include, exclude=exclude)
    if weights is not None and (len(weights) != len(models) or min(weights) <= 0):
        raise BadInput(
            f"weights {list(weights)} of {len(models)} models: give one above 0 for each"
        )
    given = _Given(vectors, list(models), list(weights or [1.0] * len(models)), probe or {}, seed)
    coefficients, position = None, None
    if method in _SUMS:
        found = _called(_SUMS, method, given, options)
        position = found if isinstance(found, Position) else None
        coefficients = [scale * share for share in (position.coefficients if position else found)]
        model = vectors.applied(vectors.combined(coefficients))
    elif method in _OTHERS:
        delta = _called(_OTHERS, method, given, options)
        model = vectors.applied({name: scale * change for name, change in delta.items()})
    else:
        model = _by_mergekit(base, models, method, weights, options)
    asked = {"weights": given.weights, "scale": scale, "include": include, "exclude": exclude}
    prints = {
        name: model_fingerprint(found) for name, found in zip(vectors.names, models, strict=True)
    }
    return Merged(
        model=model,
        method=method,
        names=vectors.names,
        coefficients=coefficients,
        position=position,
        gram=vectors.gram().tolist(),
        options=asked | {"seed": seed, **options},
        parents={"base": model_fingerprint(base)} | prints,
    )


@dataclass(frozen=True, slots=True)
class _Given:
    """What every method may look at."""

    vectors: TaskVectors
    models: list[SentenceTransformer]
    weights: list[float]
    probe: Probe
    seed: int

    def probed(self, method: str) -> Probe:
        if not self.probe:
            raise BadInput(f"{method} chooses by data: give a probe, pairs of every task")
        return self.probe

    def own(self, method: str) -> list[Sequence[Sequence[str]]]:
        """Columns of each model's own task."""
        if len(self.probed(method)) != len(self.models):
            raise BadInput(
                f"{method}: {len(self.probe)} tasks of {len(self.models)} models; give one for each, in their order"
            )
        return list(self.probe.values())


def _average(given: _Given) -> list[float]:
    return shares(given.weights)


def _slerp(given: _Given) -> list[float]:
    found: list[float] = slerp_coefficients(given.vectors.gram(), given.weights).tolist()
    return found


def _task_arithmetic(given: _Given) -> list[float]:
    return given.weights


def _greedy_soup(given: _Given) -> list[float]:
    probe = given.probed("greedy_soup")
    return greedy_shares(given.vectors, lambda model: -_loss(model, probe))


def _cocktail(given: _Given, temperature: float = 5.0) -> list[float]:
    probe = given.probed("cocktail")
    return cocktail_shares([_loss(model, probe) for model in given.models], temperature)


def _self_positioning(given: _Given, **options: Any) -> Position:
    return SelfPositioning(seed=given.seed, **options).fit(
        given.vectors, given.probed("self_positioning")
    )


def _ties(given: _Given, density: float = 0.2, granularity: Granularity = "global") -> Delta:
    return ties(given.vectors, density=density, granularity=granularity)


def _dare_linear(given: _Given, drop: float = 0.9) -> Delta:
    return dare(given.vectors, drop=drop, seed=given.seed).combined(shares(given.weights))


def _dare_ties(
    given: _Given, drop: float = 0.9, density: float = 1.0, granularity: Granularity = "global"
) -> Delta:
    thinned = dare(given.vectors, drop=drop, seed=given.seed)
    return ties(thinned, density=density, granularity=granularity)


def _fisher(given: _Given, batch: int = 8, batches: int = 64) -> Delta:
    found = [
        importances(model, columns, probe_loss, batch=batch, batches=batches, seed=given.seed)
        for model, columns in zip(given.models, given.own("fisher"), strict=True)
    ]
    return fisher(given.vectors, found, given.weights)


def _regmean(given: _Given, keep: float = 0.1) -> Delta:
    found = [
        input_products(model, [text for column in columns for text in column])
        for model, columns in zip(given.models, given.own("regmean"), strict=True)
    ]
    return regmean(given.vectors, found, keep=keep)


_SUMS: Mapping[str, Callable[..., Any]] = {
    "average": _average,
    "slerp": _slerp,
    "task_arithmetic": _task_arithmetic,
    "greedy_soup": _greedy_soup,
    "cocktail": _cocktail,
    "self_positioning": _self_positioning,
}
"""Methods whose result is a sum of task vectors, each times a number."""
_OTHERS: Mapping[str, Callable[..., Any]] = {
    "ties": _ties,
    "dare_linear": _dare_linear,
    "dare_ties": _dare_ties,
    "fisher": _fisher,
    "regmean": _regmean,
}
METHODS = (*_SUMS, *_OTHERS)
"""Ours; mergekit knows more."""


def _called(
    methods: Mapping[str, Callable[..., Any]], method: str, given: _Given, options: dict[str, Any]
) -> Any:
    work = methods[method]
    taker = SelfPositioning.__init__ if method == "self_positioning" else work
    known = set(inspect.signature(taker).parameters) - {"given", "self", "seed"}
    if unknown := sorted(options.keys() - known):
        raise BadInput(
            f"{method} has no option {unknown[0]!r}; it has {', '.join(sorted(known)) or 'none'}"
        )
    return work(given, **options)


@torch.no_grad()
def _loss(model: SentenceTransformer, probe: Probe) -> float:
    """Mean over tasks of a model's loss on the first pairs of each."""
    objective = probe_loss(model).eval()
    found = [
        float(batch_loss(objective, [list(column[:JUDGED_BY]) for column in columns]))
        for columns in probe.values()
    ]
    return sum(found) / len(found)


def _by_mergekit(
    base: SentenceTransformer,
    models: Sequence[SentenceTransformer],
    method: str,
    weights: Sequence[float] | None,
    options: dict[str, Any],
) -> SentenceTransformer:
    try:
        from mergekit.merge_methods import get
    except ImportError:
        raise BadInput(
            f"no method of ours is called {method!r}; ours are {', '.join(METHODS)}, and mergekit has more: "
            "pip install 'polyvec[merge]'"
        ) from None
    try:
        wants_base = get(method).spec.contract.base.name != "IGNORED"
        parameters = dict(options) | ({"weight": list(weights)} if weights else {})
        merged: SentenceTransformer = SentenceTransformer.merge(
            list(models), method, base_model=base if wants_base else None, parameters=parameters
        )
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise BadInput(f"{method}: {str(error).partition(chr(10))[0]}") from None
    return merged
