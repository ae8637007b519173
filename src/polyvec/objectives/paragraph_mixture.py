"""Several paragraph tasks of one corpus as one set of training pairs (Chang et al. 2020, arXiv 2002.03932).

The paper draws uniformly from the pairs of all tasks together, so that a task's share is that of its pairs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from datasets import Dataset
from torch import Tensor

from polyvec.data.documents import Document
from polyvec.errors import BadInput
from polyvec.objectives.paragraph_tasks import Corpus, ParagraphPair, ParagraphTask, Skipped

Weights = Literal["proportional", "uniform"] | Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PairRows:
    """Pairs in the order of training.

    Attributes:
        pairs: of all tasks, in random order.
        by_page: whether rows of one page have the same answers, besides rows of one passage.
        pages: how many the corpus has.
        skipped: task → reason → how many were left out for it in one round.
    """

    pairs: list[ParagraphPair]
    by_page: bool
    pages: int
    skipped: dict[str, dict[str, int]]

    def to_dataset(self) -> Dataset:
        """Columns ``anchor``, ``positive`` and ``label``, as `Contrastive` takes them.

        A label is the passage's number; with ``by_page`` it is two, the query's page's and the passage's.
        """
        passages = self._passages()
        pages = _numbers(pair.page for pair in self.pairs)
        if self.by_page:
            label: list[Any] = [[pages[p.page], passages[p.passage]] for p in self.pairs]
        else:
            label = [passages[pair.passage] for pair in self.pairs]
        return Dataset.from_dict(
            {
                "anchor": [pair.query for pair in self.pairs],
                "positive": [pair.text for pair in self.pairs],
                "label": label,
            }
        )

    def expected_counts(self, batch: int) -> Tensor:
        """How often each passage is expected in a batch, by the passage's number in the labels: for log-q correction.

        Args:
            batch: rows in it.
        """
        passages = self._passages()
        counts = torch.zeros(len(passages))
        for pair in self.pairs:
            counts[passages[pair.passage]] += 1
        return counts * (batch / len(self.pairs))

    def report(self) -> dict[str, Any]:
        """What was made of how much, and what was left out: plain data to keep beside a model."""
        return {
            "pages": self.pages,
            "pairs": dict(sorted(Counter(pair.task for pair in self.pairs).items())),
            "rows of one page are no negatives": self.by_page,
            "skipped": self.skipped,
        }

    def _passages(self) -> dict[str, int]:
        return _numbers(pair.passage for pair in self.pairs)


class PairMixture:
    """Draws pairs of several tasks.

    Args:
        tasks: `InverseCloze`, `BodyFirst`, `LinkPrediction`, `RandomCrop`; each at most once.
        weights: ``proportional`` takes all pairs of all tasks, as the paper does; ``uniform``, or a weight for each
            task's name, takes as many of each as the scarcest allows.
        seed: of all draws.
        rounds: how often each task draws; a pair that is drawn again counts once.

    Raises:
        BadInput: when there is no task, or one twice, or weights do not fit them.

    Example:
        >>> from polyvec.data.documents import Section
        >>> from polyvec.objectives.paragraph_tasks import BodyFirst, InverseCloze
        >>> lead = Section(paragraphs=("Red kites soar over the hills. They feed on what is dead.",))
        >>> body = Section("Nests", paragraphs=("Nests are built in tall trees.",))
        >>> page = Document("kites", "Kites", "kites", (lead, body))
        >>> PairMixture([InverseCloze(), BodyFirst()]).draw([page]).report()["pairs"]
        {'bfs': 2, 'ict': 1}
    """

    def __init__(
        self,
        tasks: Sequence[ParagraphTask],
        weights: Weights = "proportional",
        seed: int = 0,
        rounds: int = 1,
    ) -> None:
        names = [task.name for task in tasks]
        if not names or len(set(names)) < len(names):
            raise BadInput(
                f"a mixture of {', '.join(names) or 'nothing'}: give one task or more, each once"
            )
        if rounds < 1:
            raise BadInput(f"rounds={rounds}: give 1 or more")
        self.tasks = list(tasks)
        self.seed = seed
        self.rounds = rounds
        self._weights = _checked(weights, names)

    def draw(self, documents: Sequence[Document]) -> PairRows:
        """Make pairs of documents.

        Raises:
            BadInput: when links are wanted and there are none, or a task that has a weight makes no pair.
        """
        corpus = Corpus(documents)
        skipped: dict[str, Skipped] = {task.name: Counter() for task in self.tasks}
        found = {task.name: self._rounds(task, corpus, skipped[task.name]) for task in self.tasks}
        draw = random.Random(self.seed)
        pairs = [pair for some in self._weighed(found, draw).values() for pair in some]
        draw.shuffle(pairs)
        return PairRows(
            pairs,
            any(task.whole_page for task in self.tasks),
            len(corpus.pages),
            {name: dict(reasons) for name, reasons in skipped.items()},
        )

    def _rounds(self, task: ParagraphTask, corpus: Corpus, skipped: Skipped) -> list[ParagraphPair]:
        found: dict[ParagraphPair, None] = {}
        for number in range(self.rounds):
            seed = random.Random(f"{self.seed}/{task.name}/{number}").getrandbits(32)
            counted = Counter[str]() if number else skipped
            found |= dict.fromkeys(task.pairs(corpus, seed, counted))
        return list(found)

    def _weighed(
        self, found: Mapping[str, list[ParagraphPair]], draw: random.Random
    ) -> Mapping[str, list[ParagraphPair]]:
        if self._weights is None:
            return found
        for name, pairs in found.items():
            if not pairs:
                raise BadInput(
                    f"{name} makes no pair of these documents; leave it out, or give more of them"
                )
        unit = min(len(found[name]) / weight for name, weight in self._weights.items())
        return {
            name: draw.sample(found[name], int(unit * weight))
            for name, weight in self._weights.items()
        }


def _checked(weights: Weights, names: Sequence[str]) -> dict[str, float] | None:
    """A weight for each task; None where each pair counts the same."""
    if weights == "proportional":
        return None
    if weights == "uniform":
        return dict.fromkeys(names, 1.0)
    if (
        isinstance(weights, str)
        or set(weights) != set(names)
        or not all(0 < weight < float("inf") for weight in weights.values())
    ):
        raise BadInput(
            f"weights {weights!r}: give proportional, uniform, or a number above 0 for each of {', '.join(names)}"
        )
    return dict(weights)


def _numbers(ids: Iterable[str]) -> dict[str, int]:
    return {id: number for number, id in enumerate(dict.fromkeys(ids))}
