"""A row of a table or data set as a document: which column is what, and what is unusable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from polyvec.data.documents import Document, Reading, Section, Skipped
from polyvec.data.text_lines import LONGEST_LINE
from polyvec.errors import BadInput

_TEXT = ("text", "content", "body", "passage", "document", "abstract")
_TITLE = ("title", "name", "heading")
_ID = ("_id", "id", "doc_id")
_BLANK_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its number in the file, its values by column, and why it has none if it has none."""

    number: int
    values: Mapping[str, object]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that are used; title and id are empty where there is none."""

    text: str
    title: str
    id: str

    @property
    def used(self) -> list[str]:
        """The names without the empty ones."""
        return list(dict.fromkeys(name for name in (self.text, self.title, self.id) if name))


def choose_columns(names: Iterable[str], text_column: str | None, where: str) -> Columns:
    """Find the columns to use by their names, letter case aside.

    Args:
        names: all columns.
        text_column: the one that holds the text; found by its name where None.
        where: the file or data set, for the error.

    Raises:
        BadInput: when there is no such column; the sentence lists those that exist.

    Example:
        >>> choose_columns(["ID", "Body", "year"], None, "faq.csv")
        Columns(text='Body', title='', id='ID')
    """
    names = list(names)
    text = _first(names, [text_column] if text_column else _TEXT)
    if not text:
        wanted = f"column {text_column!r}" if text_column else f"text column ({', '.join(_TEXT)})"
        raise BadInput(f"{where}: no {wanted}; there are: {', '.join(names) or 'none'}")
    title = _first([name for name in names if name != text], _TITLE)
    return Columns(text, title, _first(names, _ID))


def documents_of_rows(rows: Iterable[Row], columns: Columns, prefix: str) -> Reading:
    """Make a document of each row.

    The id is ``prefix#ID``, with the row's number where there is no id column. Rows that share an
    id are pieces of one thing: they form a group, and the id of the second is ``prefix#ID@ROW``.

    Returns:
        The documents, and each row without usable text as ``prefix:ROW`` with the reason.
    """
    reading = Reading()
    ids: set[str] = set()
    for row in rows:
        problem = row.problem or _problem(row.values.get(columns.text), columns.text)
        if problem:
            reading.skipped.append(Skipped(f"{prefix}:{row.number}", problem))
            continue
        name = _name(row.values.get(columns.id))
        group = f"{prefix}#{name or row.number}"
        id = f"{group}@{row.number}" if group in ids else group
        ids.add(id)
        title, text = row.values.get(columns.title), str(row.values[columns.text])
        reading.documents.append(
            row_document(id, title if isinstance(title, str) else "", text, group)
        )
    return reading


def row_document(id: str, title: str, text: str, group: str = "") -> Document:
    r"""A document of one section; blank lines in ``text`` part its paragraphs.

    Example:
        >>> row_document("7", "Tea", "Boil\nwater.\n\nWait.").sections[0].paragraphs
        ('Boil water.', 'Wait.')
    """
    paragraphs = (" ".join(part.split()) for part in _BLANK_LINE.split(text))
    section = Section(paragraphs=tuple(part for part in paragraphs if part))
    return Document(id, " ".join(title.split()), group or id, (section,))


def _first(names: Iterable[str], wanted: Iterable[str | None]) -> str:
    exact = list(names)
    by_case = {name.casefold(): name for name in reversed(exact)}
    found = (name if name in exact else by_case.get(name.casefold(), "") for name in wanted if name)
    return next(filter(None, found), "")


def _name(value: object) -> str:
    usable = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if usable else ""


def _problem(text: object, column: str) -> str:
    if not isinstance(text, str):
        return f"no text in {column!r}" if text is None else f"{column!r} is not a string"
    if len(text) > LONGEST_LINE:
        return f"{column!r} is longer than {LONGEST_LINE // 2**20} MB"
    return "" if any(c.isalnum() for c in text) else f"no text in {column!r}"
