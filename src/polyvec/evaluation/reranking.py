"""Ranking again what a first stage has found: by a cross-encoder, alone or mixed with the first stage's scores.

With no judged query at all, and with a few: the two settings that label-free pre-training of rankers is for (PROP, Ma
et al. 2021, arXiv:2010.10137). Queries, candidates and judgements go in; rankings, and a value per query, come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from torch import nn

from polyvec.data.bm25 import BM25
from polyvec.errors import BadInput
from polyvec.evaluation.exam import Task
from polyvec.objectives.group_softmax import GroupSoftmax
from polyvec.training.equal_budget import EqualBudget, train_equally

Floats = NDArray[np.float64]
Relevant = Sequence[Mapping[str, int]]
"""For each query: passage id → grade."""

_WEIGHTS = np.linspace(0, 1, 11)
"""Weights of the first stage that `choose_weight` tries."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a first stage has found.

    Attributes:
        ids: for each query passage ids, best first.
        scores: for each query the first stage's scores of them, shape (its candidates,).
        texts: passage id → text.
    """

    ids: list[list[str]]
    scores: list[Floats]
    texts: Mapping[str, str]

    def of(self, queries: Iterable[int]) -> Candidates:
        """Those of some queries, by their numbers."""
        numbers = list(queries)
        return Candidates(
            [self.ids[n] for n in numbers], [self.scores[n] for n in numbers], self.texts
        )


def bm25_candidates(task: Task, depth: int = 50) -> Candidates:
    """The best passages of each query by BM25; fewer than ``depth`` where fewer share a word with it.

    Args:
        task: its queries and passages.
        depth: passages a query.

    Example:
        >>> task = Task("pets", {"q": "cats"}, {"a": "a cat", "b": "a dog"}, {"q": {"a": 1}})
        >>> bm25_candidates(task).ids
        [['a']]
    """
    ids = list(task.passages)
    positions, scores = BM25(list(task.passages.values())).search(
        list(task.queries.values()), depth
    )
    found = [row > 0 for row in scores]
    return Candidates(
        [[ids[at] for at in row[has]] for row, has in zip(positions, found, strict=True)],
        [row[has].astype(np.float64) for row, has in zip(scores, found, strict=True)],
        task.passages,
    )


def rerank(
    model: CrossEncoder,
    queries: Sequence[str],
    candidates: Candidates,
    interpolate_bm25: float | None = None,
    batch: int = 32,
) -> list[list[str]]:
    """Order candidates by a cross-encoder's scores.

    Args:
        model: with one output.
        queries: one for each list of candidates.
        candidates: for example from `bm25_candidates`.
        interpolate_bm25: weight of the first stage's scores, from 0 to 1; None, like 0, leaves them out. Both scores
            are standardised query by query.
        batch: pairs that are read at once.

    Returns:
        For each query the candidates' ids, best first.
    """
    scores = pair_scores(model, queries, candidates, batch)
    return mixed(scores, candidates, interpolate_bm25 or 0.0)


def pair_scores(
    model: CrossEncoder, queries: Sequence[str], candidates: Candidates, batch: int = 32
) -> list[Floats]:
    """A cross-encoder's scores of all candidates, before any activation, shape (candidates of the query,) each.

    Raises:
        BadInput: when there are not as many queries as lists of candidates.
    """
    if len(queries) != len(candidates.ids):
        raise BadInput(
            f"{len(queries)} queries and {len(candidates.ids)} lists of candidates: give one list for each"
        )
    pairs = [
        (query, candidates.texts[id])
        for query, ids in zip(queries, candidates.ids, strict=True)
        for id in ids
    ]
    if not pairs:
        return [np.empty(0) for _ in queries]
    found = model.predict(
        pairs, batch_size=batch, activation_fn=nn.Identity(), show_progress_bar=False
    )
    ends = np.cumsum([len(ids) for ids in candidates.ids])[:-1]
    return np.split(np.asarray(found, np.float64), ends)


def mixed(scores: Sequence[Floats], candidates: Candidates, weight: float) -> list[list[str]]:
    """Order candidates by ``(1 - weight) * score + weight * first stage's``, both standardised query by query.

    Equal sums keep the first stage's order.

    Args:
        scores: for each query, of its candidates.
        candidates: with the first stage's scores.
        weight: of the first stage, from 0 to 1.

    Example:
        >>> found = Candidates([["a", "b"]], [np.array([9.0, 1.0])], {})
        >>> [mixed([np.array([1.0, 2.0])], found, weight) for weight in (0.4, 0.6)]
        [[['b', 'a']], [['a', 'b']]]
    """
    if not 0 <= weight <= 1:
        raise BadInput(f"a weight of {weight} for the first stage: give 0 to 1")
    return [
        [ids[at] for at in np.argsort(-_mixed(ours, first, weight), kind="stable")]
        for ours, ids, first in zip(scores, candidates.ids, candidates.scores, strict=True)
    ]


def choose_weight(scores: Sequence[Floats], candidates: Candidates, relevant: Relevant) -> float:
    """The weight of the first stage, in steps of .1, with the highest mean nDCG@20; of equal ones the largest.

    Args:
        scores: for each query, of its candidates.
        candidates: with the first stage's scores.
        relevant: judgements of the same queries, which must not be those that are judged with the weight.
    """
    means = [ndcg(mixed(scores, candidates, weight), relevant).mean() for weight in _WEIGHTS]
    return float(_WEIGHTS[len(means) - 1 - int(np.argmax(means[::-1]))])


def interpolate_by_folds(
    scores: Sequence[Floats],
    candidates: Candidates,
    relevant: Relevant,
    parts: list[NDArray[np.intp]],
) -> list[list[str]]:
    """Mix scores with the first stage's, for each fold with the weight that is best on the others.

    Args:
        scores: for each query, of its candidates; of a model that has not learned from these queries.
        candidates: with the first stage's scores.
        relevant: judgements of the queries.
        parts: numbers of the queries of each fold, from `folds`.

    Returns:
        For each query the candidates' ids, best first.
    """
    rankings: dict[int, list[str]] = {}
    for part in parts:
        rest = np.setdiff1d(np.arange(len(scores)), part)
        weight = choose_weight(
            [scores[n] for n in rest], candidates.of(rest), [relevant[n] for n in rest]
        )
        made = mixed([scores[n] for n in part], candidates.of(part), weight)
        rankings |= dict(zip(part.tolist(), made, strict=True))
    return [rankings[number] for number in range(len(scores))]


def folds(count: int, parts: int, seed: int) -> list[NDArray[np.intp]]:
    """Split the numbers 0 to ``count`` at random into parts of equal size, give or take one.

    Raises:
        BadInput: when there are fewer than 2 parts, or more than numbers.

    Example:
        >>> sorted(len(part) for part in folds(7, 3, seed=0))
        [2, 2, 3]
    """
    if not 2 <= parts <= count:
        raise BadInput(f"{parts} folds of {count} queries: give 2 folds or more, and a query each")
    order = np.random.default_rng(seed).permutation(count)
    return [np.sort(part) for part in np.array_split(order, parts)]


@dataclass(frozen=True, slots=True)
class FewShots:
    """How a ranker is fine-tuned on a few judged queries.

    Attributes:
        queries: to learn from.
        negatives: candidates that are not relevant beside each relevant passage.
        steps: of the optimiser.
        batch: groups a step.
        learning_rate: the highest.
    """

    queries: int = 10
    negatives: int = 7
    steps: int = 30
    batch: int = 4
    learning_rate: float = 1e-4


def few_shot_scores(
    model: CrossEncoder,
    queries: Sequence[str],
    candidates: Candidates,
    relevant: Relevant,
    parts: list[NDArray[np.intp]],
    how: FewShots,
    seed: int,
) -> list[Floats]:
    """Scores of every query by a model that was fine-tuned on a few queries of the other folds.

    Args:
        model: where each fine-tuning starts; it is not changed.
        queries: one for each list of candidates.
        candidates: what is scored, and where negatives come from.
        relevant: judgements of the queries.
        parts: numbers of the queries of each fold, from `folds`.
        how: sizes.
        seed: of the queries and negatives that are chosen, and of dropout; equal seeds choose the same for every model.

    Returns:
        For each query the scores of its candidates.

    Raises:
        BadInput: when the other folds have fewer queries than are to be learned from.
    """
    scores: dict[int, Floats] = {}
    for number, part in enumerate(parts):
        rest = np.setdiff1d(np.arange(len(queries)), part)
        if how.queries > len(rest):
            raise BadInput(
                f"{how.queries} queries to learn from, and {len(rest)} outside of a fold: give fewer"
            )
        rng = np.random.default_rng([seed, number])
        shown = rng.choice(rest, how.queries, replace=False)
        columns = training_groups(queries, candidates, relevant, shown, how.negatives, rng)
        tuned = deepcopy(model)
        train_equally(
            GroupSoftmax(tuned),
            columns,
            EqualBudget(steps=how.steps),
            batch=how.batch,
            learning_rate=how.learning_rate,
            seed=seed,
        )
        made = pair_scores(tuned, [queries[n] for n in part], candidates.of(part))
        scores |= dict(zip(part.tolist(), made, strict=True))
    return [scores[number] for number in range(len(queries))]


def training_groups(
    queries: Sequence[str],
    candidates: Candidates,
    relevant: Relevant,
    shown: Iterable[int],
    negatives: int,
    rng: np.random.Generator,
) -> list[list[tuple[str, str]]]:
    """Columns of (query, document) pairs, a row for each relevant passage of each query shown.

    Args:
        queries: texts.
        candidates: where the other passages come from.
        relevant: judgements.
        shown: numbers of queries.
        negatives: columns of passages that are not relevant.
        rng: chooses them, with repetition where a query has fewer.

    Returns:
        ``1 + negatives`` columns, the relevant passages first.

    Raises:
        BadInput: when no query has both a relevant passage and a candidate that is not relevant.
    """
    rows = []
    for number in shown:
        graded = relevant[number]
        wrong = [id for id in candidates.ids[number] if graded.get(id, 0) <= 0]
        for right in (id for id, grade in graded.items() if grade > 0 and wrong):
            chosen = rng.choice(wrong, negatives, replace=len(wrong) < negatives)
            rows.append([(queries[number], candidates.texts[id]) for id in (right, *chosen)])
    if not rows:
        raise BadInput("no query has both a relevant passage and a candidate that is not relevant")
    return [list(column) for column in zip(*rows, strict=True)]


def ndcg(rankings: Sequence[Sequence[str]], relevant: Relevant, depth: int = 20) -> Floats:
    """Normalised discounted cumulative gain of the first passages, gains being grades, as in trec_eval.

    Args:
        rankings: for each query passage ids, best first.
        relevant: for each query passage id → grade; at least one above zero, ranked or not.
        depth: passages that count.

    Returns:
        A value in [0, 1] per query.

    Example:
        >>> ndcg([["b", "a"]], [{"a": 1, "c": 1}], depth=2).round(4)
        array([0.3869])
    """
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    values = []
    for ranking, grades in zip(rankings, relevant, strict=True):
        best = sorted((max(grade, 0) for grade in grades.values()), reverse=True)[:depth]
        gains = [max(grades.get(id, 0), 0) for id in ranking[:depth]]
        values.append(gains @ discounts[: len(gains)] / (best @ discounts[: len(best)]))
    return np.array(values, np.float64)


def _mixed(ours: Floats, first: Floats, weight: float) -> Floats:
    return (1 - weight) * _standardised(ours) + weight * _standardised(first)


def _standardised(scores: Floats) -> Floats:
    spread = scores.std() if len(scores) else 0.0
    centred: Floats = scores - scores.mean() if len(scores) else scores
    return centred / spread if spread > 0 else centred
