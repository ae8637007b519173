"""Which sizes of a model are trained in a step: pairs of a layer and a number of dimensions.

The full size is always trained and is no part of a schedule. Li et al. 2024 (2D Matryoshka, arXiv:2402.14776, later
ESE) draw one layer and one width a step, or take all layers at one width; Zhuang et al. 2024 (Starbucks,
arXiv:2410.13230) take a fixed list.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import log
from typing import Protocol

from polyvec.errors import BadInput

Size = tuple[int, int]
"""A layer, counted from 1, and a number of dimensions."""

STARBUCKS = ("demi", "short", "tall", "grande", "venti", "trenta")
"""Names of Starbucks' six sizes, the smallest first."""


class Schedule(Protocol):
    """Chooses the sizes of a step beside the full one."""

    def sizes(self, layers: int, width: int) -> list[Size]:
        """Every size that may be chosen, of a model with so many layers and dimensions."""

    def draw(self, layers: int, width: int, rng: random.Random) -> list[Size]:
        """The sizes of one step."""


@dataclass(frozen=True, slots=True)
class FixedSizes:
    """The same list in every step, as Starbucks has it.

    Args:
        pairs: layers and dimensions; the full size may stand in it and changes nothing.

    Raises:
        BadInput: when used with a model that has fewer layers or dimensions.
    """

    pairs: Sequence[Size]

    def sizes(self, layers: int, width: int) -> list[Size]:
        """The list, without the full size."""
        for layer, dim in self.pairs:
            if not 0 < layer <= layers or not 0 < dim <= width:
                raise BadInput(
                    f"size ({layer}, {dim}) of a model with {layers} layers and {width} dimensions: give layers from "
                    f"1 to {layers} and dimensions from 1 to {width}"
                )
        once = dict.fromkeys((layer, dim) for layer, dim in self.pairs)
        return [size for size in once if size != (layers, width)]

    def draw(self, layers: int, width: int, rng: random.Random) -> list[Size]:
        """The whole list."""
        return self.sizes(layers, width)


@dataclass(frozen=True, slots=True)
class RandomSize:
    """One layer below the last and one width a step, as 2D Matryoshka draws them.

    Trained are the drawn layer at full width, the full model at the drawn width, and both cuts together.

    Args:
        dims: widths to draw from; by default 8, 16, 32 and so on below the full one.
    """

    dims: Sequence[int] | None = None

    def sizes(self, layers: int, width: int) -> list[Size]:
        """Every layer at every width."""
        return Grid(range(1, layers + 1), [*self._dims(width), width]).sizes(layers, width)

    def draw(self, layers: int, width: int, rng: random.Random) -> list[Size]:
        """Three sizes."""
        layer = rng.randint(1, layers - 1) if layers > 1 else layers
        dim = rng.choice(self._dims(width) or [width])
        drawn = dict.fromkeys([(layer, width), (layers, dim), (layer, dim)])
        return [size for size in drawn if size != (layers, width)]

    def _dims(self, width: int) -> list[int]:
        if self.dims is not None:
            return list(self.dims)
        found, dim = [], 8
        while dim < width:
            found.append(dim)
            dim *= 2
        return found


@dataclass(frozen=True, slots=True)
class AllLayers:
    """Every layer at one width in every step, as ESE has it.

    Args:
        dim: the width.
    """

    dim: int

    def sizes(self, layers: int, width: int) -> list[Size]:
        """Each layer at the width, the last one among them."""
        return FixedSizes([(layer, self.dim) for layer in range(1, layers + 1)]).sizes(
            layers, width
        )

    def draw(self, layers: int, width: int, rng: random.Random) -> list[Size]:
        """All of them."""
        return self.sizes(layers, width)


@dataclass(frozen=True, slots=True)
class Grid:
    """Each of some layers at each of some widths, in every step.

    Args:
        layers: numbers of layers.
        dims: widths.
    """

    layers: Sequence[int]
    dims: Sequence[int]

    def sizes(self, layers: int, width: int) -> list[Size]:
        """All pairs but the full one."""
        return FixedSizes(list(product(self.layers, self.dims))).sizes(layers, width)

    def draw(self, layers: int, width: int, rng: random.Random) -> list[Size]:
        """All of them."""
        return self.sizes(layers, width)


def starbucks_sizes(
    layers: int, width: int, count: int = 6, narrowest: int = 32
) -> dict[str, Size]:
    """The diagonal of sizes that Starbucks trains, by name.

    Args:
        layers: of the model.
        width: of its vectors.
        count: how many sizes, at most six.
        narrowest: dimensions of the smallest.

    Raises:
        BadInput: when there are more sizes than layers or names.

    Example:
        >>> starbucks_sizes(12, 768)["tall"]
        (6, 128)
    """
    if not 0 < count <= min(len(STARBUCKS), layers) or not 0 < narrowest <= width:
        raise BadInput(
            f"{count} sizes from {narrowest} dimensions up, of {layers} layers and {width} dimensions: give at most "
            f"{min(len(STARBUCKS), layers)} sizes, and no more dimensions than there are"
        )
    found = {}
    for number, name in enumerate(STARBUCKS[-count:], 1):
        layer = max(1, round(layers * number / count))
        # Doubling from the narrowest; the widest two steps of the paper are thirds of its width.
        dim = width if number == count else min(width, narrowest * 2 ** (number - 1))
        found[name] = (layer, dim)
    return found


WEIGHTINGS: dict[str, Callable[[int, int], float]] = {
    "uniform": lambda layer, layers: 1.0,
    "log": lambda layer, layers: 1 / (1 + log(layer)) if layer < layers else 1.0,
    "ese": lambda layer, layers: 1 / (1 + log(layer)) / (layers - 1) if layer < layers else 1.0,
    "inverse": lambda layer, layers: 1 / layer if layer < layers else 1.0,
}
"""How much a layer counts: all alike (2D Matryoshka's paper, Starbucks); less with depth; the same, with all layers
below the last sharing about what it counts (ESE); or as in 2DMSE's code."""
