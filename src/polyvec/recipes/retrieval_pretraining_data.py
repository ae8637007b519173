"""What the experiment on retrieval pre-training tasks learns from, and what it asks."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from polyvec.data.benchmarks.answer_spans import read_squad
from polyvec.data.benchmarks.files import stored
from polyvec.data.documents import Document
from polyvec.data.leak_guard import refuse_leakage
from polyvec.data.passages import Passage, passages
from polyvec.evaluation.few_labels import SentenceSearch, sentence_search
from polyvec.objectives.paragraph_mixture import PairMixture, PairRows
from polyvec.objectives.paragraph_tasks import BodyFirst, InverseCloze, LinkPrediction
from polyvec.recipes.learned_texts import needed_root, python_documentation, text_fingerprint
from polyvec.recipes.recipe import Source

TASKS = {task.name: task for task in (InverseCloze(), BodyFirst(), LinkPrediction())}
ROUNDS = 4
"""Draws of each task: more pairs than any arm sees on a CPU."""
_EXAMINED = "faq/"


class Faq(NamedTuple):
    """Questions that people asked about Python, and the paragraphs that are searched for them.

    Attributes:
        rows: question → ids of its rows, one for each paragraph of its answer.
        search: a query and an answer for each row; paragraphs of answers and of the pages that are learned from.
    """

    rows: Mapping[str, Sequence[str]]
    search: SentenceSearch


@cache
def learned_pages() -> tuple[Document, ...]:
    """Python's documentation without the pages of frequently asked questions.

    Raises:
        LeakageError: when one of those is among them.
    """
    pages = tuple(page for page in python_documentation() if not page.id.startswith(_EXAMINED))
    refuse_leakage(
        (page.id for page in pages),
        (page.id for page in _faq_pages()),
        "pages of the test in pre-training",
    )
    return pages


@cache
def learned_texts() -> tuple[str, ...]:
    """The prose passages of the pages that are learned from, for masked language modelling."""
    return tuple(piece.text for piece in _prose(learned_pages()))


@cache
def pairs(tasks: tuple[str, ...], seed: int) -> PairRows:
    """Pairs of some tasks, in proportion to how many each makes."""
    return PairMixture([TASKS[name] for name in tasks], seed=seed, rounds=ROUNDS).draw(
        learned_pages()
    )


@cache
def faq(others: int) -> Faq:
    """The questions, and the paragraphs that are searched, the same for every seed.

    Args:
        others: paragraphs from the pages that are learned from, at random.
    """
    asked = {
        (page.id, number): section.heading
        for page in _faq_pages()
        for number, section in enumerate(page.sections)
        if section.heading.endswith("?")
    }
    answers = _prose(_faq_pages())
    queries = {
        piece.id: asked[piece.document, piece.section]
        for piece in answers
        if (piece.document, piece.section) in asked
    }
    rows: dict[str, list[str]] = {}
    for row, question in queries.items():
        rows.setdefault(question, []).append(row)
    known = {piece.text for piece in answers}
    pool = [piece for piece in _prose(learned_pages()) if piece.text not in known]
    chosen = random.Random(0).sample(pool, min(others, len(pool)))
    searched = {piece.id: piece.text for piece in (*answers, *chosen)}
    same = {row: row for row in queries}
    return Faq(rows, SentenceSearch(queries, searched, answers=same, passages=same))


@cache
def xquad() -> SentenceSearch:
    """XQuAD in English: 1,190 questions, searched in all sentences of its 240 paragraphs."""
    return sentence_search(*read_squad(stored(needed_root(), "xquad/xquad.en.json")))


def sources() -> Mapping[str, Source]:
    """Fingerprints of what was learned from and asked."""
    asked = list(faq(0).rows)
    searched = xquad()
    found = {
        "pages of Python's documentation": [page.text for page in learned_pages()],
        "questions of its FAQ": asked,
        "questions of XQuAD": list(searched.queries.values()),
        "sentences of XQuAD": list(searched.candidates.values()),
    }
    return {name: Source(text_fingerprint(texts), len(texts)) for name, texts in found.items()}


def _faq_pages() -> list[Document]:
    return [page for page in python_documentation() if page.id.startswith(_EXAMINED)]


def _prose(pages: Sequence[Document]) -> list[Passage]:
    return [piece for piece in passages(pages) if piece.kind == "text"]
