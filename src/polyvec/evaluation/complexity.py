"""How hard a data set's texts and questions are: the complexity measures of Tang and Yang 2024 (arXiv:2409.18511).

In: texts, or a data set's question as plain data (`polyvec.evaluation.complexity_tasks`). Out: a value for each text,
their mean and its interval; `profile` puts the means of several measures into one row, as
`polyvec.evaluation.domain_gap` takes them.

===================== =============================================================================== ================
measure               what                                                                            needs
===================== =============================================================================== ================
``entropy``           bits a word, by how often words occur inside the text                           texts
``entropy_normalized`` the same over the most there could be                                          texts
``entropy_50``        the same of the first 50 words                                                  texts
``fog``               Gunning's fog index: years of schooling                                         English texts
``mdd``               mean dependency distance in words                                               a parser
``lexical_error``     how often shared words alone get the data set's questions wrong                 a task
``small_lm_error``    how often a small language model does                                           a task, a model
``solver_error``      how often any solver does; the paper's "LLM error rate" with ChatGPT as solver  a task, a solver
===================== =============================================================================== ================

Where this departs from the paper: it gives no sample size, no intervals and no prompts; those here are ours. The
paper's four measures barely agree with each other, so never judge by one alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyvec.errors import BadInput, MissingExtra
from polyvec.evaluation.complexity_entropy import entropy
from polyvec.evaluation.complexity_lexical import lexical_error
from polyvec.evaluation.complexity_questions import sampled
from polyvec.evaluation.complexity_small_lm import small_lm_error
from polyvec.evaluation.complexity_solver import SAMPLE, Solver, solver_error
from polyvec.evaluation.complexity_tasks import Task, texts_of
from polyvec.evaluation.complexity_values import ComplexityValues, average
from polyvec.evaluation.dependency_distance import Parser, mean_dependency_distance
from polyvec.evaluation.readability import gunning_fog
from polyvec.files import read_json, write_json

MEASURES = ("entropy", "fog", "mdd", "lexical_error")
WINDOW = 50
_VERSION = 1
"""Of the measures: a change in how one is computed makes old cached values worthless."""

TextMeasure = Callable[[Sequence[str]], ComplexityValues]
TaskMeasure = Callable[[Task], ComplexityValues]


class _NotAvailable(Exception):
    """A measure cannot be had for this input; the message says why."""


def profile(
    task_or_texts: Task | Sequence[str],
    measures: Sequence[str] = MEASURES,
    sample: int = SAMPLE,
    seed: int = 0,
    *,
    dataset: str = "",
    nlp: Parser | None = None,
    solver: Solver | None = None,
    small_lm: tuple[Any, Any] | None = None,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Complexity of a data set as one row of a table.

    Args:
        task_or_texts: the data set's question, or plain texts. Of retrieval and reranking the queries and the passages
            are measured apart and averaged, of summarisation the texts and the summaries.
        measures: names from the table above; by default the three of the paper that need no language model, and the
            lexical stand-in for its fourth.
        sample: most texts of each group, and most questions, to measure; the paper gives no number.
        seed: of the samples and of the intervals.
        dataset: its name, for the row.
        nlp: parser for ``mdd``; by default the small English one of the extra ``parse``.
        solver: for ``solver_error``.
        small_lm: model and tokenizer for ``small_lm_error``.
        cache: folder for values by hash of the content; asked for, a value of the same content, sample and seed is
            read from
            it. What a solver, a model or a parser of your own says is not kept. Without it nothing is.

    Returns:
        One row: ``dataset``, for each measure its mean and ``_low`` and ``_high``, and ``text_count``, the number of
        texts there are. A measure that cannot be had is NaN (n/a); why stands in ``.attrs["n/a"]``, a dict by
        measure. Replies that could not be read are in ``.attrs["unparsable"]``.

    Raises:
        BadInput: an unknown measure, an empty text, or texts that are not English for a measure that needs it.

    Example:
        >>> row = profile(["a a b", "the market fell"], measures=("entropy",), dataset="toy")
        >>> round(float(row.loc[0, "entropy"]), 3)
        1.252
    """
    unknown = [measure for measure in measures if measure not in _KNOWN]
    if unknown:
        raise BadInput(f"no measure is called {unknown[0]!r}; there are {', '.join(_KNOWN)}")
    groups = texts_of(task_or_texts)
    drawn = [[texts[n] for n in sampled(len(texts), sample, seed)] for texts in groups]
    task = task_or_texts if is_dataclass(task_or_texts) else None
    plugins = _Plugins(nlp, solver, small_lm)
    row: dict[str, Any] = {"dataset": dataset}
    absent: dict[str, str] = {}
    unparsable: dict[str, int] = {}
    content = _Content(task, tuple(drawn), sample, seed)
    for measure in dict.fromkeys(measures):
        try:
            found = _kept(measure, content, plugins, None if cache is None else Path(cache))
        except (_NotAvailable, MissingExtra) as error:
            absent[measure] = str(error)
            found = dict.fromkeys(("mean", "low", "high"), np.nan)
        row |= {
            measure: found["mean"],
            f"{measure}_low": found["low"],
            f"{measure}_high": found["high"],
        }
        if found.get("unparsable"):
            unparsable[measure] = int(found["unparsable"])
    row["text_count"] = sum(map(len, groups))
    table = pd.DataFrame([row])
    table.attrs |= {"n/a": absent, "unparsable": unparsable}
    return table


