"""Queries that are asked again and again: what is near to one now, and was not there when it was last answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import get_args

from polyvec.errors import BadInput
from polyvec.search.hits import Hit
from polyvec.search.index import Index, Mode
from polyvec.search.known_texts import KnownTexts, Span
from polyvec.search.lance_table import one_of

NEAREST = 20
"""How many of an index's nearest passages are near, where nothing else is said."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SIGN = "\ufffd"
# What neither XML nor a mail can hold.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class StandingQuery:
    """What somebody wants to hear about, and how near to it a passage has to be.

    Attributes:
        text: the query, in words, on one line.
        where: SQL as for `polyvec.search.index.Index.search`; only such passages are ranked.
        mode: how they are ranked, likewise.
        k: near is what stands among the ``k`` best of the whole index, old and new. None: whatever ``least`` allows.
        least: near is what has at least this cosine to the query; None: whatever ``k`` allows.

    Raises:
        BadInput: when the query is empty or has line breaks, or a number is out of its range.

    Example:
        >>> StandingQuery("joins", k=0)
        Traceback (most recent call last):
        ...
        polyvec.errors.BadInput: k = 0: give 1 or more
    """

    text: str
    where: str | None = None
    mode: Mode = "hybrid"
    k: int | None = NEAREST
    least: float | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise BadInput("a query is empty; give some words")
        if _CONTROL.search(self.text):
            raise BadInput(f"query {self.text!r}: has a line break or control character in it")
        if self.mode not in get_args(Mode):
            raise BadInput(f"mode {self.mode!r}: give {', '.join(get_args(Mode))}")
        if self.k is None and self.least is None:
            raise BadInput("a standing query needs k, the least cosine, or both")
        if self.k is not None and self.k < 1:
            raise BadInput(f"k = {self.k}: give 1 or more")
        if self.least is not None and not -1 <= self.least <= 1:
            raise BadInput(f"least cosine {self.least:g}: give a number from -1 to 1")


@dataclass(frozen=True, slots=True)
class News:
    """A passage that is new and near.

    Attributes:
        hit: as the search found it, without characters that cannot be printed.
        changed: whether its document was known before; else the document is new.
        fresh: start and end of whatever is new in its document.
    """

    hit: Hit
    changed: bool
    fresh: tuple[Span, ...]

    @property
    def headline(self) -> str:
        """Title and headings, or the document's id where it has neither."""
        return " > ".join(part for part in (self.hit.title, self.hit.heading) if part) or (
            self.hit.document
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What there is to say about a query.

    Attributes:
        query: the query.
        news: best first.
        first: whether it was asked for the first time; what the index holds is then where news start from.
    """

    query: StandingQuery
    news: tuple[News, ...]
    first: bool


def answer(
    index: Index,
    rows: Sequence[Mapping[str, str]],
    query: StandingQuery,
    known: KnownTexts | None,
) -> Answer:
    """What is new and near.

    Args:
        index: to search.
        rows: what `Index.rows` gave for it. A passage that was committed after that is left for the next time.
        query: to answer.
        known: what the index held when the query was last answered. None: it never was, and nothing is new.

    Raises:
        BadInput: as `Index.search` does; it is asked even where nothing can be new, so that a wrong filter shows
            at once.
    """
    fresh = {} if known is None else known.fresh(rows)
    if not fresh or known is None:
        if known is None:
            index.search(query.text, 1, query.mode, query.where)
        return Answer(query, (), first=known is None)
    spans = {rows[place]["id"]: (rows[place]["text"], fresh[place]) for place in fresh}
    news = []
    for hit in _near(index, query, list(spans), everything=len(spans) == len(rows)):
        text, where = spans.get(hit.id, ("", []))
        if text == hit.text:
            changed = known.holds_document(hit.document)
            news.append(News(_printable(hit), changed, tuple(where)))
    return Answer(query, tuple(news), first=False)


def pieces(
    text: str, marked: Sequence[Span], fresh: Sequence[Span]
) -> list[tuple[str, bool, bool]]:
    """Cut a text where highlighting or news begin or end.

    Args:
        text: of a passage.
        marked: spans to highlight, in order, none over another.
        fresh: spans that are new, likewise.

    Returns:
        Each piece, whether it is highlighted, and whether it is new.

    Example:
        >>> pieces("Old tea. New tea.", [(4, 7), (13, 16)], [(9, 17)])
        [('Old ', False, False), ('tea', True, False), ('. ', False, False), ('New ', False, True), ('tea', True, True),
        ('.', False, True)]
    """
    ends = sorted({0, len(text), *(end for span in (*marked, *fresh) for end in span)})
    return [
        (text[start:end], _within(start, marked), _within(start, fresh))
        for start, end in pairwise(ends)
    ]


def _near(
    index: Index, query: StandingQuery, fresh: Sequence[str], *, everything: bool
) -> Iterator[Hit]:
    """Hits that are near, and all of `fresh` among them."""
    if query.k is None:
        only = None if everything else one_of("id", fresh)
        where = " AND ".join(f"({part})" for part in (query.where, only) if part)
        hits = index.search(query.text, len(fresh), "vectors", where or None, exact=True)
    else:
        hits = index.search(query.text, query.k, query.mode, query.where)
    if query.least is None or not hits:
        yield from hits
        return
    # Of a hit that was found by its words the cosine may not be known yet.
    these = one_of("id", [hit.id for hit in hits])
    measured = index.search(query.text, len(hits), "vectors", these, exact=True)
    cosines = {hit.id: hit.score for hit in measured}
    yield from (hit for hit in hits if cosines.get(hit.id, -1.0) >= query.least)


def _within(place: int, spans: Sequence[Span]) -> bool:
    return any(start <= place < end for start, end in spans)


def _printable(hit: Hit) -> Hit:
    """The hit with a sign for each character that cannot be printed, so that no position moves."""
    return replace(
        hit,
        document=_UNPRINTABLE.sub(_SIGN, hit.document),
        title=_UNPRINTABLE.sub(_SIGN, hit.title),
        heading=_UNPRINTABLE.sub(_SIGN, hit.heading),
        text=_UNPRINTABLE.sub(_SIGN, hit.text),
        place=_UNPRINTABLE.sub(_SIGN, hit.place),
    )
