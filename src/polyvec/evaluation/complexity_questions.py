"""A data set's questions, one by one: as prompts for whoever solves them, with how to read an answer.

Tang and Yang 2024 (arXiv:2409.18511) let ChatGPT answer the questions of each data set; its prompts are not
published. These are ours: choose a label; same or different; rate from 0 to 5; pick the relevant text among one and
nine others; name the theme; rank the summaries.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from polyvec.evaluation.complexity_tasks import (
    BEST_RATING,
    ClassificationTask,
    ClusteringTask,
    PairTask,
    RerankingTask,
    RetrievalTask,
    SimilarityTask,
    SummarizationTask,
    Task,
)

OTHERS = 9
"""Candidates beside the relevant one."""
LONGEST = 200
"""Words of each text in a prompt; the rest is left out."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Choose one of the labels.

    Attributes:
        prompt: ends where the label is to follow.
        labels: to choose from.
        answer: position of the true one.
    """

    prompt: str
    labels: tuple[str, ...]
    answer: int

    def read(self, reply: str) -> int | None:
        """Position of the label in a reply; None where there is none, or more than one."""
        plain = _plain(reply)
        names = [_plain(label) for label in self.labels]
        if plain in names:
            return names.index(plain)
        found = [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", plain)]
        # "card" is no answer of its own inside "credit card".
        longest = {
            name for name in found if not any(name != other and name in other for other in found)
        }
        return names.index(longest.pop()) if len(longest) == 1 else None


@dataclass(frozen=True, slots=True)
class PassageChoice:
    """Choose the relevant one among candidates.

    Attributes:
        query: what is asked.
        candidates: to choose from.
        answer: position of the relevant one.
        positions: of the candidates in the task.
    """

    query: str
    candidates: tuple[str, ...]
    answer: int
    positions: tuple[int, ...]

    @property
    def prompt(self) -> str:
        """Ends where the number is to follow."""
        return (
            "Which passage is relevant to the query? Answer with its number only.\n\n"
            f"Query: {shortened(self.query)}\n\n{_numbered(self.candidates)}\n\nNumber:"
        )

    def read(self, reply: str) -> int | None:
        """Position of the chosen candidate; None where the reply names none."""
        number = _NUMBER.search(reply)
        if number is None or not number[0].isdigit():
            return None
        chosen = int(number[0]) - 1
        return chosen if 0 <= chosen < len(self.candidates) else None


@dataclass(frozen=True, slots=True)
class Rating:
    """Rate how alike two texts are.

    Attributes:
        first: a text.
        second: the other.
        score: how alike people find them.
    """

    first: str
    second: str
    score: float

    @property
    def prompt(self) -> str:
        """Ends where the rating is to follow."""
        return (
            "How similar in meaning are these two texts? Answer with a number from 0 (nothing in common) to 5 "
            f"(the same) only.\n\nFirst: {shortened(self.first)}\n\nSecond: {shortened(self.second)}\n\nNumber:"
        )

    def read(self, reply: str) -> float | None:
        """The rating; None where the reply holds none from 0 to 5."""
        number = _NUMBER.search(reply)
        if number is None or reply[: number.start()].endswith("-"):
            return None
        return float(number[0]) if float(number[0]) <= BEST_RATING else None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rank the summaries of a text.

    Attributes:
        text: what was summed up.
        summaries: to rank.
        scores: how good people find each.
    """

    text: str
    summaries: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def prompt(self) -> str:
        """Ends where the numbers are to follow."""
        return (
            "Rank the summaries of the text from the best to the worst. Answer with their numbers only, separated by "
            f"commas.\n\nText: {shortened(self.text)}\n\n{_numbered(self.summaries)}\n\nNumbers:"
        )

    def read(self, reply: str) -> tuple[float, ...] | None:
        """A value for each summary, higher for better; None where the reply does not name each once."""
        order = [int(number) - 1 for number in re.findall(r"\d+", reply)]
        count = len(self.summaries)
        if sorted(order) != list(range(count)):
            return None
        return tuple(float(count - order.index(place)) for place in range(count))


Question = LabelChoice | PassageChoice | Rating | Ranking


