"""Scores and complexity as the analyses of a domain gap want them, after every check of what was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from polyvec.errors import BadInput
from polyvec.evaluation.gap_design import Floats, standardised

COLUMNS = ("model", "dataset", "task_type", "domain", "score")
_BESIDE = ("_low", "_high", "_count")
"""Columns of `polyvec.evaluation.complexity.profile` that are no measures: intervals and counts."""


@dataclass(frozen=True, slots=True, eq=False)
class GapData:
    """What the analyses share.

    Attributes:
        rows: one row a model and data set: `COLUMNS`.
        datasets: one row a data set, indexed by its name: ``task_type``, ``domain``, ``score`` (mean over the models),
            every measure and every covariate.
        measures: names of the complexity measures.
        covariates: names of what else is controlled for.
        reference: the domain compared with.
        target: the domain in question.
        notes: what a reader should know about the data.
    """

    rows: pd.DataFrame
    datasets: pd.DataFrame
    measures: tuple[str, ...]
    covariates: tuple[str, ...]
    reference: str
    target: str
    notes: tuple[str, ...]

    @property
    def scores(self) -> Floats:
        """Score of each row."""
        return self.rows["score"].to_numpy(dtype=float)

    @property
    def in_target(self) -> Floats:
        """1 for a row of the target domain, 0 for one of the reference."""
        return np.asarray(self.rows["domain"] == self.target, dtype=float)

    @property
    def clusters(self) -> NDArray[np.intp]:
        """Position in ``datasets`` of each row's data set."""
        return self.datasets.index.get_indexer(pd.Index(self.rows["dataset"]))

    def standardised(self, names: Sequence[str]) -> Floats:
        """Measures or covariates of each row, in standard deviations over the data sets; shape ``(rows, names)``."""
        columns = [standardised(self.datasets[name].to_numpy(dtype=float)) for name in names]
        return np.column_stack(
            [np.empty((len(self.rows), 0)), *(c[self.clusters] for c in columns)]
        )

    def sizes(self) -> dict[str, int]:
        """Domain → number of data sets."""
        return {
            domain: int((self.datasets["domain"] == domain).sum())
            for domain in (self.reference, self.target)
        }


def gap_data(
    results: pd.DataFrame,
    complexity: pd.DataFrame,
    reference: str,
    target: str | None,
    measures: Sequence[str] | None,
    covariates: Sequence[str],
) -> GapData:
    """Check and join scores and complexity; see `polyvec.evaluation.domain_gap.domain_gap` for what is wanted.

    Raises:
        BadInput: one sentence about the first thing that is wrong.
    """
    _check_columns(results, COLUMNS, "the results")
    _check_columns(complexity, ("dataset",), "the complexity table")
    scored = _scored(results)
    target = _target(scored, reference, target)
    scored = scored[scored["domain"].isin([reference, target])]
    if overlap := sorted(set(measures or ()) & set(covariates)):
        raise BadInput(f"{overlap[0]!r} cannot be a measure and a covariate at once")
    names, notes = _measures(complexity, measures, covariates)
    keys = ["task_type", "domain", "dataset", "model"]
    # Grouping sorts, so that the order of the rows given makes no difference.
    rows = scored.groupby(keys)["score"].mean().reset_index()
    datasets = rows.groupby("dataset").agg(
        task_type=("task_type", "first"), domain=("domain", "first"), score=("score", "mean")
    )
    columns = [*names, *covariates]
    joined = datasets.join(_of_datasets(complexity, datasets.index, columns))
    notes = [*notes, *_unbalanced(rows), *_repeated(scored, rows)]
    return GapData(rows, joined, tuple(names), tuple(covariates), reference, target, tuple(notes))


def _check_columns(table: pd.DataFrame, wanted: Sequence[str], what: str) -> None:
    lacking = [column for column in wanted if column not in table.columns]
    if lacking:
        raise BadInput(f"{what} lacks the column {lacking[0]!r}; wanted are {', '.join(wanted)}")


