"""Documents as the rows of an index: where each came from, whether it changed, and the passages it is cut into."""

from __future__ import annotations

import json
import os
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path

from polyvec.data.bm25 import words
from polyvec.data.documents import Document, Section
from polyvec.data.passages import passages
from polyvec.data.python_packages import PREFIX

HEADINGS_APART = " > "
"""Between the headings above a passage, outermost first."""
_GLOB = "*?["


@dataclass(frozen=True, slots=True)
class Row:
    """A passage as it stands in an index, without its vector.

    Attributes:
        id: ``document#section.number``, unique in the index.
        document: id of its document.
        title: the document's title.
        heading: the headings above it with `HEADINGS_APART` between them.
        source: what the document was read from, see `Origin`.
        place: where a person finds it: file, or module, and anchor.
        kind: ``text`` or ``code``.
        text: what is encoded and shown.
    """

    id: str
    document: str
    title: str
    heading: str
    source: str
    place: str
    kind: str
    text: str

    @property
    def words(self) -> str:
        """What the word search reads: title, headings and text, identifiers whole and in parts."""
        return " ".join(words(f"{self.title}\n{self.heading}\n{self.text}"))


@dataclass(frozen=True, slots=True)
class DocumentRows:
    """The rows of one document, and the digest of all that they say: it changes when one of them would."""

    document: str
    source: str
    rows: tuple[Row, ...]
    digest: str


class Origin:
    """What documents are read from, named so that the same source has the same name tomorrow.

    A path is made absolute; installed packages are sources of their own, however many are read at once.

    Args:
        source: as for `polyvec.data.sources.read_documents`.

    Example:
        >>> from polyvec.data.documents import Document
        >>> module = Document("json.decoder", "", "json")
        >>> origin = Origin("python:json,csv")
        >>> origin.of(module), origin.place(module, Section(anchor="JSONDecoder"))
        ('python:json', 'python:json.decoder#JSONDecoder')
    """

    def __init__(self, source: str) -> None:
        self._packages = source.strip().startswith(PREFIX)
        path = Path(source.strip()).expanduser()
        if self._packages:
            self._name = self._root = PREFIX
        elif path.exists():
            self._name = str(path.resolve())
            self._root = f"{path.resolve() if path.is_dir() else path.resolve().parent}/"
        elif any(sign in source for sign in _GLOB):
            self._name = os.path.abspath(path)
            fixed = self._name[: min(self._name.find(c) for c in _GLOB if c in self._name)]
            self._root = f"{Path(f'{fixed}x').parent}/"
        else:
            self._name = source.strip()
            self._root = f"{self._name}/"

    def of(self, document: Document) -> str:
        """Name of the source of a document."""
        return f"{PREFIX}{document.group}" if self._packages else self._name

    def place(self, document: Document, section: Section) -> str:
        """Where a section is found."""
        anchor = f"#{section.anchor}" if section.anchor else ""
        return f"{self._root}{document.id}{anchor}"


def document_rows(document: Document, origin: Origin) -> DocumentRows:
    """Cut a document into the rows of its passages.

    Example:
        >>> page = Document("tea.md", "Tea", "tea.md", (Section("Green", ("Kinds",), "", ("Boil.",)),))
        >>> [row] = document_rows(page, Origin("python:")).rows
        >>> row.id, row.heading, row.words
        ('tea.md#0.0', 'Kinds > Green', 'tea kinds green boil')
    """
    source = origin.of(document)
    rows = []
    for passage in passages([document]):
        section = document.sections[passage.section]
        rows.append(
            Row(
                id=passage.id,
                document=document.id,
                title=document.title,
                heading=HEADINGS_APART.join(
                    part for part in (*section.path, section.heading) if part
                ),
                source=source,
                place=origin.place(document, section),
                kind=passage.kind,
                text=passage.text,
            )
        )
    said = json.dumps([astuple(row) for row in rows], ensure_ascii=True).encode()
    return DocumentRows(document.id, source, tuple(rows), blake2b(said, digest_size=16).hexdigest())
