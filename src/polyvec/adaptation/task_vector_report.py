"""Which models will get into each other's way when they are merged: lengths, angles and signs of their task vectors.

The measures of "Improving General Text Embedding Model" (Li et al. 2024, arXiv:2410.15035): the length of a task vector
grows with the data that it was trained on, and its direction leans to the larger part of them. Where two models pull a
weight in opposite directions, their mean is near neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table

from polyvec.adaptation.task_vectors import TaskVectors, length, per_module
from polyvec.evaluation.figures import BLUE, MODEL_COLOURS, save_png

MOST_MODULES = 24
"""Shown in the picture: those that changed most."""


@dataclass(frozen=True, slots=True)
class TaskVectorReport:
    """What `task_vector_report` finds.

    Attributes:
        names: of the models.
        lengths: Euclidean, of each task vector.
        shares: of the base's length.
        cosines: between all pairs, shape (models, models).
        conflicts: share of the weights that both change in which the two have opposite signs, shape (models, models).
        modules: for each model, module → length of its part.
    """

    names: list[str]
    lengths: list[float]
    shares: list[float]
    cosines: list[list[float]]
    conflicts: list[list[float]]
    modules: list[dict[str, float]]

    def table(self) -> Table:
        """A row a model: length, and cosine and conflict with each other one."""
        shown = Table(title="task vectors: length (share of the base's), cosine and opposite signs")
        shown.add_column("model")
        shown.add_column("length", justify="right")
        for name in self.names:
            shown.add_column(name, justify="right")
        for row, name in enumerate(self.names):
            others = [
                ""
                if row == column
                else f"{self.cosines[row][column]:+.2f}, {100 * self.conflicts[row][column]:.0f} %"
                for column in range(len(self.names))
            ]
            shown.add_row(
                name, f"{self.lengths[row]:.2f} ({100 * self.shares[row]:.1f} %)", *others
            )
        return shown

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def picture(self, path: Path) -> None:
        """Write a PNG: cosines and conflicts of all pairs, and where in the model the changes are."""
        figure = Figure(figsize=(13, 4.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.7])
        _grid(left, self.cosines, self.names, "cosine", (-1, 1), "PuOr")
        _grid(middle, self.conflicts, self.names, "share of opposite signs", (0, 1), "Oranges")
        totals = {
            module: sum(part[module] ** 2 for part in self.modules) for module in self.modules[0]
        }
        chosen = set(sorted(totals, key=lambda module: -totals[module])[:MOST_MODULES])
        shown = [module for module in totals if module in chosen]
        height = 0.8 / len(self.names)
        for number, (name, parts) in enumerate(zip(self.names, self.modules, strict=True)):
            places = np.arange(len(shown)) + (number - (len(self.names) - 1) / 2) * height
            colour = MODEL_COLOURS[number % len(MODEL_COLOURS)] if len(self.names) > 1 else BLUE
            right.barh(
                places, [parts[module] for module in shown], height, label=name, color=colour
            )
        right.set_yticks(range(len(shown)), [_short(module) for module in shown], fontsize=7)
        right.invert_yaxis()
        right.set_xlabel("length of the change")
        right.legend(frameon=False, fontsize=8)
        right.spines[["top", "right"]].set_visible(False)
        save_png(figure, path)


def task_vector_report(vectors: TaskVectors) -> TaskVectorReport:
    """Measure task vectors beside one another.

    Args:
        vectors: from `task_vectors`.
    """
    gram = vectors.gram()
    lengths = gram.diagonal().sqrt()
    start = length(
        {n: w.detach() for n, w in vectors.base.named_parameters() if n in vectors.deltas[0]}
    )
    return TaskVectorReport(
        names=vectors.names,
        lengths=lengths.tolist(),
        shares=(lengths / max(start, 1e-12)).tolist(),
        cosines=(gram / lengths[:, None] / lengths[None]).tolist(),
        conflicts=_conflicts(vectors),
        modules=per_module(vectors.deltas),
    )


def _conflicts(vectors: TaskVectors) -> list[list[float]]:
    models = len(vectors.deltas)
    opposite, both = torch.zeros(models, models), torch.zeros(models, models)
    for name in vectors.deltas[0]:
        signs = torch.stack([delta[name].flatten().sign() for delta in vectors.deltas])
        agreement, changed = signs @ signs.T, signs.abs() @ signs.abs().T
        opposite += (changed - agreement) / 2
        both += changed
    found: list[list[float]] = (opposite / both.clamp(min=1)).tolist()
    return found


def _grid(
    axes: Any,
    values: list[list[float]],
    names: list[str],
    title: str,
    span: tuple[float, float],
    colours: str,
) -> None:
    axes.imshow(values, vmin=span[0], vmax=span[1], cmap=colours)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.set_aspect("auto")
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            dark = abs(value) > 0.6 * span[1]
            colour = "white" if dark else "black"
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour
            )


def _short(module: str) -> str:
    """A module's name without what all of a transformer's share."""
    return module.removeprefix("0.").removeprefix("auto_model.").removeprefix("model.")
