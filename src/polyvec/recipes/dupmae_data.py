"""Texts, pairs and tests of the DupMAE experiment."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from polyvec.data.benchmarks.question_answering import read_xquad
from polyvec.data.passages import passages, sentences
from polyvec.data.structure_pairs import HEADING, structure_pairs
from polyvec.recipes.learned_texts import (
    judged_sets,
    needed_root,
    python_documentation,
    text_fingerprint,
)
from polyvec.recipes.recipe import Source

HELD_OUT = 256
"""Texts that are not learned from, to measure the bottleneck on."""


class Material(NamedTuple):
    """What all arms get.

    Attributes:
        texts: to learn from without pairs.
        held_out: texts to measure the bottleneck on.
        queries: titles and headings.
        answers: abstracts and paragraphs, one for each query.
        labels: of pairs, equal where the query has the same answers.
    """

    texts: list[str]
    held_out: list[str]
    queries: list[str]
    answers: list[str]
    labels: list[int]


@cache
def material() -> Material:
    """Texts and pairs; queries of Cranfield and CISI are in neither.

    Of headings, which are ten times as many and mostly signatures of functions, as many are taken as there are titles.
    """
    documentation = python_documentation()
    pieces = passages(documentation)
    told = {piece.id: piece.text for piece in pieces}
    texts = [
        piece.text for piece in pieces if piece.kind == "text" and len(sentences(piece.text)) >= 2
    ]
    headed = [
        (pair.query, told[pair.passage], pair.answers)
        for pair in structure_pairs(documentation, pieces)
        if pair.task == HEADING
    ]
    titled = []
    for found in judged_sets().values():
        for text in found.documents.values():
            title, _, body = text.partition("\n")
            texts.append(text)
            if title.strip() and body.strip():
                titled.append((title, body, title))
    texts += _contexts()
    rng = random.Random(0)
    pairs = titled + rng.sample(headed, min(len(titled), len(headed)))
    texts = sorted(set(texts))
    rng.shuffle(texts)
    queries, answers, asked = (list(column) for column in zip(*pairs, strict=True))
    numbers = {goal: number for number, goal in enumerate(dict.fromkeys(asked))}
    return Material(
        texts[HELD_OUT:],
        texts[:HELD_OUT],
        queries,
        answers,
        [numbers[goal] for goal in asked],
    )


def sources() -> Mapping[str, Source]:
    """Fingerprints of what was learned from and tested on."""
    given = material()
    learned = {
        "texts": given.texts + given.held_out,
        "pairs": [*given.queries, *given.answers],
    }
    found = {name: Source(text_fingerprint(rows), len(rows)) for name, rows in learned.items()}
    for name, judged in judged_sets().items():
        asked = [judged.judgements.queries[query] for query in judged.judgements.qrels]
        found[f"{name} queries"] = Source(text_fingerprint(asked), len(asked))
    return found


def _contexts() -> list[str]:
    """Paragraphs of XQuAD in English."""
    return list(read_xquad(needed_root(), "en").documents.values())
