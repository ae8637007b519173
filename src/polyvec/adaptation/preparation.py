"""From documents to what is learned and what is examined, with nothing of the second in the first."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyvec.data.beir import Judgements, folder_judgements, is_beir_folder, read_beir_corpus
from polyvec.data.documents import Document
from polyvec.data.outside_documents import outside_documents
from polyvec.data.passages import Passage, passages
from polyvec.data.splits import (
    Split,
    assert_no_leak,
    split_documents,
    without_exam_questions,
    without_near_duplicates,
)
from polyvec.data.structure_pairs import STRUCTURE_TASKS, Pair, inverse_cloze_pairs, structure_pairs
from polyvec.errors import BadInput
from polyvec.evaluation.exam import FEWEST_QUERIES, Exam, judged_exam, structure_exam
from polyvec.training.pair_mixture import by_task

LEARNED = 30_000
"""Most passages that are prepared for training: more than a CPU learns in an hour."""
BATCH = 64
"""Pairs in a training step."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is learned (pairs, with the text of each passage) and what is examined."""

    split: Split
    pairs: list[Pair]
    texts: dict[str, str]
    dev: Exam
    test: Exam
    near_duplicates: int


def prepare(documents: Sequence[Document], judgements: Judgements | None, seed: int) -> Prepared:
    """Split documents, make the exams, and collect training pairs that share nothing with them.

    Args:
        documents: all of the domain.
        judgements: the user's own queries and what is relevant; they are then the test exam, over all documents.
        seed: of the split and of all sampling.

    Raises:
        BadInput: when the documents are too few, or carry too little structure to ask questions about.
    """
    split = split_documents(documents, seed, test=0.0 if judgements else 0.2)
    pieces = passages(documents)
    parts = [
        _sample(_openings(pieces, split.test), 4000, seed),
        _sample(_openings(pieces, split.dev), 2000, seed),
        _sample([piece for piece in pieces if piece.document in split.train], LEARNED, seed),
    ]
    test, dev, learned = without_near_duplicates(*parts)
    test_pairs = structure_pairs(documents, test)
    dev_pairs = [*structure_pairs(documents, dev), *inverse_cloze_pairs(dev, seed, keep=0.0)]
    asked = without_exam_questions(dev_pairs, test_pairs)
    within = [document for document in documents if document.id in split.train]
    # What stands later in a section seldom answers its heading; it is learned by its own sentences.
    answers = _openings(learned, split.train)
    pairs = [*structure_pairs(within, answers), *inverse_cloze_pairs(learned, seed)]
    pairs = without_exam_questions(pairs, [*test_pairs, *dev_pairs])
    if judgements:
        own = {query.casefold() for query in judgements.queries.values()}
        pairs = [pair for pair in pairs if pair.query.casefold() not in own]
    assert_no_leak(split, learned, pairs, [*test_pairs, *dev_pairs])
    prepared = Prepared(
        split,
        pairs,
        {piece.id: piece.text for piece in learned},
        structure_exam(dev, asked, seed, queries=150, passages=400),
        judged_exam(documents, judgements)
        if judgements
        else structure_exam(test, test_pairs, seed),
        sum(map(len, parts)) - len(test) - len(dev) - len(learned),
    )
    _refuse_poor(prepared, len(documents))
    return prepared


def retention_exams(documents: Sequence[Document], seed: int) -> tuple[Exam, Exam]:
    """Exams of the same kind on documents outside the domain: one to choose by, one to report."""
    outside = outside_documents(documents)
    if len(outside) < 3:
        return Exam([]), Exam([])
    halves = split_documents(outside, seed, dev=0.4, test=0.4)
    inside = _sample([piece for piece in passages(documents) if piece.text], LEARNED // 3, seed)
    pieces = passages(outside)
    _, choose, report = without_near_duplicates(
        inside, _openings(pieces, halves.dev), _openings(pieces, halves.test)
    )
    exams = [
        structure_exam(part, structure_pairs(outside, part), seed, queries=150, passages=300)
        for part in (choose, report)
    ]
    return exams[0], exams[1]


def with_judged(choose: Exam, report: Exam, folder: Path) -> tuple[Exam, Exam]:
    """Add the user's retention set: every other query to choose by, the rest to report.

    Raises:
        BadInput: when the folder is not BEIR's, or has no judgements.
    """
    if not is_beir_folder(folder):
        raise BadInput(
            f"{folder}: --retain wants a BEIR folder (corpus.jsonl, queries.jsonl, qrels/)"
        )
    judgements = folder_judgements(folder)
    if judgements is None:
        raise BadInput(f"{folder}: --retain wants queries.jsonl and qrels/ beside corpus.jsonl")
    documents = read_beir_corpus(folder).documents
    halves = [
        judged_exam(
            documents, judgements.only(sorted(judgements.qrels)[half::2]), f"retain {folder.name}"
        )
        for half in (0, 1)
    ]
    return Exam([*choose.tasks, *halves[0].tasks]), Exam([*report.tasks, *halves[1].tasks])


def facts(documents: Sequence[Document], prepared: Prepared) -> dict[str, Any]:
    """What was read and how it was divided, for the report."""
    groups = {document.id: document.group for document in documents}
    parts = {"train": prepared.split.train, "dev": prepared.split.dev, "test": prepared.split.test}
    return {
        "documents": len(documents),
        "sections": sum(len(document.sections) for document in documents),
        "groups": len(set(groups.values())),
        "splits": {
            name: {
                "documents": len(part),
                "groups": sorted({groups[document] for document in part}),
            }
            for name, part in parts.items()
        },
        "split_note": prepared.split.note,
        "pairs": dict(Counter(pair.task for pair in prepared.pairs)),
        "removed_near_duplicates": prepared.near_duplicates,
    }


def _openings(pieces: Sequence[Passage], part: Collection[str]) -> list[Passage]:
    """Code, and the first passage of each section, of some documents: what an exam searches."""
    held = (piece for piece in pieces if piece.document in part)
    return [piece for piece in held if piece.kind == "code" or piece.id.endswith(".0")]


def _sample(pieces: Sequence[Passage], most: int, seed: int) -> list[Passage]:
    if len(pieces) <= most:
        return list(pieces)
    kept = sorted(random.Random(seed).sample(range(len(pieces)), most))
    return [pieces[position] for position in kept]


def _refuse_poor(prepared: Prepared, documents: int) -> None:
    exams: Mapping[str, Exam] = {"choose by": prepared.dev, "report": prepared.test}
    for purpose, exam in exams.items():
        if not exam.tasks:
            raise BadInput(
                f"{documents} documents hold fewer than {FEWEST_QUERIES} questions of one kind to {purpose} "
                f"({', '.join(STRUCTURE_TASKS)}); give more documents, or your own with --queries and --qrels"
            )
    if not by_task(prepared.pairs, BATCH, seed=0):
        raise BadInput(
            f"{documents} documents give {len(prepared.pairs)} training pairs and no {BATCH} of one kind; "
            "give more documents"
        )
