"""What is to be encoded: the rows of a file, or the documents of any other source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polyvec.data.documents import Document, Reading, Skipped
from polyvec.data.sources import read_documents
from polyvec.data.tables import SUFFIXES, read_table
from polyvec.data.text_lines import read_lines
from polyvec.errors import BadInput

_LINES = (".txt", ".txt.gz")


@dataclass(frozen=True, slots=True)
class TextRows:
    """What to encode: an id for each text, and the rows that hold none."""

    ids: list[str]
    texts: list[str]
    skipped: Sequence[Skipped]


def read_rows(source: str, text_column: str | None = None) -> TextRows:
    r"""Read what is to be encoded, in its order; of a file with rows, copies included.

    Args:
        source: a ``.txt`` file with a text in each line, whose ids are the line numbers from 1; a
            ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet`` table with one in each row, whose ids are
            those of its id column or the row numbers; or anything else that
            `polyvec.data.sources.read_documents` reads.
        text_column: the column of a table that holds the text; found by its name where None.

    Raises:
        BadInput: when there is no text, or no such column.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "questions.txt")
        ...     _ = file.write_text("What is a tensor?\n\nHow do I join?\n")
        ...     read_rows(str(file)).ids
        ['1', '3']
    """
    path = Path(source).expanduser()
    name = path.name.lower()
    if path.is_file() and name.endswith(_LINES):
        rows = _lines(path)
    elif path.is_file() and name.endswith(tuple(SUFFIXES)):
        rows = _rows(read_table(path, "", text_column))
    else:
        rows = _rows(read_documents(source, text_column))
    if not rows.texts:
        raise BadInput(f"{source}: there is no text in it")
    return rows


def _lines(path: Path) -> TextRows:
    rows = TextRows([], [], skipped := [])
    for line in read_lines(path):
        text = line.text.strip()
        if line.problem or not text:
            skipped.append(Skipped(f"{path}:{line.number}", line.problem or "blank"))
        else:
            rows.ids.append(str(line.number))
            rows.texts.append(text)
    return rows


def _rows(reading: Reading) -> TextRows:
    return TextRows(
        [_id(document) for document in reading.documents],
        [document.text for document in reading.documents],
        reading.skipped,
    )


def _id(document: Document) -> str:
    """The id of a row without the name of its table, which is left empty here."""
    return document.id.removeprefix("#")
