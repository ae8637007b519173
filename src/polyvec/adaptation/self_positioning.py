"""Self Positioning: the place of a merged model among its parents, learned from a few examples.

Li, Nie, Zhang, Long, Zhang, Xie 2024, "Improving General Text Embedding Model: Tackling Task Conflict and Data
Imbalance through Model Merging" (arXiv:2410.15035). One weight a parent and one common scale are learned by gradient
descent on the contrastive loss of a balanced probe set, with a penalty on the scale.

Departures: weights stay above 0 through a softplus, and dropout is off while they are learned (the paper is silent on
both); probe batches hold one task and take turns. The computation is exact and needs no graph through the models: the
merged vector is a sum of task vectors, so the gradient by its coefficients is the inner product of the weights'
gradient with each of them, and one step costs one step of training and that many inner products.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.functional import softplus

from polyvec.adaptation.slerp import slerp_coefficients
from polyvec.adaptation.task_vectors import TaskVectors
from polyvec.console import progress_bar
from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.training.batch_loss import batch_loss
from polyvec.training.equal_budget import same_order

Probe = Mapping[str, Sequence[Sequence[str]]]
"""Task → its columns: anchors, positives, and negatives if there are any; of equal length."""
Space = Literal["slerp", "lerp"]

_ONE = 0.5413248546129181
"""Its softplus is 1."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a merged model stands.

    Attributes:
        weights: what was learned for each model; 1 at the start.
        scale: the common factor; 1 at the start.
        coefficients: how much of each task vector the merged model holds.
        history: a point a step: ``step``, ``loss`` of the probe batch, ``scale``, and each coefficient by its model.
    """

    weights: list[float]
    scale: float
    coefficients: list[float]
    history: list[dict[str, float]]


class SelfPositioning:
    """Learn how to merge models from a probe set.

    Args:
        mu: penalty on the scale. The paper tries 0, .05 and .1; .05 is its best.
        learning_rate: of Adam; the paper's 5e-3.
        steps: probe batches; the paper's 1,000. A few hundred are enough where probe and models are small.
        batch: rows of one; the paper's 32.
        space: ``slerp``, or ``lerp`` for a plain sum of task vectors whose coefficients are the weights.
        objective: makes the loss of a model; by default the in-batch softmax at the paper's temperature of .02.
        turns: task → how many of its batches follow one another; 1 each by default. More turns for a task move the
            model towards it.
        seed: of the order of probe rows.

    Raises:
        BadInput: for a negative penalty, or no step.

    Example:
        >>> found = SelfPositioning(steps=100).fit(vectors, probe)  # doctest: +SKIP
        >>> merged = vectors.applied(vectors.combined(found.coefficients))  # doctest: +SKIP
    """

    def __init__(
        self,
        mu: float = 0.05,
        learning_rate: float = 5e-3,
        steps: int = 1000,
        batch: int = 32,
        space: Space = "slerp",
        objective: Callable[[SentenceTransformer], nn.Module] | None = None,
        turns: Mapping[str, int] | None = None,
        seed: int = 0,
    ) -> None:
        if mu < 0 or steps < 1 or batch < 2:
            raise BadInput(
                f"mu={mu}, steps={steps}, batch={batch}: give a penalty of 0 or more, 1 step or more, 2 rows or more"
            )
        self.mu = mu
        self.learning_rate = learning_rate
        self.steps = steps
        self.batch = batch
        self.space = space
        self.objective = objective or probe_loss
        self.turns = turns or {}
        self.seed = seed

    def fit(self, vectors: TaskVectors, probe: Probe) -> Position:
        """Find the position at which the probe's loss, and the scale, are low.

        Args:
            vectors: of the models; their order matters where there are three or more.
            probe: pairs of every task that shall be good afterwards, in like numbers.

        Raises:
            BadInput: when a task of the probe has fewer than two rows, or the loss is no number.
        """
        if not probe or any(len(columns[0]) < 2 for columns in probe.values()):
            raise BadInput("the probe: every task needs two pairs or more")
        place = _Place(vectors, self.space)
        moving = _Moving(vectors, self.objective)
        optimizer = torch.optim.Adam(place.parameters(), lr=self.learning_rate)
        history = []
        with progress_bar() as bar:
            line = bar.add_task("positioning", total=self.steps)
            for step, columns in zip(range(1, self.steps + 1), self._batches(probe), strict=False):
                coefficients = place()
                loss, slopes = moving.loss(coefficients.detach(), columns)
                optimizer.zero_grad()
                (coefficients @ slopes + self.mu * place.scale).backward()
                optimizer.step()
                history.append(
                    {"step": step, "loss": loss, "scale": float(place.scale)}
                    | dict(zip(vectors.names, coefficients.tolist(), strict=True))
                )
                bar.update(line, advance=1)
        with torch.no_grad():
            return Position(
                softplus(place.free).tolist(), float(place.scale), place().tolist(), history
            )

    def _batches(self, probe: Probe) -> Iterator[list[list[str]]]:
        """Columns of one task each, tasks in turn."""
        orders = {
            task: same_order(len(columns[0]), min(self.batch, len(columns[0])), self.seed)
            for task, columns in probe.items()
        }
        turns = [task for task in probe for _ in range(self.turns.get(task, 1))]
        for task in cycle(turns):
            rows = next(orders[task])
            yield [[column[row] for row in rows] for column in probe[task]]


class _Place(nn.Module):
    """Coefficients as a function of what is learned."""

    def __init__(self, vectors: TaskVectors, space: Space) -> None:
        super().__init__()
        self.gram = vectors.gram()
        self.space = space
        self.free = nn.Parameter(torch.full((len(vectors.deltas),), _ONE, dtype=torch.float64))
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self) -> Tensor:
        weights = softplus(self.free)
        if self.space == "lerp":
            return self.scale * weights
        return self.scale * slerp_coefficients(self.gram, weights)


class _Moving:
    """A model that is set to any sum of task vectors, and tells the slope of its loss along each of them."""

    def __init__(
        self, vectors: TaskVectors, objective: Callable[[SentenceTransformer], nn.Module]
    ) -> None:
        self.vectors = vectors
        self.model = copy.deepcopy(vectors.base).eval()
        self.start = {name: weight.detach().clone() for name, weight in self._moved()}
        self.objective = objective(self.model).eval()

    def loss(self, coefficients: Tensor, columns: Sequence[Sequence[str]]) -> tuple[float, Tensor]:
        """Loss of a batch at the sum of task vectors with these coefficients, and its slope by each, (models,)."""
        moved = list(self._moved())
        with torch.no_grad():
            for name, weight in moved:
                weight.copy_(self.start[name])
                for share, delta in zip(coefficients.tolist(), self.vectors.deltas, strict=True):
                    weight.add_(delta[name].to(weight), alpha=share)
        loss = batch_loss(self.objective, columns)
        if not bool(torch.isfinite(loss)):
            raise BadInput(
                "the probe's loss is no number: look at the models and the probe's texts"
            )
        gradients = torch.autograd.grad(loss, [weight for _, weight in moved], allow_unused=True)
        slopes = torch.zeros(len(self.vectors.deltas), dtype=torch.float64)
        for (name, _), gradient in zip(moved, gradients, strict=True):
            if gradient is not None:
                flat = gradient.flatten().double().cpu()
                slopes += torch.stack(
                    [delta[name].flatten().double() @ flat for delta in self.vectors.deltas]
                )
        return float(loss.detach()), slopes

    def _moved(self) -> Iterator[tuple[str, Tensor]]:
        return (
            (name, weight)
            for name, weight in self.model.named_parameters()
            if name in self.vectors.deltas[0]
        )


def probe_loss(model: SentenceTransformer) -> nn.Module:
    """The loss that a model is placed by: the in-batch softmax at the paper's temperature."""
    return Contrastive(model, temperature=0.02, margin=None)
