"""Files to documents, many at a time: the reader each needs, and why one could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import joblib  # type: ignore[import-untyped]

from polyvec.console import track
from polyvec.data.decoding import NO_BYTES
from polyvec.data.documents import Document, Reading, Skipped
from polyvec.errors import BadInput

LARGEST_FILE = 100 * 2**20
"""Bytes of the largest file that is read; tables, which are read row by row, may be larger."""
LONGEST_LINE = 10 * 2**20
"""Bytes of the longest line in a text file; what has a longer one is data, not prose."""
MINIFIED_LINES = 300
"""Mean bytes of a line from which source code is taken for the output of a tool."""

NO_TEXT = "no text in it"
"""Why a file without a letter or digit in its text is skipped."""

TABLE = "table"
PYTHON = "python_source"
SOURCE_CODE = "source_code"

_POOL_FROM = 2**20
"""Bytes from which several processes are worth their start."""
_BATCH = 2**18
"""Bytes that one process is handed at a time."""

_SUFFIXES = {
    ".txt": "plain_text",
    ".text": "plain_text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".rst": "restructuredtext",
    ".rst.txt": "restructuredtext",
    ".md.txt": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".py": PYTHON,
}
_BARE_NAMES = {"readme", "changes", "changelog", "news", "history", "contributing", "license"}
"""Files without suffix that are text by custom."""
_BINARY = {"pdf", "docx"}


@dataclass(frozen=True, slots=True)
class File:
    """A file to read: where it is, its size, id and group of its document, and its reader."""

    path: Path
    bytes: int
    id: str
    group: str
    format: str


@cache
def formats() -> dict[str, str]:
    """The reader for each suffix.

    Example:
        >>> formats()[".md"], formats()[".csv"]
        ('markdown', 'table')
    """
    tables = import_module("polyvec.data.tables").SUFFIXES
    languages = import_module("polyvec.data.source_code").SUFFIXES
    return dict.fromkeys(languages, SOURCE_CODE) | dict.fromkeys(tables, TABLE) | _SUFFIXES


def format_of(path: Path) -> str:
    """The reader that a file needs by its name; empty if there is none."""
    name = path.name.lower()
    if name in _BARE_NAMES:
        return "plain_text"
    endings = ("".join(path.suffixes[-2:]).lower(), path.suffix.lower())
    return next((formats()[ending] for ending in endings if ending in formats()), "")


def read_files(files: Sequence[File], text_column: str | None) -> Reading:
    """Read files in the given order, on all processors where there is enough to read."""
    batches = list(_batches(files))
    parallel = sum(file.bytes for file in files) >= _POOL_FROM and joblib.cpu_count() > 1
    # Its processes do not run the caller's script again, so that needs no main guard.
    pool = joblib.Parallel(n_jobs=-1 if parallel else 1, return_as="generator")
    read = pool(joblib.delayed(_read_batch)(batch, text_column) for batch in batches)
    whole = Reading()
    for part in track(read, "reading", total=len(batches)) if parallel else read:
        whole.documents.extend(part.documents)
        whole.skipped.extend(part.skipped)
    return whole


def _batches(files: Iterable[File]) -> Iterator[list[File]]:
    batch: list[File] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.bytes
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read_batch(files: Iterable[File], text_column: str | None) -> Reading:
    whole = Reading()
    for file in files:
        part = _read_file(file, text_column)
        whole.documents.extend(part.documents)
        whole.skipped.extend(part.skipped)
    return whole


def _read_file(file: File, text_column: str | None) -> Reading:
    try:
        if file.format == TABLE:
            table: Reading = import_module("polyvec.data.tables").read_table(
                file.path, file.id, text_column
            )
            return table
        document = _read_one(file)
    except BadInput as error:
        return Reading(skipped=[Skipped(file.id, str(error))])
    except OSError as error:
        return Reading(skipped=[Skipped(file.id, f"cannot be opened: {error.strerror}")])
    except Exception as error:  # a file broken in a way that its library did not foresee
        reason = f"broken file ({type(error).__name__}: {error})"
        return Reading(skipped=[Skipped(file.id, reason)])
    if not any(c.isalnum() for c in document.text):
        return Reading(skipped=[Skipped(file.id, NO_TEXT)])
    return Reading([document])


def _read_one(file: File) -> Document:
    if file.bytes > LARGEST_FILE:
        raise BadInput(f"larger than {LARGEST_FILE // 2**20} MB")
    content = file.path.read_bytes()
    if not content:
        raise BadInput(NO_BYTES)
    longest = max(map(len, content.split(b"\n"))) if len(content) > LONGEST_LINE else 0
    if longest > LONGEST_LINE and file.format not in _BINARY:
        raise BadInput(f"a line longer than {LONGEST_LINE // 2**20} MB")
    if file.format == SOURCE_CODE and len(content) > MINIFIED_LINES * (content.count(b"\n") + 1):
        raise BadInput("minified, not written by people")
    module = import_module(f"polyvec.data.{file.format}")
    if file.format == PYTHON:
        read: Callable[[bytes, str, str], Document] = module.read_python
        return read(content, file.id, file.group)
    reader: Callable[[bytes, str], Document] = getattr(module, f"read_{file.format}")
    return reader(content, file.id)
