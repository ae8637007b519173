"""The question that a data set asks, as plain data: one class for each task type of FinMTEB.

Tang and Yang 2024 (arXiv:2409.18511): classification, clustering, pair classification, semantic similarity,
reranking, retrieval, summarisation. Each is checked when it is made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from polyvec.errors import BadInput

BEST_RATING = 5.0


@dataclass(frozen=True, slots=True)
class ClassificationTask:
    """Which label has a text?

    Attributes:
        texts: to classify.
        labels: the true one of each, in words that a reader understands.

    Example:
        >>> ClassificationTask(["send 5 dollars"], ["transfer"]).labels
        ['transfer']
    """

    texts: Sequence[str]
    labels: Sequence[str]

    def __post_init__(self) -> None:
        _check_lengths("classification", texts=self.texts, labels=self.labels)


@dataclass(frozen=True, slots=True)
class ClusteringTask:
    """Which theme has a text?

    Attributes:
        texts: to group.
        themes: the true one of each, in words.
    """

    texts: Sequence[str]
    themes: Sequence[str]

    def __post_init__(self) -> None:
        _check_lengths("clustering", texts=self.texts, themes=self.themes)


@dataclass(frozen=True, slots=True)
class PairTask:
    """Do two texts mean the same?

    Attributes:
        first: one text of each pair.
        second: the other.
        same: whether they do; both answers have to occur.
    """

    first: Sequence[str]
    second: Sequence[str]
    same: Sequence[bool]

    def __post_init__(self) -> None:
        _check_lengths("pair classification", first=self.first, second=self.second, same=self.same)
        if len({bool(answer) for answer in self.same}) < 2:
            raise BadInput(
                "the pair classification task has only one kind of pair; give same and different"
            )


@dataclass(frozen=True, slots=True)
class SimilarityTask:
    """How alike are two texts?

    Attributes:
        first: one text of each pair.
        second: the other.
        scores: how alike people find them; any scale, not all the same.
    """

    first: Sequence[str]
    second: Sequence[str]
    scores: Sequence[float]

    def __post_init__(self) -> None:
        _check_lengths("similarity", first=self.first, second=self.second, scores=self.scores)
        if len(set(self.scores)) < 2:
            raise BadInput(
                "all scores of the similarity task are the same; there is nothing to order"
            )


@dataclass(frozen=True, slots=True)
class RerankingTask:
    """Which of a query's own candidates are relevant?

    Attributes:
        queries: what is asked.
        candidates: of each query.
        relevant: positions of the relevant ones among a query's candidates, at least one and not all.
    """

    queries: Sequence[str]
    candidates: Sequence[Sequence[str]]
    relevant: Sequence[Collection[int]]

    def __post_init__(self) -> None:
        _check_lengths(
            "reranking", queries=self.queries, candidates=self.candidates, relevant=self.relevant
        )
        for number, (own, right) in enumerate(zip(self.candidates, self.relevant, strict=True), 1):
            _check_relevant("reranking", number, right, len(own))


@dataclass(frozen=True, slots=True)
class RetrievalTask:
    """Which passages of one corpus are relevant to a query?

    Attributes:
        queries: what is asked.
        passages: the corpus.
        relevant: positions of the relevant ones in the corpus for each query, at least one and not all.
    """

    queries: Sequence[str]
    passages: Sequence[str]
    relevant: Sequence[Collection[int]]

    def __post_init__(self) -> None:
        _check_lengths("retrieval", queries=self.queries, relevant=self.relevant)
        for number, right in enumerate(self.relevant, 1):
            _check_relevant("retrieval", number, right, len(self.passages))


@dataclass(frozen=True, slots=True)
class SummarizationTask:
    """Which summaries of a text are better?

    Attributes:
        texts: what was summed up.
        summaries: of each text, two or more.
        scores: how good people find each of them; not all the same.
    """

    texts: Sequence[str]
    summaries: Sequence[Sequence[str]]
    scores: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        _check_lengths(
            "summarisation", texts=self.texts, summaries=self.summaries, scores=self.scores
        )
        for number, (own, scores) in enumerate(zip(self.summaries, self.scores, strict=True), 1):
            if len(own) != len(scores):
                raise BadInput(
                    f"text {number} of the summarisation task has {len(own)} summaries and {len(scores)} scores"
                )
            if len(set(scores)) < 2:
                raise BadInput(
                    f"text {number} of the summarisation task has no two summaries that differ in score"
                )


Task = (
    ClassificationTask
    | ClusteringTask
    | PairTask
    | SimilarityTask
    | RerankingTask
    | RetrievalTask
    | SummarizationTask
)


def texts_of(task: Task | Sequence[str]) -> tuple[list[str], ...]:
    """The texts that a data set is made of, in groups that are measured apart: queries, then passages.

    Example:
        >>> texts_of(RetrievalTask(["who?"], ["me", "you"], [{0}]))
        (['who?'], ['me', 'you'])
    """
    match task:
        case ClassificationTask() | ClusteringTask():
            return (list(task.texts),)
        case PairTask() | SimilarityTask():
            return ([*task.first, *task.second],)
        case RerankingTask():
            return (list(task.queries), [text for own in task.candidates for text in own])
        case RetrievalTask():
            return (list(task.queries), list(task.passages))
        case SummarizationTask():
            return (list(task.texts), [text for own in task.summaries for text in own])
        case _:
            return (list(task),)


def _check_lengths(kind: str, **columns: Sequence[Any]) -> None:
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{size} {name}" for name, size in sizes.items())
        raise BadInput(f"the {kind} task has {told}; they have to be as many")
    if not next(iter(sizes.values())):
        raise BadInput(f"the {kind} task is empty; give at least one question")


def _check_relevant(kind: str, number: int, relevant: Collection[int], count: int) -> None:
    outside = [position for position in relevant if not 0 <= position < count]
    if outside:
        raise BadInput(
            f"query {number} of the {kind} task calls position {outside[0]} relevant, and there are {count} texts"
        )
    if not 0 < len(set(relevant)) < count:
        raise BadInput(
            f"query {number} of the {kind} task has {len(set(relevant))} relevant texts of {count}; it takes one at "
            "least, and one that is not"
        )
