"""What the recipes of one model in several sizes share: systems, sizes, and the names of what is measured.

Both 2D Matryoshka and Starbucks are judged by Spearman's correlation with people's scores of STS-B's test, at layers
and widths of MiniLM. How their models learn and are asked stands in `polyvec.recipes.sts_sizes_model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from polyvec.recipes.recipe import Metrics

Size = tuple[int, int]
"""A layer, counted from 1, and a number of dimensions."""

LAYERS = 6
WIDTHS = (8, 16, 32, 64, 128, 256, 384)
CELLS: tuple[Size, ...] = tuple(product(range(1, LAYERS + 1), WIDTHS))
DIAGONAL: tuple[Size, ...] = ((1, 16), (2, 32), (3, 64), (4, 128), (5, 256), (6, 384))
"""Starbucks' sizes for six layers of 384 dimensions."""
BATCHES = (1, 32)
"""Texts at once, where time is measured."""

PLAIN, MRL, DEPTH, TWO_D, TWO_D_CODE, ESE, NO_KL, SRL, SEPARATE = (
    *("plain", "MRL only", "layers only", "2DMSE", "2DMSE, released code", "ESE"),
    *("SRL without KL", "SRL", "separate models"),
)

GRID, SHALLOW, SIZES, SMALL, LARGE = (
    "Spearman, mean over the grid",
    "Spearman, layers 1 to 3",
    "Spearman, mean over the six sizes",
    "Spearman, three small sizes",
    "Spearman, three large sizes",
)
_MEANS: Mapping[str, Sequence[Size]] = {
    GRID: CELLS,
    SHALLOW: [size for size in CELLS if size[0] <= 3],
    SIZES: DIAGONAL,
    SMALL: DIAGONAL[:3],
    LARGE: DIAGONAL[3:],
}


def cell(size: Size) -> str:
    """Name of the metric of one size.

    Example:
        >>> cell((6, 384))
        'layer 6, 384 dimensions'
    """
    return f"layer {size[0]}, {size[1]} dimensions"


def timed(layers: int, rows: int) -> str:
    """Name of the metric of a forward pass's time."""
    return f"ms for {rows} text(s) with {layers} layer(s)"


FULL = cell((LAYERS, WIDTHS[-1]))


def summary(tests: Mapping[str, Mapping[Size, float]]) -> Metrics:
    """Means over those groups of sizes that were asked whole, then every size.

    Args:
        tests: name → size → Spearman's correlation; the first test is the one that decides, others get means only.

    Example:
        >>> summary({"STS-B": {size: 0.5 for size in DIAGONAL[:3]}})[SMALL]
        0.5
    """
    found: Metrics = {}
    for number, (name, cells) in enumerate(tests.items()):
        for mean, sizes in _MEANS.items():
            if set(sizes) <= cells.keys():
                told = mean if number == 0 else f"{name}: {mean}"
                found[told] = sum(cells[size] for size in sizes) / len(sizes)
    first = next(iter(tests.values()))
    return found | {cell(size): value for size, value in first.items()}
