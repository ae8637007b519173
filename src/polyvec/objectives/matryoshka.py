"""Matryoshka: the first numbers of a vector learn to do what the whole vector does.

Kusupati et al. 2022 (arXiv:2205.13147), with the widths and weights of KaLM-Embedding-V2 (Zhao et al. 2025,
arXiv:2506.20923): the weighted sum, not the mean, of the losses of vectors cut to each width before they get unit
length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polyvec.errors import BadInput

WEIGHTS = (1.0, 0.3, 0.2, 0.1, 0.1)
NARROWEST = 64
PUBLISHED = {896: (896, 512, 256, 128, 64)}
"""KaLM's own widths, which are no halves."""


@dataclass(frozen=True, slots=True)
class Matryoshka:
    """Which widths of a vector learn, and how much each counts.

    Args:
        dims: widths, the widest first; by default the whole vector, its half, and so on down to 64.
        weights: of each width; by default 1, 0.3, 0.2, 0.1, and 0.1 for all narrower ones.

    Raises:
        BadInput: when widths do not fall, a weight is below 0, there are not as many weights as widths, or a width is
            more than the vectors have.

    Example:
        >>> Matryoshka().parts(384)
        [(384, 1.0), (192, 0.3), (96, 0.2)]
    """

    dims: Sequence[int] | None = None
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        """Check what was given."""
        if self.dims is not None:
            wider = [*self.dims[1:], 0]
            if not self.dims or any(a <= b for a, b in zip(self.dims, wider, strict=True)):
                raise BadInput(
                    f"dims={list(self.dims)}: give widths that fall and are 1 or more, "
                    "such as [384, 192, 96]"
                )
        if self.weights is not None:
            if any(not 0 <= weight < float("inf") for weight in self.weights):
                raise BadInput(f"weights={list(self.weights)}: give weights of 0 or more")
            if self.dims is None or len(self.weights) != len(self.dims):
                given = "no widths" if self.dims is None else f"{len(self.dims)} widths"
                raise BadInput(
                    f"{len(self.weights)} weights for {given}: give as many weights as dims"
                )

    def parts(self, width: int) -> list[tuple[int, float]]:
        """The widths to learn at, each with its weight, of vectors that are ``width`` wide."""
        dims = self.dims or PUBLISHED.get(width) or _halves(width)
        if dims[0] > width:
            raise BadInput(
                f"dims={list(dims)} of vectors with {width} numbers: give widths up to {width}"
            )
        missing = len(dims) - len(WEIGHTS)
        weights = self.weights or (*WEIGHTS, *missing * [WEIGHTS[-1]])
        return list(zip(dims, weights, strict=False))


def _halves(width: int) -> list[int]:
    found = [width]
    while found[-1] // 2 >= NARROWEST:
        found.append(found[-1] // 2)
    return found
