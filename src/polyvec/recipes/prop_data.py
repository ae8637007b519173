"""What the recipe of PROP learns from and is judged on: texts, pairs of each arm, queries with BM25's candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from polyvec.data.collection_statistics import CollectionStats, DocumentLM
from polyvec.data.passages import Passage, passages
from polyvec.data.representative_words import RepresentativeWords, UnigramTerms, WordSets
from polyvec.data.structure_pairs import inverse_cloze_pairs
from polyvec.encoders.attention_terms import AttentionTerms
from polyvec.encoders.loading import load
from polyvec.evaluation.reranking import Candidates, FewShots, bm25_candidates
from polyvec.recipes.learned_texts import (
    judged_sets,
    judged_task,
    python_documentation,
    text_fingerprint,
)
from polyvec.recipes.recipe import Scale, Source

Row = tuple[str, str]
"""A query or word set, and a document."""
Columns = list[list[Row]]
"""The pairs to prefer, and those to prefer them to."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything.

    Attributes:
        pretrained: start from the installed MiniLM instead of an untrained encoder.
        length: tokens that are read of words and document together.
        words: of a training passage, at most.
        documents: of Python's documentation, passages of that many words.
        texts: passages that word sets are drawn from.
        warm_steps: of masked language modelling before the arms part.
        warm_batch: passages in each of them.
        steps: of an arm.
        batch: pairs in each of them.
        learning_rate: the highest, of both.
        held_out: pairs that the intrinsic accuracy is measured on.
        queries: of each collection that a seed judges with; None for all.
        folds: over queries.
        shots: numbers of queries to learn from, each with how.
    """

    pretrained: bool
    length: int
    words: int
    documents: int
    texts: int
    warm_steps: int
    warm_batch: int
    steps: int
    batch: int
    learning_rate: float
    held_out: int
    queries: int | None
    folds: int
    shots: tuple[FewShots, ...]


SIZES: Mapping[Scale, Sizes] = {
    "cpu": Sizes(
        pretrained=False,
        length=96,
        words=45,
        documents=1000,
        texts=800,
        warm_steps=40,
        warm_batch=32,
        steps=48,
        batch=16,
        learning_rate=1e-3,
        held_out=300,
        queries=20,
        folds=2,
        shots=(FewShots(queries=10, negatives=5, steps=8, batch=2, learning_rate=3e-4),),
    ),
    "gpu": Sizes(
        pretrained=True,
        length=192,
        words=140,
        documents=4000,
        texts=6000,
        warm_steps=80,
        warm_batch=96,
        steps=150,
        batch=48,
        learning_rate=1e-4,
        held_out=2000,
        queries=None,
        folds=3,
        shots=(FewShots(queries=10, negatives=7, steps=20, batch=4, learning_rate=5e-5),),
    ),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """Queries of a collection, what BM25 finds for them, and what is relevant.

    Attributes:
        queries: texts.
        candidates: BM25's best 50.
        relevant: for each query passage id → grade.
    """

    queries: list[str]
    candidates: Candidates
    relevant: list[Mapping[str, int]]

    def of(self, numbers: NDArray[np.intp]) -> Judged:
        """Some of the queries."""
        return Judged(
            [self.queries[n] for n in numbers],
            self.candidates.of(numbers),
            [self.relevant[n] for n in numbers],
        )


@cache
def documents(scale: Scale) -> tuple[str, ...]:
    """All texts to learn from: Cranfield, CISI, and passages of Python's documentation, a fixed sample."""
    sizes = SIZES[scale]
    judged = [text for found in judged_sets().values() for text in found.documents.values()]
    pages = _packed(passages(python_documentation()), sizes.words)
    chosen = np.random.default_rng(0).permutation(len(pages))[: sizes.documents]
    return (*judged, *(pages[number] for number in sorted(chosen)))


