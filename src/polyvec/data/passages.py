"""Passages: what is embedded, searched and judged, cut from documents along their own structure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from polyvec.data.documents import Document

TEXT_LIMIT = 400
"""Longest prose passage in characters: about 90 word pieces, a paragraph."""
CODE_LIMIT = 500
"""Longest code passage in characters: about 140 word pieces."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one section.

    Attributes:
        id: ``document#section.number``, unique in a corpus.
        document: id of the document.
        section: position of the section in the document.
        kind: prose (``text``) or source (``code``).
        text: the content, without the document's title and the section's heading.
    """

    id: str
    document: str
    section: int
    kind: Literal["text", "code"]
    text: str


def passages(documents: Iterable[Document]) -> list[Passage]:
    """Cut documents into passages, in reading order.

    A section's summary and paragraphs are packed up to `TEXT_LIMIT` characters; a longer paragraph is cut at
    sentence ends.
    The code of a section is one passage, cut at a line end before `CODE_LIMIT`.

    Example:
        >>> from polyvec.data.documents import Document, Section
        >>> page = Document("a", "A", "a", (Section("One", paragraphs=("First.", "Second.")),))
        >>> passages([page])
        [Passage(id='a#0.0', document='a', section=0, kind='text', text='First. Second.')]
    """
    return [passage for document in documents for passage in _of_document(document)]


def sentences(text: str) -> list[str]:
    """Cut prose after ``.``, ``!`` or ``?`` followed by white space.

    Example:
        >>> sentences("One. Two, e.g.this? Three")
        ['One.', 'Two, e.g.this?', 'Three']
    """
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]


def _of_document(document: Document) -> Iterator[Passage]:
    for position, section in enumerate(document.sections):
        told = (section.summary, *section.paragraphs)
        prose = [text for text in _packed(told) if any(c.isalpha() for c in text)]
        for number, text in enumerate(prose):
            yield Passage(f"{document.id}#{position}.{number}", document.id, position, "text", text)
        if section.code.strip():
            code = _cut(section.code.strip("\n"), CODE_LIMIT, "\n")
            yield Passage(f"{document.id}#{position}.code", document.id, position, "code", code)


def _packed(paragraphs: Iterable[str]) -> Iterator[str]:
    packed = ""
    for piece in (piece for paragraph in paragraphs for piece in _pieces(paragraph)):
        if packed and len(packed) + 1 + len(piece) > TEXT_LIMIT:
            yield packed
            packed = piece
        else:
            packed = f"{packed} {piece}" if packed else piece
    if packed:
        yield packed


def _pieces(paragraph: str) -> Iterator[str]:
    paragraph = paragraph.strip()
    if len(paragraph) <= TEXT_LIMIT:
        return iter([paragraph] if paragraph else [])
    return (piece for sentence in sentences(paragraph) for piece in _short_enough(sentence))


def _short_enough(sentence: str) -> Iterator[str]:
    while len(sentence) > TEXT_LIMIT:
        head = _cut(sentence, TEXT_LIMIT, " ")
        yield head
        sentence = sentence[len(head) :].lstrip()
    if sentence:
        yield sentence


def _cut(text: str, limit: int, separator: str) -> str:
    """The longest start of ``text`` within ``limit`` that ends before a separator, if there is one."""
    if len(text) <= limit:
        return text
    end = text.rfind(separator, 1, limit + 1)
    return text[: end if end > 0 else limit]
