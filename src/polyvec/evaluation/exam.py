"""An exam: retrieval tasks over texts, on which any model, BM25 and their fusion are ranked and measured."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.evaluation import BaseEvaluator

from polyvec.data.beir import Judgements
from polyvec.data.bm25 import BM25
from polyvec.data.documents import Document
from polyvec.data.passages import Passage
from polyvec.data.structure_pairs import SUMMARY, Pair
from polyvec.encoders.encoding import encode
from polyvec.errors import BadInput
from polyvec.evaluation.retrieval_metrics import DEPTH, METRICS, measure
from polyvec.files import read_json, write_json

OWN_QUERIES = "your queries"
"""Name of the task that a person's own judgements make."""
FEWEST_QUERIES = 10
"""A task with fewer queries says nothing and is left out."""

LARGEST_PART = 20
"""Most passages of one document in a corpus, so that a huge document is not the whole exam."""

Rankings = dict[str, list[list[str]]]
"""Task name → for each query, in the task's order, passage ids best first."""
TextVectors = dict[str, torch.Tensor]
"""Text → its vector."""
Scores = dict[str, dict[str, NDArray[np.float64]]]
"""Task name → metric → a value per query, in the task's order."""


@dataclass(frozen=True, slots=True)
class Task:
    """Queries, the passages they are searched in, and which of those are right.

    Attributes:
        name: shown to people.
        queries: query id → text.
        passages: passage id → text; all of it is searched for every query.
        relevant: query id → passage id → grade; exactly the queries' ids, each with a grade above zero.
    """

    name: str
    queries: dict[str, str]
    passages: dict[str, str]
    relevant: dict[str, dict[str, int]]


class Exam(BaseEvaluator):
    """Retrieval tasks as one sentence-transformers evaluator.

    Called with a model it returns ``<task>_<metric>`` for every task and, unprefixed, the mean over tasks;
    the primary metric is that mean's ``ndcg@10``. The methods below give the rankings and the values per query
    that intervals and reports need.

    Args:
        tasks: at least one.

    Example:
        >>> task = Task("greetings", {"q": "hello"}, {"a": "hello there", "b": "good bye"}, {"q": {"a": 1}})
        >>> exam = Exam([task])
        >>> exam.rank_bm25()
        {'greetings': [['a']]}
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tasks = list(tasks)
        self.primary_metric = "ndcg@10"

    def __call__(  # type: ignore[override]
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Scores of ``model``, as sentence-transformers' trainer logs them."""
        per_query = self.score(self.rank(model))
        means = {
            f"{task}_{m}": float(v.mean()) for task, ms in per_query.items() for m, v in ms.items()
        }
        return {**mean_over_tasks(per_query), **means}

    def rank(self, model: SentenceTransformer, *, show_progress: bool = False) -> Rankings:
        """Rank by cosine of the model's vectors.

        Args:
            model: encodes queries and passages, each with its own prompt where the model has one; a passage that
                several tasks share is encoded once.
            show_progress: show a progress bar.
        """
        return self.rank_vectors(*self.embed(model, show_progress=show_progress))

    def embed(
        self, model: SentenceTransformer, *, show_progress: bool = False
    ) -> tuple[TextVectors, TextVectors]:
        """Unit vectors of all queries, and of all passages, by their text; see `rank`."""
        queries = _vectors(
            model,
            [text for task in self.tasks for text in task.queries.values()],
            "query",
            show_progress,
        )
        passages = _vectors(
            model,
            [text for task in self.tasks for text in task.passages.values()],
            "document",
            show_progress,
        )
        return queries, passages

    def rank_vectors(self, queries: TextVectors, passages: TextVectors) -> Rankings:
        """Rank by the dot product of vectors that `embed` gave, or of what became of them."""
        return {task.name: _rank_by_dot(task, queries, passages) for task in self.tasks}

    def rank_bm25(self) -> Rankings:
        """Rank by BM25, each task's passages indexed on their own."""
        return {task.name: _rank_by_bm25(task) for task in self.tasks}

    def score(self, rankings: Rankings) -> Scores:
        """Measure rankings, query by query."""
        return {
            task.name: measure(
                rankings[task.name], [task.relevant[query] for query in task.queries]
            )
            for task in self.tasks
        }

    def save(self, path: Path) -> None:
        """Write the exam as JSON."""
        write_json(path, [asdict(task) for task in self.tasks])

    @classmethod
    def load(cls, path: Path) -> Exam:
        """Read what `save` wrote.

        Raises:
            BadInput: when the file is not an exam.
        """
        try:
            return cls([Task(**task) for task in read_json(path)])
        except TypeError as error:
            raise BadInput(f"{path}: not an exam written by polyvec ({error})") from None


def mean_over_tasks(scores: Scores) -> dict[str, float]:
    """Each metric's mean over queries, then over tasks: every task weighs the same."""
    return {
        metric: float(np.mean([task[metric].mean() for task in scores.values()]))
        for metric in METRICS
    }


def fuse(first: Rankings, second: Rankings, constant: int = 60) -> Rankings:
    """Hybrid search: reciprocal rank fusion (Cormack, Clarke and Büttcher 2009; their constant).

    Example:
        >>> fuse({"t": [["a", "b"]]}, {"t": [["b", "c"]]})
        {'t': [['b', 'a', 'c']]}
    """
    return {
        task: [_fuse_one(pair, constant) for pair in zip(rankings, second[task], strict=True)]
        for task, rankings in first.items()
    }


