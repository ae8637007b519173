"""What a search returns, and how two rankings become one.

Reciprocal rank fusion: Cormack, Clarke and Büttcher 2009, *Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods*, SIGIR. A passage scores the sum of 1 / (60 + rank) over the rankings that hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CONSTANT = 60


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        id: ``document#section.number``.
        document: id of its document.
        title: the document's title.
        heading: the headings above the passage, outermost first, `` > `` between them.
        text: the passage.
        place: where a person finds it.
        score: what the hits are sorted by: the cosine, BM25's score, or of both together the fused one.
        vector_rank: from 1, among the passages nearest by vector; None where it is not among them.
        vector_score: the cosine; None as above.
        word_rank: from 1, among the passages that share words; None where it is not among them.
        word_score: BM25's score; None as above.
    """

    id: str
    document: str
    title: str
    heading: str
    text: str
    place: str
    score: float
    vector_rank: int | None = None
    vector_score: float | None = None
    word_rank: int | None = None
    word_score: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A row that one of the two searches found, and its score there; higher is better."""

    row: Mapping[str, Any]
    score: float


def fuse(by_vector: Sequence[Found] | None, by_words: Sequence[Found] | None, k: int) -> list[Hit]:
    """The ``k`` best hits of one ranking, or of two by reciprocal rank fusion.

    Args:
        by_vector: best first; None where vectors were not asked.
        by_words: best first; None where words were not asked.
        k: most hits.

    Returns:
        Best first; of equal scores the smaller id first.

    Example:
        >>> row = dict(document="d", title="", heading="", text="", place="")
        >>> a, b, c = (Found({"id": id, **row}, 1.0) for id in "abc")
        >>> [(hit.id, round(hit.score, 4)) for hit in fuse([a, b], [b, c], 2)]
        [('b', 0.0325), ('a', 0.0164)]
    """
    vector_places, word_places = _places(by_vector), _places(by_words)
    alone = by_vector is None or by_words is None
    hits = []
    for id in dict.fromkeys([*vector_places, *word_places]):
        vector, word = vector_places.get(id), word_places.get(id)
        ranked = [place for place in (vector, word) if place]
        row = ranked[0][1].row
        hits.append(
            Hit(
                id=id,
                document=row["document"],
                title=row["title"],
                heading=row["heading"],
                text=row["text"],
                place=row["place"],
                score=ranked[0][1].score
                if alone
                else sum(1 / (_CONSTANT + rank) for rank, _ in ranked),
                vector_rank=vector[0] if vector else None,
                vector_score=vector[1].score if vector else None,
                word_rank=word[0] if word else None,
                word_score=word[1].score if word else None,
            )
        )
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k]


def _places(found: Iterable[Found] | None) -> dict[str, tuple[int, Found]]:
    return {one.row["id"]: (rank, one) for rank, one in enumerate(found or (), 1)}