@dataclass(frozen=True, slots=True)
class _Plugins:
    nlp: Parser | None
    solver: Solver | None
    small_lm: tuple[Any, Any] | None


@dataclass(frozen=True, slots=True)
class _Content:
    """What is measured: the task, if there is one, and the texts drawn of each group."""

    task: Any
    groups: tuple[list[str], ...]
    sample: int
    seed: int

    def key(self, measure: str) -> str:
        """Hash of all that a value depends on."""
        task = None if self.task is None else [type(self.task).__name__, asdict(self.task)]
        whole = [_VERSION, measure, self.sample, self.seed, self.groups, task]
        return hashlib.sha256(json.dumps(whole, default=_plain).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Sets and numpy's numbers as JSON."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _kept(
    measure: str, content: _Content, plugins: _Plugins, cache: Path | None
) -> dict[str, float]:
    own = (measure == "mdd" and plugins.nlp is not None) or measure in _BY_PLUGIN
    if cache is None or own:
        return _computed(measure, content, plugins)
    path = cache / f"{content.key(measure)}.json"
    if path.exists():
        return dict(read_json(path))
    found = _computed(measure, content, plugins)
    if np.isfinite(found["mean"]):
        write_json(path, found)
    return found


def _computed(measure: str, content: _Content, plugins: _Plugins) -> dict[str, float]:
    values = _KNOWN[measure](content, plugins)
    return {
        "mean": values.mean,
        "low": values.low,
        "high": values.high,
        "unparsable": values.unparsable,
    }


def _of_texts(content: _Content, measure: TextMeasure) -> ComplexityValues:
    parts = [measure(texts) for texts in content.groups]
    return parts[0] if len(parts) == 1 else average(parts)


def _of_task(content: _Content, measure: TaskMeasure) -> ComplexityValues:
    if content.task is None:
        raise _NotAvailable("plain texts ask no question; give a task")
    return measure(content.task)


def _distance(content: _Content, plugins: _Plugins) -> ComplexityValues:
    return _of_texts(content, lambda texts: mean_dependency_distance(texts, plugins.nlp))


def _by_solver(content: _Content, plugins: _Plugins) -> ComplexityValues:
    solver = plugins.solver
    if solver is None:
        raise _NotAvailable("no solver was given")
    return _of_task(content, lambda task: solver_error(task, solver, content.sample, content.seed))


def _by_small_lm(content: _Content, plugins: _Plugins) -> ComplexityValues:
    if plugins.small_lm is None:
        raise _NotAvailable("no language model was given")
    model, tokenizer = plugins.small_lm
    return _of_task(
        content, lambda task: small_lm_error(task, model, tokenizer, content.sample, content.seed)
    )


_KNOWN: dict[str, Callable[[_Content, _Plugins], ComplexityValues]] = {
    "entropy": lambda content, _: _of_texts(content, entropy),
    "entropy_normalized": lambda content, _: _of_texts(
        content, lambda texts: entropy(texts, normalized=True)
    ),
    "entropy_50": lambda content, _: _of_texts(
        content, lambda texts: entropy(texts, window=WINDOW)
    ),
    "fog": lambda content, _: _of_texts(content, gunning_fog),
    "mdd": _distance,
    "lexical_error": lambda content, _: _of_task(
        content, lambda task: lexical_error(task, content.sample, content.seed)
    ),
    "small_lm_error": _by_small_lm,
    "solver_error": _by_solver,
}
_BY_PLUGIN = ("small_lm_error", "solver_error")

__all__ = [
    "MEASURES",
    "ComplexityValues",
    "entropy",
    "gunning_fog",
    "lexical_error",
    "mean_dependency_distance",
    "profile",
    "small_lm_error",
    "solver_error",
]