def structure_exam(
    pieces: Iterable[Passage],
    pairs: Iterable[Pair],
    seed: int,
    queries: int = 200,
    passages: int = 700,
) -> Exam:
    """The exam that documents carry in their structure.

    Prose tasks search one corpus, docstring summaries another made of code. Corpora larger than ``passages`` are
    sampled; what answers a query is judged completely among the passages that stay.

    Args:
        pieces: held-out passages, near-duplicates removed.
        pairs: what is asked, a task a kind of pair; pairs to other passages are ignored.
        seed: of the sampling.
        queries: most queries a task keeps.
        passages: about how many passages a corpus keeps.

    Returns:
        An exam with the tasks that have at least `FEWEST_QUERIES` queries; maybe none.
    """
    rng = random.Random(seed)
    by_kind: dict[str, list[Passage]] = defaultdict(list)
    for piece in pieces:
        by_kind[piece.kind].append(piece)
    corpora = {
        kind: _sample_corpus(found, passages, rng) for kind, found in sorted(by_kind.items())
    }
    pairs = list(pairs)
    tasks = [
        _task(
            name, [pair for pair in pairs if pair.task == name], corpora.get(kind, {}), queries, rng
        )
        for name in dict.fromkeys(pair.task for pair in pairs)
        for kind in ["code" if name == SUMMARY else "text"]
    ]
    return Exam([task for task in tasks if len(task.queries) >= FEWEST_QUERIES])


def judged_exam(
    documents: Sequence[Document], judgements: Judgements, name: str = OWN_QUERIES
) -> Exam:
    """An exam of people's own queries over all documents, each searched as its title and text.

    Queries without a relevant document are left out.
    """
    passages = {document.id: f"{document.title}\n{document.text}".strip() for document in documents}
    queries = {q: judgements.queries[q] for q, grades in judgements.qrels.items() if grades}
    relevant = {query: dict(judgements.qrels[query]) for query in queries}
    return Exam([Task(name, queries, passages, relevant)])


def _sample_corpus(pieces: Sequence[Passage], size: int, rng: random.Random) -> dict[str, str]:
    by_document: dict[str, list[Passage]] = defaultdict(list)
    for piece in pieces:
        by_document[piece.document].append(piece)
    order = sorted(by_document)
    rng.shuffle(order)
    corpus: dict[str, str] = {}
    for document in order:
        if len(corpus) >= size:
            break
        found = by_document[document]
        kept = rng.sample(found, min(LARGEST_PART, len(found)))
        corpus.update((piece.id, piece.text) for piece in kept)
    return corpus


def _task(
    name: str, pairs: Sequence[Pair], corpus: dict[str, str], most: int, rng: random.Random
) -> Task:
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for pair in pairs:
        if pair.passage in corpus:
            relevant[pair.query][pair.passage] = 1
    asked = sorted(relevant)
    chosen = sorted(rng.sample(asked, min(most, len(asked))))
    ids = {f"{number}": query for number, query in enumerate(chosen)}
    kept = set(chosen)
    # Where the query was cut out of its passage (inverse cloze), the passage without it is what is searched.
    shortened = {pair.passage: pair.text for pair in pairs if pair.text and pair.query in kept}
    found = {
        **corpus,
        **{passage: text for passage, text in shortened.items() if passage in corpus},
    }
    return Task(name, ids, found, {number: relevant[query] for number, query in ids.items()})


def _vectors(
    model: SentenceTransformer,
    texts: Sequence[str],
    task: Literal["query", "document"],
    show_progress: bool,
) -> TextVectors:
    """Text → its unit vector."""
    unique = list(dict.fromkeys(texts))
    vectors = encode(model, unique, task=task, normalize=True, show_progress=show_progress)
    return dict(zip(unique, torch.from_numpy(vectors), strict=True))


def _rank_by_dot(task: Task, queries: TextVectors, passages: TextVectors) -> list[list[str]]:
    ids = list(task.passages)
    searched = torch.stack([passages[text] for text in task.passages.values()])
    asked = torch.stack([queries[text] for text in task.queries.values()])
    best = [
        torch.topk(block @ searched.T, min(DEPTH, len(ids)), dim=1).indices
        for block in asked.split(256)
    ]
    return [[ids[position] for position in ranking] for ranking in torch.cat(best).tolist()]


def _rank_by_bm25(task: Task) -> list[list[str]]:
    ids = list(task.passages)
    positions, scores = BM25(list(task.passages.values())).search(
        list(task.queries.values()), DEPTH
    )
    # A passage without any word of the query is not found at all, rather than found in arbitrary order.
    return [
        [ids[position] for position in ranking[found]]
        for ranking, found in zip(positions, scores > 0, strict=True)
    ]


def _fuse_one(rankings: Iterable[Sequence[str]], constant: int) -> list[str]:
    total: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, passage in enumerate(ranking, 1):
            total[passage] += 1 / (constant + rank)
    return sorted(total, key=lambda passage: -total[passage])[:DEPTH]