def questions_of(task: Task, sample: int, seed: int) -> list[Question]:
    """Questions of a task, in the order of the task.

    Args:
        task: what is asked.
        sample: most questions to draw.
        seed: of which are drawn, of the wrong candidates, and of the candidates' order.

    Example:
        >>> task = ClassificationTask(["send 5 dollars", "what do I own?"], ["transfer", "balance"])
        >>> [question.answer for question in questions_of(task, sample=500, seed=0)]
        [1, 0]
    """
    rng = np.random.default_rng(seed)
    chosen = sampled(size_of(task), sample, seed)
    match task:
        case ClassificationTask():
            return _labelled(
                task.texts, task.labels, chosen, "label", "Choose the label of the text"
            )
        case ClusteringTask():
            return _labelled(task.texts, task.themes, chosen, "theme", "Name the theme of the text")
        case PairTask():
            return [_pair(task, number) for number in chosen]
        case SimilarityTask():
            return [Rating(task.first[n], task.second[n], float(task.scores[n])) for n in chosen]
        case RerankingTask():
            return [
                _passages(task.queries[n], task.candidates[n], task.relevant[n], rng)
                for n in chosen
            ]
        case RetrievalTask():
            return [
                _passages(task.queries[n], task.passages, task.relevant[n], rng) for n in chosen
            ]
        case SummarizationTask():
            return [
                Ranking(task.texts[n], tuple(task.summaries[n]), tuple(map(float, task.scores[n])))
                for n in chosen
            ]


def size_of(task: Task) -> int:
    """Number of questions of a task."""
    match task:
        case PairTask() | SimilarityTask():
            return len(task.first)
        case RerankingTask() | RetrievalTask():
            return len(task.queries)
        case _:
            return len(task.texts)


def sampled(count: int, sample: int, seed: int) -> list[int]:
    """At most ``sample`` positions below ``count``, drawn without replacement, ascending.

    Example:
        >>> sampled(3, 500, seed=0)
        [0, 1, 2]
    """
    if count <= sample:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, size=sample, replace=False).tolist())


def _labelled(
    texts: Sequence[str], labels: Sequence[str], chosen: Sequence[int], kind: str, asked: str
) -> list[Question]:
    known = tuple(sorted(set(labels)))
    listed = "\n".join(f"- {label}" for label in known)
    return [
        LabelChoice(
            f"{asked}. Answer with one of these {kind}s only:\n{listed}\n\nText: {shortened(texts[number])}\n\n"
            f"{kind.capitalize()}:",
            known,
            known.index(labels[number]),
        )
        for number in chosen
    ]


def _pair(task: PairTask, number: int) -> LabelChoice:
    prompt = (
        "Do these two texts mean the same? Answer with one word only: same or different.\n\n"
        f"First: {shortened(task.first[number])}\n\nSecond: {shortened(task.second[number])}\n\nAnswer:"
    )
    return LabelChoice(prompt, ("same", "different"), 0 if task.same[number] else 1)


def _passages(
    query: str, texts: Sequence[str], relevant: Collection[int], rng: np.random.Generator
) -> PassageChoice:
    right = int(rng.choice(sorted(set(relevant))))
    wrong = _drawn_others(len(texts), set(relevant), rng)
    order = rng.permutation([right, *wrong]).tolist()
    return PassageChoice(query, tuple(texts[n] for n in order), order.index(right), tuple(order))


def _drawn_others(count: int, relevant: set[int], rng: np.random.Generator) -> list[int]:
    """Positions of texts that are not relevant, `OTHERS` or all there are."""
    if count - len(relevant) <= OTHERS:
        return [number for number in range(count) if number not in relevant]
    found: dict[int, None] = {}
    while len(found) < OTHERS:
        number = int(rng.integers(count))
        if number not in relevant:
            found[number] = None
    return list(found)


def _numbered(texts: Sequence[str]) -> str:
    return "\n\n".join(f"{number}. {shortened(text)}" for number, text in enumerate(texts, 1))


def shortened(text: str) -> str:
    """The first `LONGEST` words of a text, with a mark where some are left out."""
    words = text.split()
    return " ".join(words[:LONGEST]) + (" …" if len(words) > LONGEST else "")


def _plain(text: str) -> str:
    return _SPACES.sub(" ", text.replace("_", " ").replace("-", " ")).strip(" \t\n\"'.:*`").lower()