@cache
def divided(scale: Scale) -> tuple[list[str], list[str]]:
    """The texts to learn from, in random order, and a twentieth of all that is held out."""
    found = documents(scale)
    order = np.random.default_rng(1).permutation(len(found))
    texts = [found[number] for number in order]
    return texts[len(found) // 20 :], texts[: len(found) // 20]


@cache
def passages_of(scale: Scale, *, held_out: bool = False) -> list[str]:
    """Passages of the texts to learn from, or of those held out, in random order."""
    found = [
        part for text in divided(scale)[held_out] for part in windows(text, SIZES[scale].words)
    ]
    return [found[number] for number in np.random.default_rng(2).permutation(len(found))]


@cache
def language_model(scale: Scale) -> DocumentLM:
    """Of the passages to learn from; the authors' settings."""
    return DocumentLM(CollectionStats.build(passages_of(scale)))


def unigram_pairs(scale: Scale, seed: int) -> list[WordSets]:
    """PROP's pairs of the passages to learn from: the published rules, short passages not passed over."""
    texts = passages_of(scale)[: SIZES[scale].texts]
    source = UnigramTerms(language_model(scale), texts)
    return list(RepresentativeWords(source, skip_short=0, seed=seed).pairs())


def attention_pairs(scale: Scale, seed: int, device: str) -> list[WordSets]:
    """B-PROP's pairs of the same passages, by the attention of MiniLM."""
    sampler = RepresentativeWords(
        _attention(scale, device), replace=False, min_words=10, skip_short=0, seed=seed
    )
    return list(sampler.pairs())


@cache
def _attention(scale: Scale, device: str) -> AttentionTerms:
    teacher = load("minilm", device)
    assert teacher.transformers_model is not None
    teacher.transformers_model.set_attn_implementation("eager")
    return AttentionTerms(teacher, passages_of(scale)[: SIZES[scale].texts])


def word_set_columns(scale: Scale, pairs: Sequence[WordSets]) -> Columns:
    """Rows of (words, passage): the more representative set, and the other."""
    texts = passages_of(scale)
    return [
        [(sets.positive, texts[sets.document]) for sets in pairs],
        [(sets.negative, texts[sets.document]) for sets in pairs],
    ]


def shuffled(columns: Columns, seed: int) -> Columns:
    """The control: which of the two is to be preferred is drawn by lot, once for each row."""
    turned = np.random.default_rng(seed).random(len(columns[0])) < 0.5
    rows = zip(*columns, turned, strict=True)
    return [
        list(column) for column in zip(*((b, a) if t else (a, b) for a, b, t in rows), strict=True)
    ]


def cloze_columns(scale: Scale, seed: int) -> Columns:
    """Rows of (sentence, rest of its text) and (sentence, another text): the inverse cloze task."""
    pieces = [
        Passage(str(number), str(number), 0, "text", text)
        for number, text in enumerate(divided(scale)[0])
    ]
    found = inverse_cloze_pairs(pieces, seed)
    order = np.random.default_rng(seed).permutation(len(found))
    pairs = [found[number] for number in order]
    others = [*pairs[1:], pairs[0]]
    return [
        [(pair.query, pair.text) for pair in pairs],
        [(pair.query, other.text) for pair, other in zip(pairs, others, strict=True)],
    ]


@cache
def held_out_columns(scale: Scale) -> Columns:
    """Pairs of word sets of held-out passages, by the published rules, the same for every arm and seed."""
    texts = passages_of(scale, held_out=True)
    source = UnigramTerms(language_model(scale), texts)
    found = list(RepresentativeWords(source, skip_short=0, seed=99).pairs())
    chosen = np.random.default_rng(3).permutation(len(found))[: SIZES[scale].held_out]
    return [
        [(found[n].positive, texts[found[n].document]) for n in chosen],
        [(found[n].negative, texts[found[n].document]) for n in chosen],
    ]


def judged(scale: Scale, seed: int) -> Mapping[str, Judged]:
    """Name of a collection → its queries, those of the seed where not all are asked."""
    most = SIZES[scale].queries
    rng = np.random.default_rng(seed)
    found = {name: _judged(name) for name in judged_sets()}
    return {
        name: of.of(np.sort(rng.permutation(len(of.queries))[:most])) for name, of in found.items()
    }


@cache
def _judged(name: str) -> Judged:
    task = judged_task(name)
    relevant = [task.relevant[query] for query in task.queries]
    return Judged(list(task.queries.values()), bm25_candidates(task), list(relevant))


def windows(text: str, words: int) -> list[str]:
    """Cut a text into runs of so many words; a rest of less than a third of that goes to the last.

    Example:
        >>> windows("a b c d e f g", 3)
        ['a b c', 'd e f', 'g']
        >>> windows("a b c d e f g", 6)
        ['a b c d e f g']
    """
    written = text.split()
    count = max(1, (len(written) + words - max(1, words // 3)) // words)
    starts = [number * words for number in range(count)]
    ends = [*starts[1:], len(written)]
    return [" ".join(written[a:b]) for a, b in zip(starts, ends, strict=True) if b > a]


def sources() -> Mapping[str, Source]:
    """Where the data comes from: the judged documents, and the documentation's passages."""
    found = {
        name: Source(text_fingerprint(of.documents.values()), len(of.documents))
        for name, of in judged_sets().items()
    }
    pages = [page.text for page in python_documentation()]
    return {**found, "python documentation": Source(text_fingerprint(pages), len(pages))}


def _packed(pieces: Iterable[Passage], words: int) -> list[str]:
    """Consecutive prose passages of a document, joined until they have so many words."""
    found: list[str] = []
    held: list[Passage] = []
    for piece in pieces:
        if piece.kind != "text":
            continue
        if held and held[0].document != piece.document:
            held = []
        held.append(piece)
        joined = " ".join(part.text for part in held)
        if len(joined.split()) >= words:
            found.append(joined)
            held = []
    return found
