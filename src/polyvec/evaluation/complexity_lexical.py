"""How often shared words alone get a data set's questions wrong.

A stand-in without a language model for the first measure of Tang and Yang 2024 (arXiv:2409.18511), reported under its
own name: this is not ChatGPT's error. TF-IDF takes the label of the nearest other text, ratings and ranks come from
the cosine of the two texts, and BM25 picks the relevant passage among one and nine others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from polyvec.data.bm25 import BM25, words
from polyvec.evaluation.complexity_questions import (
    PassageChoice,
    Ranking,
    questions_of,
    sampled,
)
from polyvec.evaluation.complexity_solver import SAMPLE, judged, rating_error
from polyvec.evaluation.complexity_tasks import (
    ClassificationTask,
    ClusteringTask,
    PairTask,
    RerankingTask,
    RetrievalTask,
    SimilarityTask,
    SummarizationTask,
    Task,
)
from polyvec.evaluation.complexity_values import (
    ComplexityValues,
    Floats,
    mean_values,
    redrawn_values,
)


def lexical_error(task: Task, sample: int = SAMPLE, seed: int = 0) -> ComplexityValues:
    """Error of a solver that knows nothing but shared words.

    Args:
        task: the data set.
        sample: most questions to ask; all texts of the task serve as knowledge.
        seed: of the questions drawn, and of the candidates shown.

    Returns:
        For labels and themes whether the nearest other text (cosine of TF-IDF) has another one; for passages whether
        BM25 prefers another candidate; for pairs the share of pairs of the other kind that are ordered wrongly by the
        cosine, whose mean is 1 minus the area under the curve; for similarity and summaries ``1 - max(0, Spearman)``.
        Where no word is shared there is no answer: it is wrong, and counted in ``unparsable``.

    Raises:
        BadInput: where a task cannot be made.

    Example:
        >>> task = ClassificationTask(
        ...     ["send money home", "send money now", "what is my balance", "show my balance"],
        ...     ["transfer", "transfer", "balance", "balance"],
        ... )
        >>> lexical_error(task).mean
        0.0
    """
    match task:
        case ClassificationTask():
            return _nearest(task.texts, task.labels, sample, seed)
        case ClusteringTask():
            return _nearest(task.texts, task.themes, sample, seed)
        case PairTask():
            return _pairs(task, sample, seed)
        case SimilarityTask():
            return _similarity(task, sample, seed)
        case RerankingTask() | RetrievalTask():
            return _passages(task, sample, seed)
        case SummarizationTask():
            return _summaries(task, sample, seed)


def _nearest(
    texts: Sequence[str], labels: Sequence[str], sample: int, seed: int
) -> ComplexityValues:
    vectors = _tfidf(texts)
    codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
    values, silent = [], 0
    for number in sampled(len(texts), sample, seed):
        alike = (vectors @ vectors[number].T).toarray().ravel()
        # A text is no evidence of its own label.
        alike[number] = 0
        nearest = int(alike.argmax())
        silent += int(alike[nearest] <= 0)
        values.append(float(alike[nearest] <= 0 or codes[nearest] != codes[number]))
    return mean_values(values, unparsable=silent, seed=seed)


def _pairs(task: PairTask, sample: int, seed: int) -> ComplexityValues:
    chosen = _of_each_kind(task, sample, seed)
    same = np.array([bool(task.same[number]) for number in chosen])
    alike = _cosines([task.first[n] for n in chosen], [task.second[n] for n in chosen])
    # 1 where a pair of the one kind is ordered wrongly with one of the other, one half for a tie.
    wrong = 0.5 - 0.5 * np.sign(alike[same][:, None] - alike[~same][None, :])
    values = np.empty(len(chosen))
    values[same], values[~same] = wrong.mean(axis=1), wrong.mean(axis=0)
    return redrawn_values(values, _area_lost(wrong, same), seed=seed)


def _of_each_kind(task: PairTask, sample: int, seed: int) -> list[int]:
    """A sample of the pairs, with one of each kind at least."""
    chosen = sampled(len(task.same), sample, seed)
    for kind in (True, False):
        if not any(bool(task.same[number]) is kind for number in chosen):
            chosen.append([bool(same) for same in task.same].index(kind))
    return sorted(chosen)


def _area_lost(wrong: Floats, same: NDArray[np.bool_]) -> Callable[[NDArray[np.intp]], Floats]:
    """1 minus the area under the curve, of redrawn pairs; NaN where a draw has one kind only."""

    def statistic(drawn: NDArray[np.intp]) -> Floats:
        times = np.stack([np.bincount(row, minlength=len(same)) for row in drawn]).astype(float)
        ours, theirs = times[:, same], times[:, ~same]
        with np.errstate(invalid="ignore"):
            found = ((ours @ wrong) * theirs).sum(axis=1) / (ours.sum(axis=1) * theirs.sum(axis=1))
        return np.asarray(found, dtype=float)

    return statistic


def _similarity(task: SimilarityTask, sample: int, seed: int) -> ComplexityValues:
    chosen = sampled(len(task.first), sample, seed)
    alike = _cosines([task.first[n] for n in chosen], [task.second[n] for n in chosen])
    return rating_error(alike, np.array([float(task.scores[n]) for n in chosen]), seed=seed)


def _passages(task: RerankingTask | RetrievalTask, sample: int, seed: int) -> ComplexityValues:
    questions = [q for q in questions_of(task, sample, seed) if isinstance(q, PassageChoice)]
    # Only the texts that somebody chooses from: a corpus may hold millions.
    texts = list(dict.fromkeys(text for question in questions for text in question.candidates))
    places = {text: place for place, text in enumerate(texts)}
    index = BM25(texts)
    answers = []
    for question in questions:
        positions, scores = index.search([question.query], k=len(texts))
        by_place = np.empty(len(texts))
        by_place[positions[0]] = scores[0]
        own = by_place[[places[text] for text in question.candidates]]
        answers.append(int(own.argmax()) if own.max() > 0 else None)
    return judged(questions, answers, seed)


def _summaries(task: SummarizationTask, sample: int, seed: int) -> ComplexityValues:
    questions = [q for q in questions_of(task, sample, seed) if isinstance(q, Ranking)]
    texts = [question.text for question in questions for _ in question.summaries]
    alike = _cosines(texts, [text for question in questions for text in question.summaries])
    ends = np.cumsum([len(question.summaries) for question in questions])[:-1]
    given = [tuple(part.tolist()) for part in np.split(alike, ends)]
    return judged(questions, [own if any(own) else None for own in given], seed)


def _cosines(first: Sequence[str], second: Sequence[str]) -> Floats:
    vectors = _tfidf([*first, *second])
    products = vectors[: len(first)].multiply(vectors[len(first) :])
    # Summing in another order makes equal cosines differ in their last digits, which ranks would take for an order.
    return np.round(np.asarray(products.sum(axis=1), dtype=float).ravel(), 12)


def _tfidf(texts: Sequence[str]) -> csr_matrix:
    """TF-IDF vectors of length 1; of no column where there is no word at all."""
    vectorizer = TfidfVectorizer(tokenizer=words, token_pattern=None, lowercase=False)
    try:
        found = vectorizer.fit_transform(texts)
    except ValueError:
        return csr_matrix((len(texts), 1), dtype=float)
    return csr_matrix(found)
