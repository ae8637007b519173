"""How far a task's score moves when its examples are drawn again: replicates for paired intervals.

The bootstrap of Efron and Tibshirani (1993). Two models' replicates of one task use the same draws, so
that their differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mteb.abstasks import (
    AbsTask,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score
from sklearn.model_selection import KFold

from polyvec.evaluation.suites.analogies import AbsTaskAnalogy
from polyvec.evaluation.suites.tagging import AbsTaskTagging

RESAMPLES = 1000

Values = NDArray[np.float64]

Statistic = Callable[[NDArray[np.intp]], Values]
"""From drawn examples, shape (draws, examples), to the score of each draw."""
_BLOCK = 2_000_000
"""Numbers that are held at once."""


def replicates(
    task: AbsTask,
    subset: str,
    split: str,
    scores: Mapping[str, Any],
    predictions: Any,
    resamples: int = RESAMPLES,
) -> Values | None:
    """The main score of one subset of a task on ``resamples`` draws of its examples.

    Args:
        task: with its data loaded.
        subset: of the task; ``default`` where it has one only.
        split: that was judged.
        scores: what mteb computed.
        predictions: what mteb saved for this subset and split.
        resamples: how many draws.

    Returns:
        Shape (resamples,); None where the main score cannot be recomputed from mteb's predictions.
    """
    found = _statistic(task, subset, split, scores, predictions)
    return None if found is None else draw(*found, resamples=resamples)


def draw(examples: int, statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0) -> Values:
    """Values of ``statistic`` on draws with replacement; equal seeds and sizes draw the same.

    Example:
        >>> import numpy as np
        >>> draw(3, of_mean(np.ones(3)), resamples=2)
        array([1., 1.])
    """
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // examples)
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    return np.concatenate(
        [statistic(rng.integers(examples, size=(size, examples))) for size in sizes]
    )


def of_mean(values: Values) -> Statistic:
    """The mean of values, one an example."""
    return lambda drawn: np.mean(values[drawn], axis=1)


def of_spearman(first: Values, second: Values) -> Statistic:
    """Spearman's correlation, ties shared, as scipy computes it."""

    def statistic(drawn: NDArray[np.intp]) -> Values:
        a, b = (_centred(rankdata(values[drawn], axis=1)) for values in (first, second))
        norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
        found: Values = np.divide(
            (a * b).sum(axis=1), norm, out=np.zeros_like(norm), where=norm > 0
        )
        return found

    return statistic


def of_average_precision(labels: NDArray[np.int64], scores: Values) -> Statistic:
    """Average precision of ranking the examples with label 1 first."""

    def one(rows: NDArray[np.intp]) -> float:
        return float(average_precision_score(labels[rows], scores[rows]))

    return lambda drawn: np.array([one(rows) if labels[rows].any() else 0.0 for rows in drawn])


def of_entity_f1(counts: NDArray[np.int64]) -> Statistic:
    """F1 from right, predicted and true entities a sentence, shape (sentences, 3)."""

    def statistic(drawn: NDArray[np.intp]) -> Values:
        right, found, true = np.moveaxis(counts[drawn].sum(axis=1), 1, 0)
        f1: Values = 2 * right / np.maximum(found + true, 1)
        return f1

    return statistic


def _statistic(
    task: AbsTask, subset: str, split: str, scores: Mapping[str, Any], predictions: Any
) -> tuple[int, Statistic] | None:
    measure = task.metadata.main_score
    data: Any = task.dataset
    data = data.get(subset, data) if isinstance(data, Mapping) else data
    if isinstance(task, AbsTaskTagging):
        return len(predictions), of_entity_f1(np.array(predictions))
    if isinstance(task, AbsTaskAnalogy):
        return len(predictions), of_mean(np.array(predictions))
    if isinstance(task, AbsTaskSTS) and measure == "cosine_spearman":
        gold = np.array(data[split]["score"], float)
        return len(gold), of_spearman(gold, np.array(predictions["cosine_scores"]))
    if isinstance(task, AbsTaskPairClassification) and measure in ("cosine_ap", "max_ap"):
        labels = np.array(data[split][task.label_column_name])
        return len(labels), of_average_precision(labels, np.array(predictions["cosine_scores"]))
    if isinstance(task, AbsTaskRetrieval):
        values = _of_queries(measure, data[split]["relevant_docs"], predictions)
        return None if values is None else (len(values), of_mean(values))
    if isinstance(task, AbsTaskClassification) and measure == "accuracy":
        right = _right(task, data, split, predictions)
        return len(right), of_mean(right)
    if isinstance(task, AbsTaskClustering):
        runs = np.concatenate([np.array(level) for level in scores["v_measures"].values()])
        return len(runs), of_mean(runs)
    return None


def _of_queries(
    measure: str, relevant: Mapping[str, Mapping[str, int]], ranked: Mapping[str, Any]
) -> Values | None:
    """A measure's value for each query that has one, by trec_eval, as mteb averages them."""
    import pytrec_eval

    name, _, depth = measure.rpartition("_at_")
    known = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P"}
    if name not in known:
        return None
    judge = pytrec_eval.RelevanceEvaluator(
        {query: dict(grades) for query, grades in relevant.items()}, {f"{known[name]}.{depth}"}
    )
    values = judge.evaluate(dict(ranked))
    return np.array([values[query][f"{known[name]}_{depth}"] for query in sorted(values)])


def _right(
    task: AbsTaskClassification, data: Any, split: str, predictions: Sequence[Any]
) -> Values:
    """How often each example was classified rightly over the experiments."""
    labels = np.array(data[split][task.label_column_name])
    if not task.is_cross_validation:
        right: Values = (np.array(predictions) == labels).mean(axis=0)
        return right
    folds = KFold(task.n_splits, shuffle=True, random_state=task.seed).split(labels)
    parts = [
        np.array(found) == labels[rows] for found, (_, rows) in zip(predictions, folds, strict=True)
    ]
    return np.concatenate(parts).astype(float)


def _centred(values: Values) -> Values:
    centred: Values = values - values.mean(axis=1, keepdims=True)
    return centred
