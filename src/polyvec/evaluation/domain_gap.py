"""Are models bad on a domain, or is its test set hard? Scores of two domains compared at equal complexity.

Tang and Yang 2024, "Do We Need Domain-Specific Embedding Models? An Empirical Investigation" (arXiv:2409.18511). The
paper compares 64 finance data sets with MTEB; this compares any domain with any other.

In: a score for each model on each data set, and the complexity of each data set (`polyvec.evaluation.complexity`).
Out: five analyses, each in its own file: variance by model and domain (`anova`), groups of equal complexity
(`complexity_subgroups`), regression with complexity held equal (`gap_regression`, `domain_permutation`), the order of
models (`rank_transfer`) and matched pairs (`complexity_matching`).

Where this departs from the paper: it publishes no code and no tables of its regression. Scores are averaged to one row
a model and data set, errors are clustered by data set, and the permutation test, the corrections for many tests, the
intervals and the matching are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyvec.evaluation.anova import type_two_anova
from polyvec.evaluation.bootstrap import Interval, interval_of
from polyvec.evaluation.complexity_matching import CALIPER, matched
from polyvec.evaluation.complexity_subgroups import subgroups
from polyvec.evaluation.domain_gap_data import GapData, gap_data
from polyvec.evaluation.domain_gap_sentences import headline, sentences
from polyvec.evaluation.domain_permutation import DRAWS, permutation_test
from polyvec.evaluation.gap_design import independent
from polyvec.evaluation.gap_regression import RAW, controls, fixed_effects, gap_regression
from polyvec.evaluation.rank_transfer import rank_transfer
from polyvec.files import write_json, write_text

FEWEST_DATASETS = 3
"""Data sets that each domain needs for a regression."""
_RESAMPLES = 10_000
TABLES = (
    "anova",
    "subgroups",
    "regression",
    "permutation",
    "rank_transfer",
    "matched",
    "pairs",
    "datasets",
)


@dataclass(frozen=True, slots=True, eq=False)
class GapReport:
    """What is known of the gap between two domains.

    Attributes:
        reference: the domain compared with.
        target: the domain in question.
        raw_gap: mean score of the target's data sets minus that of the reference's, nothing held equal; its interval
            comes from redrawing data sets within domains.
        anova: per task type and factor; see `polyvec.evaluation.anova.type_two_anova`.
        subgroups: per measure and group; see `polyvec.evaluation.complexity_subgroups.subgroups`.
        regression: per control and term; see `polyvec.evaluation.gap_regression.gap_regression`. Empty where refused.
        permutation: per control ``estimate``, ``p``, ``p_studentized``, ``draws``; see
            `polyvec.evaluation.domain_permutation`. Empty where refused.
        rank_transfer: per task type; see `polyvec.evaluation.rank_transfer.rank_transfer`.
        matched: per measure; see `polyvec.evaluation.complexity_matching.matched`.
        pairs: the matched pairs.
        datasets: one row a data set: ``dataset``, ``task_type``, ``domain``, ``score`` (mean over models), its
            complexity.
        measures: names of the complexity measures.
        notes: what was left out, averaged or refused, and why.
    """

    reference: str
    target: str
    raw_gap: Interval
    anova: pd.DataFrame
    subgroups: pd.DataFrame
    regression: pd.DataFrame
    permutation: pd.DataFrame
    rank_transfer: pd.DataFrame
    matched: pd.DataFrame
    pairs: pd.DataFrame
    datasets: pd.DataFrame
    measures: tuple[str, ...]
    notes: tuple[str, ...]

    def summary(self) -> str:
        """The result in plain sentences, the answer first."""
        return " ".join([headline(self), *self.sentences()])

    def sentences(self) -> list[str]:
        """What the analyses found, a sentence each."""
        return sentences(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON; what could not be computed is None."""
        return {
            "reference": self.reference,
            "target": self.target,
            "summary": self.summary(),
            "raw_gap": self.raw_gap.to_dict(),
            "measures": list(self.measures),
            "notes": list(self.notes),
            **{name: _plain(getattr(self, name)) for name in TABLES},
        }

    def to_json(self, path: str | Path) -> None:
        """Write `to_dict` as a JSON file."""
        write_json(Path(path), self.to_dict())

    def to_csv(self, folder: str | Path) -> None:
        """Write every table as a CSV file in ``folder``, named after its attribute."""
        for name in TABLES:
            write_text(Path(folder, f"{name}.csv"), getattr(self, name).to_csv(index=False))

    def to_html(self, path: str | Path) -> None:
        """Write one page with the pictures and tables; it needs no other file and no network."""
        from polyvec.evaluation.domain_gap_page import write_page

        write_page(self, Path(path))


