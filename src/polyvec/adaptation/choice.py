"""How far to go from the base towards the tuned model: chosen on dev, bounded by what would be forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WEIGHTS = (0.0, 0.4, 0.6, 0.8, 1.0)
"""Interpolation weights that are tried; 0 is the base."""
ALLOWED_LOSS = 0.005
"""Most nDCG@10 the choice may cost outside the domain: half of the point that is promised, since the choice is made
on a sample."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen weight and why; weight 0 means that the base is kept."""

    weight: float
    why: str


def choose_weight(curve: Sequence[Mapping[str, float]]) -> Choice:
    """The weight with the best dev score among those that forget no more than `ALLOWED_LOSS`.

    Args:
        curve: a point a weight: ``weight``, ``dev`` and ``retention`` (nDCG@10; retention may be missing).

    Example:
        >>> points = [{"weight": 0.0, "dev": 0.5}, {"weight": 1.0, "dev": 0.6}]
        >>> choose_weight(points).weight
        1.0
    """
    base = next(point for point in curve if point["weight"] == 0)
    kept = [
        point
        for point in curve
        if point.get("retention", 1.0) >= base.get("retention", 1.0) - ALLOWED_LOSS
    ]
    best = max(kept, key=lambda point: (point["dev"], -point["weight"]))
    if best["weight"] == 0:
        return Choice(0.0, _why_base(base, curve))
    gain = 100 * (best["dev"] - base["dev"])
    return Choice(
        best["weight"],
        f"best of the weights on dev ({gain:+.1f} points nDCG@10) that keep what was known",
    )


def _why_base(base: Mapping[str, float], curve: Sequence[Mapping[str, float]]) -> str:
    top = max((point for point in curve if point["weight"] > 0), key=lambda point: point["dev"])
    gain = 100 * (top["dev"] - base["dev"])
    if gain <= 0:
        return f"the adapted model was not better on dev ({gain:+.1f} points nDCG@10), so the base is kept"
    loss = 100 * (top["retention"] - base["retention"])
    return (
        f"the adapted model was better on dev ({gain:+.1f} points nDCG@10) but lost too much outside the domain "
        f"({loss:+.1f}), so the base is kept"
    )
