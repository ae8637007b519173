"""Train, dev and test parts that share no document, no group and no passage."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from polyvec.data.documents import Document
from polyvec.data.leak_guard import refuse_leakage
from polyvec.data.near_duplicates import duplicate_groups
from polyvec.data.passages import Passage
from polyvec.data.structure_pairs import Pair
from polyvec.errors import BadInput

LARGEST_HELD_OUT = 0.25
"""A group with a larger share of all documents stays in train: one huge package is no fair exam."""


@dataclass(frozen=True, slots=True)
class Split:
    """Ids of the documents in each part; what was grouped together; and a note where the grouping was given up."""

    train: frozenset[str]
    dev: frozenset[str]
    test: frozenset[str]
    note: str = ""


def split_documents(
    documents: Sequence[Document], seed: int, dev: float = 0.1, test: float = 0.2
) -> Split:
    """Divide documents at random, groups (packages) kept whole.

    Where fewer than five groups hold all documents, or one holds nearly all, a part could not be made of whole
    groups without starving another; then documents themselves are divided and the split says so in its note.

    Args:
        documents: at least three.
        seed: the same seed gives each document the same place in the random order, whatever else is there.
        dev: share of documents held out for choices.
        test: share of documents held out for the exam; 0 when the user brings judgements.

    Raises:
        BadInput: when there are too few documents.
    """
    if len(documents) < 3:
        raise BadInput(
            f"too few documents to divide into train, dev and test ({len(documents)}); "
            "give at least 3, better hundreds"
        )
    groups = {document.id: document.group for document in documents}
    number = len(set(groups.values()))
    note = ""
    held_dev, held_test = _held_out(groups, seed, dev, test)
    starved = (dev > 0 and not held_dev) or (test > 0 and not held_test)
    if number < len(groups) and (number < 5 or starved):
        reason = (
            "one huge group leaves too little beside it" if number >= 5 else f"only {number} groups"
        )
        note = f"{reason}, so their documents were divided one by one"
        groups = {document.id: document.id for document in documents}
        held_dev, held_test = _held_out(groups, seed, dev, test)

    def members(part: Collection[str]) -> frozenset[str]:
        return frozenset(document for document, group in groups.items() if group in part)

    train = set(groups.values()) - held_test - held_dev
    return Split(members(train), members(held_dev), members(held_test), note)


def _held_out(
    groups: Mapping[str, str], seed: int, dev: float, test: float
) -> tuple[set[str], set[str]]:
    sizes = Counter(groups.values())
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    for_test = _take(order, sizes, test)
    return _take([group for group in order if group not in for_test], sizes, dev), for_test


def _take(order: Iterable[str], sizes: Mapping[str, int], share: float) -> set[str]:
    """Groups in the given order until they hold ``share`` of all documents, huge ones passed over."""
    total = sum(sizes.values())
    taken: set[str] = set()
    held = 0
    for group in order:
        if held >= share * total:
            break
        too_large = sizes[group] > 1 and sizes[group] > LARGEST_HELD_OUT * total
        if not too_large:
            taken.add(group)
            held += sizes[group]
    return taken


def without_near_duplicates(*parts: Sequence[Passage]) -> list[list[Passage]]:
    """Keep of all near-duplicates only the first; give the exam's passages first, what is learned last.

    Returns:
        For each part the passages that stay, in their order.
    """
    groups = iter(duplicate_groups([piece.text for part in parts for piece in part]).tolist())
    seen: set[int] = set()
    kept: list[list[Passage]] = []
    for part in parts:
        kept.append([])
        for piece in part:
            group = next(groups)
            if group not in seen:
                seen.add(group)
                kept[-1].append(piece)
    return kept


def without_exam_questions(pairs: Iterable[Pair], exam: Iterable[Pair]) -> list[Pair]:
    """The pairs whose query no exam asks, letter case aside."""
    asked = {pair.query.casefold() for pair in exam}
    return [pair for pair in pairs if pair.query.casefold() not in asked]


def assert_no_leak(
    split: Split, learned: Iterable[Passage], pairs: Iterable[Pair], exam: Sequence[Pair]
) -> None:
    """Stop the run if anything of an exam can be learned; a guard against mistakes in this library, not in input.

    Raises:
        LeakageError: naming what leaked.
    """
    refuse_leakage(split.train, split.dev | split.test, "documents in two parts")
    refuse_leakage(split.dev, split.test, "documents in two parts")
    # Whatever is not for training is held out, also what no part knows of.
    held_out = {piece.document for piece in learned} - split.train
    refuse_leakage(held_out, held_out, "held-out documents in training")
    pairs = list(pairs)
    refuse_leakage(
        (pair.query.casefold() for pair in pairs),
        (pair.query.casefold() for pair in exam),
        "questions of an exam in training",
    )
    refuse_leakage(
        (pair.passage for pair in pairs),
        (pair.passage for pair in exam),
        "passages of an exam in training",
    )
