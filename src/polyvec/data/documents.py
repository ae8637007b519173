"""A document with its structure: title, headings, paragraphs, links, docstrings and code.

Every reader of this room returns these plain records; everything that learns from documents starts from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polyvec.errors import BadInput
from polyvec.files import write_text


@dataclass(frozen=True, slots=True)
class Link:
    """A hyperlink: its anchor text and the document it leads to (``id`` or ``id#anchor``)."""

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a document under one heading.

    Attributes:
        heading: the heading itself, empty for what comes before the first one.
        path: headings above this one, outermost first, the document's title left out.
        anchor: name of the section inside the document, for links; empty if it has none.
        paragraphs: the text under the heading, a string each, white space folded, without the heading.
        summary: first sentence of a docstring, when the section is a documented piece of code.
        code: the source that ``summary`` documents, docstring removed.
        links: the links in the paragraphs.
    """

    heading: str = ""
    path: tuple[str, ...] = ()
    anchor: str = ""
    paragraphs: tuple[str, ...] = ()
    summary: str = ""
    code: str = ""
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        id: unique in its corpus; the path relative to the corpus, or the module's dotted name.
        title: what the document calls itself, empty if it does not say.
        group: documents of one group never fall into different splits (a package); the id where there is none.
        sections: the content, in reading order.
    """

    id: str
    title: str
    group: str
    sections: tuple[Section, ...] = ()

    @property
    def text(self) -> str:
        """All paragraphs and code, a blank line between them, without title and headings."""
        parts = (p for s in self.sections for p in (*s.paragraphs, s.summary, s.code) if p)
        return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was found and not read: where it is, and why not."""

    where: str
    reason: str


@dataclass(slots=True)
class Reading:
    """What a source gave: its documents, and all that was passed over with the reason."""

    documents: list[Document] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def save_documents(documents: Iterable[Document], path: Path) -> None:
    """Write documents as JSON lines, whole or not at all."""
    write_text(path, "".join(json.dumps(asdict(d), ensure_ascii=False) + "\n" for d in documents))


def load_documents(path: Path) -> list[Document]:
    """Read what `save_documents` wrote.

    Raises:
        BadInput: when a line is not such a record; the sentence names file and line.
    """
    return list(_parse_lines(path))


def _parse_lines(path: Path) -> Iterator[Document]:
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                sections = tuple(_section(s) for s in record.pop("sections"))
                yield Document(**record, sections=sections)
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path}:{number}: not a document record ({error})") from None


def _section(record: dict[str, Any]) -> Section:
    record["links"] = tuple(Link(**link) for link in record["links"])
    for name in ("path", "paragraphs"):
        record[name] = tuple(record[name])
    return Section(**record)
