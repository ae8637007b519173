"""Where links lead: what a link says becomes the id of a document, or the link is dropped.

A reader sees one document and cannot know the others; this is done once all are read.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from polyvec.data.documents import Document, Link, Section

_ENDINGS = ("", ".html", ".htm", ".md", ".rst", ".txt")
_ADDRESSES_ONLY = (".html", ".htm", ".xhtml", ".md", ".markdown")
"""Links in these are addresses, never names of things."""
_LABELS = (".rst", ".rst.txt")
"""In these a single word is a label, of which there is one in the whole corpus."""
_SEPARATOR = re.compile(r"[./#]+")
_INDEXES = ("index.html", "index.htm", "index.md", "index.rst", "README.md", "README.rst")


def resolve_links(documents: Sequence[Document]) -> list[Document]:
    """Give every link an existing target, and drop those that lead out of the corpus or nowhere.

    A target may be an id (``guide.md``), an id and an anchor (``guide.md#setup``), a page as a web
    server names it (``guide``, ``guide.html``, ``guide/``), or a Python name or label
    (``numpy.linalg.norm``, ``norm``) that names one thing only, or one nearest to where the link
    stands.

    Example:
        >>> links = (Link("more", "b"), Link("gone", "c"))
        >>> a = Document("a.html", "", "a", (Section(links=links),))
        >>> b = Document("b.html", "", "b", (Section(paragraphs=("Here.",)),))
        >>> resolve_links([a, b])[0].sections[0].links
        (Link(text='more', target='b.html'),)
    """
    targets = _Targets(documents)
    return [_with_links(document, targets) for document in documents]


def address(href: str, id: str) -> str:
    """The target that a relative web address means in the document ``id``; empty if outside.

    Example:
        >>> address("../lib/os.html?v=2#walk", "guide/start.html"), address("#top", "a.html")
        ('lib/os.html#walk', 'a.html#top')
    """
    try:
        parts = urlsplit(href.strip())
    except ValueError:
        return ""
    path, fragment = unquote(parts.path), unquote(parts.fragment)
    if parts.scheme or parts.netloc or not (path or fragment):
        return ""
    from_root = path.startswith("/")
    page = posixpath.join("" if from_root else posixpath.dirname(id), path.lstrip("/"))
    target = posixpath.normpath(page) if path else id
    if target.startswith(".."):
        return ""
    return f"{target}#{fragment}" if fragment else target


def _with_links(document: Document, targets: _Targets) -> Document:
    if not any(section.links for section in document.sections):
        return document
    sections = (
        replace(section, links=tuple(_found(section, document, targets)))
        for section in document.sections
    )
    return replace(document, sections=tuple(sections))


def _found(section: Section, document: Document, targets: _Targets) -> Iterator[Link]:
    seen = set()
    for link in section.links:
        target = targets.find(link.target, document.id)
        inside = f"{document.id}#{section.anchor}" if section.heading else document.id
        found = Link(link.text, target)
        if target and target != inside and found not in seen:
            seen.add(found)
            yield found


class _Targets:
    """The documents and anchors of a corpus, by the names that links may use for them."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._ids = {document.id for document in documents}
        self._anchors: set[str] = set()
        self._openings = {
            f"{document.id}#{section.anchor}"
            for document in documents
            for section in document.sections[:1]
            if not section.heading
        }
        self._by_name: Mapping[str, list[str]] = defaultdict(list)
        for document in documents:
            self._by_name[_parts(document.id)[-1]].append(document.id)
            for anchor in dict.fromkeys(s.anchor for s in document.sections if s.anchor):
                self._anchors.add(f"{document.id}#{anchor}")
                self._by_name[_parts(anchor)[-1]].append(f"{document.id}#{anchor}")

    def find(self, written: str, source: str) -> str:
        """The target that ``written`` means in the document ``source``; empty if there is none."""
        page, _, anchor = written.partition("#")
        id = self._page(page)
        if id:
            target = f"{id}#{anchor}"
            if not anchor or target in self._openings:
                return id
            return target if target in self._anchors else ""
        an_address = anchor or "/" in page or source.endswith(_ADDRESSES_ONLY)
        return "" if an_address else self._named(page, source)

    def _page(self, page: str) -> str:
        stem = os.path.splitext(page)[0]
        folder = page.rstrip("/") + "/" if page not in ("", ".") else ""
        candidates = (
            *(page + ending for ending in _ENDINGS),
            *(folder + index for index in _INDEXES),
            *(stem + ending for ending in _ENDINGS[1:]),
        )
        return next((candidate for candidate in candidates if candidate in self._ids), "")

    def _named(self, name: str, source: str) -> str:
        """The one target with all parts of ``name`` in its own, in order, nearest to ``source``."""
        parts = _parts(name)
        fits = [
            (target, dotted)
            for target in self._by_name.get(parts[-1], ())
            if _in_order(parts, dotted := _parts(target))
        ]
        if not fits:
            return ""
        here = _parts(source)
        near = [_shared(here, dotted) for _, dotted in fits]
        # A bare word may mean anything in a foreign package; a full name says where it belongs.
        nearest = [target for (target, _), n in zip(fits, near, strict=True) if n == max(near)]
        foreign = max(near) == 0 and len(parts) == 1 and not source.endswith(_LABELS)
        return nearest[0] if len(nearest) == 1 and not foreign else ""


def _parts(name: str) -> list[str]:
    return _SEPARATOR.split(name)


def _in_order(parts: Sequence[str], dotted: Sequence[str]) -> bool:
    remaining = iter(dotted)
    return all(part in remaining for part in parts)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Components that two dotted names have in common before they part."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