def _scored(results: pd.DataFrame) -> pd.DataFrame:
    scored = results[list(COLUMNS)].reset_index(drop=True)
    if scored.empty:
        raise BadInput("the results have no row; give one for each model and data set")
    for column in COLUMNS[:-1]:
        empty = scored[column].isna()
        if empty.any():
            raise BadInput(
                f"row {int(empty.to_numpy().argmax()) + 1} of the results has no {column}"
            )
        scored[column] = scored[column].astype(str)
    score = pd.to_numeric(scored["score"], errors="coerce")
    outside = ~score.between(-1, 1)
    if outside.any():
        row = int(outside.to_numpy().argmax())
        raise BadInput(
            f"row {row + 1} of the results: the score {scored['score'][row]} of {scored['model'][row]} on "
            f"{scored['dataset'][row]} is not between -1 and 1; give shares, not percentages"
        )
    scored["score"] = score.astype(float)
    for column in ("domain", "task_type"):
        several = scored.groupby("dataset")[column].nunique()
        if (several > 1).any():
            raise BadInput(
                f"data set {several.idxmax()} stands in the results with more than one {column.replace('_', ' ')}"
            )
    return scored


def _target(scored: pd.DataFrame, reference: str, target: str | None) -> str:
    domains = sorted(set(scored["domain"]))
    if len(domains) < 2:
        raise BadInput(f"the results hold one domain only, {domains[0]!r}; a gap needs two")
    if reference not in domains:
        raise BadInput(
            f"no data set is of the domain {reference!r}; there are {', '.join(domains)}"
        )
    others = [domain for domain in domains if domain != reference]
    if target is None and len(others) > 1:
        raise BadInput(f"say which domain to compare with {reference!r}: {', '.join(others)}")
    chosen = others[0] if target is None else target
    if chosen not in others:
        raise BadInput(f"no domain to compare is called {chosen!r}; there are {', '.join(others)}")
    return chosen


def _measures(
    complexity: pd.DataFrame, measures: Sequence[str] | None, covariates: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Measures to use, and notes about those that are n/a everywhere."""
    if measures is None:
        named = [
            str(column)
            for column in complexity.columns
            if column not in ("dataset", *covariates)
            and not str(column).endswith(_BESIDE)
            and is_numeric_dtype(complexity[column])
            and not is_bool_dtype(complexity[column])
        ]
    else:
        named = list(dict.fromkeys(measures))
    _check_columns(complexity, [*named, *covariates], "the complexity table")
    absent = [name for name in named if complexity[name].isna().all()]
    kept = [name for name in named if name not in absent]
    if not kept:
        raise BadInput(
            "the complexity table holds no measure; give at least one column of numbers beside 'dataset'"
        )
    return kept, [f"{name} is n/a for every data set and was left out" for name in absent]


def _of_datasets(
    complexity: pd.DataFrame, datasets: pd.Index[str], columns: Sequence[str]
) -> pd.DataFrame:
    table = complexity[["dataset", *columns]].astype({"dataset": str})
    twice = table["dataset"].duplicated()
    if twice.any():
        raise BadInput(
            f"data set {table['dataset'][twice].iloc[0]} has more than one row of complexity"
        )
    table = table.set_index("dataset")
    for dataset in datasets:
        if dataset not in table.index:
            raise BadInput(f"data set {dataset} has scores but no row in the complexity table")
    table = table.loc[datasets]
    for column in columns:
        values = pd.to_numeric(table[column], errors="coerce")
        unusable = ~np.isfinite(values.to_numpy(dtype=float))
        if unusable.any():
            raise BadInput(
                f"{column} of data set {datasets[int(unusable.argmax())]} is missing in the complexity table"
            )
        if values.nunique() == 1:
            raise BadInput(
                f"{column} is the same for every data set and explains nothing; leave it out of the complexity table"
            )
        table[column] = values.astype(float)
    return table


def _unbalanced(rows: pd.DataFrame) -> list[str]:
    counts = rows.groupby("model")["dataset"].nunique()
    few = counts[counts < rows["dataset"].nunique()]
    if few.empty:
        return []
    return [f"not every model has a score on every data set: {', '.join(map(str, few.index))}"]


def _repeated(scored: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    if len(scored) == len(rows):
        return []
    return [
        f"{len(scored)} rows of results were averaged to {len(rows)}, one for each model and data set: more rows "
        "of the same data set are no more evidence"
    ]