def domain_gap(
    results: pd.DataFrame,
    complexity: pd.DataFrame,
    reference: str = "general",
    *,
    target: str | None = None,
    measures: Sequence[str] | None = None,
    covariates: Sequence[str] = (),
    draws: int = DRAWS,
    caliper: float = CALIPER,
    seed: int = 0,
) -> GapReport:
    """Compare a domain's scores with a reference domain's at equal complexity.

    Args:
        results: a row for each model and data set: ``model``, ``dataset``, ``task_type``, ``domain``, ``score`` (the
            main score of the task, from -1 to 1). Several rows of one model and data set are averaged.
        complexity: a row for each data set: ``dataset`` and a column of numbers per measure, as rows of
            `polyvec.evaluation.complexity.profile` have them; columns that end in ``_low``, ``_high`` or ``_count``
            are no measures.
        reference: name of the domain to compare with.
        target: name of the domain in question; may be left out where there are two domains.
        measures: columns of ``complexity`` to use; all of them by default.
        covariates: columns of ``complexity`` that are held equal in every fit, but are no measures of complexity:
            corpus size, number of classes, mean length, overlap with training data.
        draws: of the permutation test; 10,000 as the specification has it.
        caliper: of the matching, in standard deviations.
        seed: of everything random.

    Returns:
        The report; where a domain has fewer than three data sets, regression and permutation are refused (empty, with
        a note) and the rest is given.

    Raises:
        BadInput: columns that lack; scores outside [-1, 1]; fewer than two domains; no such domain; a data set without
            complexity, or in two domains; a measure that is constant; a measure that says the same of every data set as
            the domain does.

    Example:
        >>> import pandas as pd
        >>> names = ["g1", "g2", "g3", "f1", "f2", "f3"]
        >>> results = pd.DataFrame(
        ...     {
        ...         "model": "minilm",
        ...         "dataset": names,
        ...         "task_type": "retrieval",
        ...         "domain": ["general"] * 3 + ["finance"] * 3,
        ...         "score": [0.71, 0.69, 0.67, 0.62, 0.58, 0.57],
        ...     }
        ... )
        >>> complexity = pd.DataFrame({"dataset": names, "fog": [9, 10, 11, 9, 10, 11]})
        >>> report = domain_gap(results, complexity)
        >>> domain = report.regression.query("term == 'domain'")
        >>> domain[["control", "estimate"]].round(3).values.tolist()
        [['nothing', -0.1], ['fog', -0.1]]
    """
    data = gap_data(results, complexity, reference, target, measures, covariates)
    sizes = data.sizes()
    small = [domain for domain, count in sizes.items() if count < FEWEST_DATASETS]
    regression, permutation, notes = pd.DataFrame(), pd.DataFrame(), data.notes
    if small:
        notes += tuple(
            f"no regression: {domain!r} has {sizes[domain]} data sets, and it takes {FEWEST_DATASETS}"
            for domain in small
        )
    else:
        regression, refused = gap_regression(data)
        permutation = _permutations(data, list(regression["control"].unique()), draws, seed)
        notes += refused
    summed, pairs = matched(data, caliper)
    return GapReport(
        data.reference,
        data.target,
        _raw_gap(data, seed),
        _anovas(data),
        subgroups(data),
        regression,
        permutation,
        rank_transfer(data, seed=seed),
        summed,
        pairs,
        data.datasets.reset_index(),
        data.measures,
        notes,
    )


def _anovas(data: GapData) -> pd.DataFrame:
    """Analysis A for each task type that both domains have."""
    tables = []
    for task_type, inside in data.rows.groupby("task_type", sort=True):
        if inside["domain"].nunique() < 2:
            continue
        _, clusters = np.unique(inside["dataset"].to_numpy(dtype=str), return_inverse=True)
        factors = {"model": list(inside["model"]), "domain": list(inside["domain"])}
        table = type_two_anova(inside["score"].to_numpy(dtype=float), factors, clusters)
        table.insert(0, "task_type", task_type)
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _permutations(data: GapData, fitted: list[str], draws: int, seed: int) -> pd.DataFrame:
    labels = (data.datasets["domain"] == data.target).to_numpy(dtype=bool)
    strata = list(data.datasets["task_type"])
    rows = []
    for control, columns in controls(data).items():
        if control in fitted:
            held = np.column_stack([fixed_effects(data), data.standardised(columns)])
            found = permutation_test(
                data.scores,
                held[:, independent(held)],
                data.clusters,
                labels,
                strata,
                draws,
                seed,
            )
            rows.append({"control": control, **found._asdict()})
    return pd.DataFrame(rows)


def _raw_gap(data: GapData, seed: int) -> Interval:
    rng = np.random.default_rng(seed)
    sides = [
        data.datasets.loc[data.datasets["domain"] == domain, "score"].to_numpy(dtype=float)
        for domain in (data.target, data.reference)
    ]
    drawn = [
        side[rng.integers(len(side), size=(_RESAMPLES, len(side)))].mean(axis=1) for side in sides
    ]
    return interval_of(float(sides[0].mean() - sides[1].mean()), drawn[0] - drawn[1])


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain JSON, with None for what is no finite number."""
    return [
        {str(name): _plain_value(value) for name, value in row.items()}
        for row in table.to_dict(orient="records")
    ]


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    return float(value) if np.isfinite(value) else None


__all__ = ["FEWEST_DATASETS", "RAW", "GapReport", "domain_gap"]
