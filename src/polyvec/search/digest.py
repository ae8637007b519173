"""All that a watch has to say at once: in words, as HTML, and under ids that stay the same when it is said again."""

from __future__ import annotations

import textwrap
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from polyvec.search.highlighting import word_spans
from polyvec.search.standing_queries import Answer, News, StandingQuery, pieces

MOST = 50
"""News of one query that a digest shows; it says how many there are more."""

_NAMED = 3
_QUERY_LENGTH = 60
_WIDTH = 76


@dataclass(frozen=True, slots=True)
class Digest:
    """What is new for all queries of a watch.

    Attributes:
        name: of the index.
        answers: one for each query.
        at: when they were answered.
        site: address where the documents are found, by their ids; empty where they are found at no address.
    """

    name: str
    answers: Sequence[Answer]
    at: datetime
    site: str = ""

    @property
    def count(self) -> int:
        """Passages that are new; one that is new for two queries counts once."""
        return len({news.hit.id for answer in self.answers for news in answer.news})

    @property
    def subject(self) -> str:
        """How many passages are new, and for what.

        Example:
            >>> quiet = [Answer(StandingQuery(text), (), first=False) for text in ("joins", "tea")]
            >>> Digest("docs.index", quiet, datetime(2026, 1, 1)).subject
            'Nothing new: "joins", "tea"'
        """
        told = [answer for answer in self.answers if answer.news] or list(self.answers)
        several = len(told) > 1 and self.count
        named = [
            f'"{textwrap.shorten(answer.query.text, _QUERY_LENGTH, placeholder=" …")}"'
            + (f" ({len(answer.news)})" if several else "")
            for answer in told[:_NAMED]
        ]
        more = f" and {len(told) - _NAMED} more queries" if len(told) > _NAMED else ""
        return f"{self._said()}: {', '.join(named)}{more}"

    def as_text(self) -> str:
        """For a terminal, and for readers of mail without HTML."""
        return _templates().get_template("digest.txt.j2").render(digest=self, most=MOST)

    def as_html(self) -> str:
        """For readers of mail; it needs nothing from elsewhere."""
        return _templates().get_template("digest.html.j2").render(digest=self, most=MOST)

    def link(self, news: News) -> str:
        """Address of a passage's document; empty where it has none.

        Example:
            >>> from polyvec.search.hits import Hit
            >>> hit = Hit("a b.md#0.0", "a b.md", "", "", "Text.", "/docs/a b.md#top", 1.0)
            >>> Digest("i", [], datetime(2026, 1, 1), "https://wiki.example/docs").link(News(hit, False, ()))
            'https://wiki.example/docs/a%20b.md#top'
        """
        if urlsplit(news.hit.place).scheme in ("http", "https"):
            return news.hit.place
        if not self.site:
            return ""
        # A place is the document's, with an anchor where the section has one.
        _, _, anchor = news.hit.place.rpartition(news.hit.document)
        return f"{self.site.rstrip('/')}/{quote(news.hit.document)}{quote(anchor, safe='#')}"

    def identity(self, *parts: str) -> uuid.UUID:
        """The same for the same news of the same index, whenever they are told; `parts` tell further things apart."""
        ids = [entry_id(answer.query, one) for answer in self.answers for one in answer.news]
        return _uuid(self.name, *ids, *parts)

    def _said(self) -> str:
        if self.count:
            return f"{self.count} new"
        return "Watching from now on" if all(a.first for a in self.answers) else "Nothing new"


def entry_id(query: StandingQuery, news: News) -> str:
    """What a feed calls a passage that is news for a query: the same as long as its text is the same."""
    hit = news.hit
    return _uuid(query.text, query.where or "", hit.document, hit.text).urn


def _uuid(*parts: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(("polyvec", *parts)))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("polyvec.search"),
        autoescape=lambda name: name is not None and ".html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"pieces": _pieces, "indented": _indented}
    return environment


def _pieces(news: News, query: StandingQuery) -> list[tuple[str, bool, bool]]:
    text = news.hit.text
    # All of a new document is new, so that nothing in it stands out.
    fresh = news.fresh if news.changed else [(0, len(text))]
    return pieces(text, word_spans(text, query.text), fresh)


def _indented(text: str) -> str:
    """Wrapped, but for lines that are indented, which are code."""
    lines = []
    for line in text.splitlines():
        whole = line.startswith((" ", "\t"))
        lines += [line] if whole else textwrap.wrap(line, _WIDTH, break_on_hyphens=False) or [""]
    return textwrap.indent("\n".join(lines), "    ")
