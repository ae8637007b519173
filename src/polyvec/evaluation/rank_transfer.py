"""Does the order of models on the reference domain hold on another? Rank correlation of their means.

Tang and Yang 2024 (arXiv:2409.18511), analysis D. With as few as seven models a correlation says little (Spearman's
critical value at 5 % is .79 two-sided, .71 one-sided), so below .75 in size the answer is "cannot tell". Intervals
come from redrawing the data sets of both domains; the models stay the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from polyvec.evaluation.domain_gap_data import GapData
from polyvec.evaluation.gap_design import Floats
from polyvec.evaluation.rank_correlation import kendall, spearman

DRAWS = 2_000
TELLING = 0.75
_FEWEST_MODELS = 3
_DIGITS = 12
"""Summing in another order makes equal means differ in their last digits, which ranks would take for an order."""


def rank_transfer(data: GapData, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Correlate the models' means on the two domains, for each task type.

    Args:
        data: scores; only models with a score on every data set of the task type take part.
        draws: number of bootstrap samples.
        seed: of the bootstrap.

    Returns:
        A row a task type that both domains have: ``task_type``, ``models``, ``n_reference``, ``n_target`` (data
        sets), then ``spearman`` and ``kendall`` (tau-b), each with ``_low`` and ``_high`` (95 %), and ``verdict``:
        ``order holds``, ``order turns round``, or ``cannot tell`` unless Spearman's correlation is beyond .75.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for task_type, inside in data.rows.groupby("task_type", sort=True):
        sides = [inside[inside["domain"] == domain] for domain in (data.reference, data.target)]
        if not any(side.empty for side in sides):
            rows.append({"task_type": task_type, **_correlated(inside, data, draws, rng)})
    return pd.DataFrame(rows)


def _correlated(
    inside: pd.DataFrame, data: GapData, draws: int, rng: np.random.Generator
) -> dict[str, Any]:
    table = inside.pivot(index="dataset", columns="model", values="score").dropna(axis=1)
    scores = table.to_numpy(dtype=float)
    domain = data.datasets["domain"].reindex(table.index).to_numpy()
    sides = [scores[domain == name] for name in (data.reference, data.target)]
    found: dict[str, Any] = {
        "models": scores.shape[1],
        "n_reference": len(sides[0]),
        "n_target": len(sides[1]),
    }
    if scores.shape[1] < _FEWEST_MODELS:
        return {**found, **dict.fromkeys(_NUMBERS, np.nan), "verdict": "cannot tell"}
    means = [np.round(side.mean(axis=0, keepdims=True), _DIGITS) for side in sides]
    redrawn = [_redrawn_means(side, draws, rng) for side in sides]
    for name, correlation in (("spearman", spearman), ("kendall", kendall)):
        low, high = _bounds(correlation(*redrawn))
        value = float(correlation(*means)[0])
        found |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return {**found, "verdict": verdict(found["spearman"])}


_NUMBERS = tuple(
    f"{name}{end}" for name in ("spearman", "kendall") for end in ("", "_low", "_high")
)


def verdict(rho: float) -> str:
    """What a rank correlation of a handful of models says.

    Example:
        >>> verdict(0.8), verdict(0.75), verdict(-0.9), verdict(float("nan"))
        ('order holds', 'cannot tell', 'order turns round', 'cannot tell')
    """
    if rho > TELLING:
        return "order holds"
    return "order turns round" if rho < -TELLING else "cannot tell"


def _redrawn_means(side: Floats, draws: int, rng: np.random.Generator) -> Floats:
    count = len(side)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    return np.round(weights @ side / count, _DIGITS)


def _bounds(found: Floats) -> tuple[float, float]:
    usable = found[np.isfinite(found)]
    if not len(usable):
        return np.nan, np.nan
    low, high = np.quantile(usable, [0.025, 0.975])
    return float(low), float(high)
