"""Task vectors: what fine-tuning changed, as something to compute with (Ilharco et al. 2023, arXiv:2212.04089).

A task vector is the difference between a model's weights and those of the model that it was trained from. Merging
models is arithmetic on task vectors, and looking at them tells which models will get into each other's way.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from polyvec.errors import BadInput

Delta = dict[str, Tensor]
"""Weight's name → what is added to it, float32 on the processor."""

FAR = 0.5
"""Length of a task vector beside that of the base's weights above which a model hardly comes from there."""


@dataclass(frozen=True, slots=True)
class TaskVectors:
    """What several models, trained from one base, changed in it.

    Build it with `task_vectors`.

    Attributes:
        base: the common start.
        deltas: for each model, every weight's change. Tied weights stand once.
        names: of the models, in the same order.
    """

    base: SentenceTransformer
    deltas: list[Delta]
    names: list[str]

    def gram(self) -> Tensor:
        """Inner products of all pairs, shape (models, models), float64."""
        found = torch.zeros((len(self.deltas), len(self.deltas)), dtype=torch.float64)
        for name in self.deltas[0]:
            rows = torch.stack([delta[name].flatten() for delta in self.deltas]).double()
            found.addmm_(rows, rows.T)
        return found

    def combined(self, coefficients: Sequence[float] | Tensor) -> Delta:
        """The sum of task vectors, each times its coefficient."""
        weights = [float(value) for value in coefficients]
        return {
            name: torch.stack(
                [weight * delta[name] for weight, delta in zip(weights, self.deltas, strict=True)]
            ).sum(dim=0)
            for name in self.deltas[0]
        }

    def applied(self, delta: Mapping[str, Tensor]) -> SentenceTransformer:
        """A new model: the base's weights and a change of them; what was left out stays as in the base."""
        model = copy.deepcopy(self.base)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in delta:
                    weight.add_(delta[name].to(weight))
        return model


def task_vectors(
    base: SentenceTransformer,
    models: Sequence[SentenceTransformer],
    *,
    names: Sequence[str] | None = None,
    include: str | None = None,
    exclude: str | None = None,
) -> TaskVectors:
    """What each model changed in its base.

    Args:
        base: the model that all of them were trained from.
        models: one or more.
        names: of the models, for messages and reports; by default "model 1", "model 2" ….
        include: a regular expression; weights whose name holds no match stay as in the base.
        exclude: a regular expression; weights whose name holds a match stay as in the base.

    Raises:
        BadInput: when no model is given; the models are built differently or read with another vocabulary; a weight
            is not a number; a model is the base itself, or so far from it that it cannot come from there; or the
            expressions leave no weight.

    Example:
        >>> from torch import nn
        >>> base = SentenceTransformer(modules=[nn.Linear(2, 2)])
        >>> tuned = copy.deepcopy(base)
        >>> _ = tuned[0].weight.data.mul_(1.1)
        >>> found = task_vectors(base, [tuned])
        >>> torch.allclose(found.applied(found.deltas[0])[0].weight, tuned[0].weight)
        True
    """
    called = list(names) if names else [f"model {number}" for number in range(1, len(models) + 1)]
    if not models:
        raise BadInput("no model to merge: give one or more that were trained from the base")
    for name, model in zip(called, models, strict=True):
        refuse_different(base, model, name)
    start = _weights(base)
    kept = [name for name in start if _is_kept(name, include, exclude)]
    if not kept:
        raise BadInput(f"include {include!r} and exclude {exclude!r} leave no weight to merge")
    deltas = []
    for name, model in zip(called, models, strict=True):
        weights = _weights(model)
        delta = {key: weights[key].float().cpu() - start[key].float().cpu() for key in kept}
        _refuse_strange(delta, start, name)
        deltas.append(delta)
    return TaskVectors(base, deltas, called)


def refuse_different(base: SentenceTransformer, model: SentenceTransformer, name: str) -> None:
    """Refuse models whose weights mean different things.

    Raises:
        BadInput: when modules, their settings, weights or vocabularies differ; the sentence names the first.
    """
    kinds = [[type(module).__name__ for module in found] for found in (base, model)]
    if kinds[0] != kinds[1]:
        raise BadInput(
            f"{name} is made of {', '.join(kinds[1])}, and the base of {', '.join(kinds[0])}; "
            "models can be merged that were trained from the same one"
        )
    for number, (mine, other) in enumerate(zip(base, model, strict=True)):
        if number and _settings(mine) != _settings(other):
            raise BadInput(
                f"{name}: {type(other).__name__} is set differently from the base "
                f"({_settings(other)} beside {_settings(mine)}); merged weights would fit neither"
            )
    if _vocabulary(base) != _vocabulary(model):
        raise BadInput(f"{name} has another vocabulary than the base; its words have other numbers")
    shapes = [
        {key: value.shape for key, value in _weights(found).items()} for found in (base, model)
    ]
    different = sorted(
        key
        for key in shapes[0].keys() | shapes[1].keys()
        if shapes[0].get(key) != shapes[1].get(key)
    )
    if different:
        raise BadInput(
            f"{name}: {len(different)} weights are of another shape than the base's, first {different[0]}; "
            "models can be merged that were trained from the same one"
        )


def length(delta: Mapping[str, Tensor]) -> float:
    """Euclidean length of a task vector."""
    squares = [float(part.double().square().sum()) for part in delta.values()]
    return math.sqrt(sum(squares))


def _weights(model: SentenceTransformer) -> Delta:
    return {name: weight.detach() for name, weight in model.named_parameters()}


def _is_kept(name: str, include: str | None, exclude: str | None) -> bool:
    wanted = include is None or re.search(include, name) is not None
    return wanted and (exclude is None or re.search(exclude, name) is None)


def _settings(module: Any) -> dict[str, Any]:
    given = getattr(module, "get_config_dict", None)
    found: dict[str, Any] = given() if given else {}
    return found


def _vocabulary(model: SentenceTransformer) -> dict[str, int] | None:
    tokenizer = getattr(model[0], "tokenizer", None)
    numbers = getattr(tokenizer, "get_vocab", None)
    return numbers() if numbers else None


def _refuse_strange(delta: Delta, start: Delta, name: str) -> None:
    found = length(delta)
    if not found < float("inf"):
        raise BadInput(f"{name}: some of its weights are not numbers")
    if found == 0:
        raise BadInput(f"{name} has the weights of the base; there is nothing to merge")
    share = found / max(length({key: start[key] for key in delta}), 1e-12)
    if share > FAR:
        raise BadInput(
            f"{name} is {share:.2f} times as far from the base as the base is from zero; it was not trained from it"
        )


def per_module(deltas: Iterable[Mapping[str, Tensor]], depth: int = 5) -> list[dict[str, float]]:
    """Lengths of task vectors, module by module.

    Args:
        deltas: of the models.
        depth: parts of a weight's name that tell its module.
    """
    found = []
    for delta in deltas:
        parts: dict[str, Delta] = {}
        for name, value in delta.items():
            parts.setdefault(".".join(name.split(".")[:-1][:depth]), {})[name] = value
        found.append({module: length(values) for module, values in parts.items()})
    return found
