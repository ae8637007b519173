"""Documents from wherever they are: a folder, files, Python packages, or a named data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from importlib import import_module
from pathlib import Path

from polyvec.data.documents import Document, Reading, Skipped
from polyvec.data.file_reading import File, format_of, read_files
from polyvec.data.folders import file_alone, files_of_folder, files_of_glob
from polyvec.data.link_targets import resolve_links
from polyvec.data.python_packages import PREFIX, read_packages
from polyvec.errors import BadInput

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_REASONS_SHOWN = 3


def read_documents(source: str, text_column: str | None = None) -> Reading:
    """Read all documents that ``source`` names.

    Plain text, Markdown, reStructuredText, HTML, PDF, DOCX, Python and other source code are read,
    and tables (JSON lines, CSV, TSV, Parquet) with a document in each row.

    Args:
        source: a folder (read to its depths; one in BEIR's format as such), a file, a glob
            (``docs/**/*.md``), ``python:numpy,scipy`` for installed packages by import name,
            ``python:`` for all of them and the standard library, or else the name of a Hugging Face
            data set.
        text_column: the column of a table or data set that holds the text; found by itself where
            None.

    Returns:
        Documents in a fixed order, links between them resolved, and everything that was found and
        not read with the reason. Of documents with the same text, white space aside, only the first
        is kept, but for BEIR's, whose judgements name every one.

    Raises:
        BadInput: when the source does not exist or gives no document.
    """
    source = source.strip()
    reading = _read(source, text_column)
    if not reading.documents:
        raise BadInput(_nothing_read(source, reading.skipped))
    reading.documents = resolve_links(reading.documents)
    return reading


def _read(source: str, text_column: str | None) -> Reading:
    if source.startswith(PREFIX):
        return _without_copies(read_packages(source.removeprefix(PREFIX).split(",")))
    path = Path(source).expanduser()
    if source and path.is_dir():
        beir = import_module("polyvec.data.beir")
        if beir.is_beir_folder(path):
            corpus: Reading = beir.read_beir_corpus(path)
            return corpus
        return _read_found(*files_of_folder(path), text_column)
    if source and path.exists():
        return _read_found([file_alone(path)], [], text_column)
    if any(c in source for c in "*?["):
        return _read_found(*files_of_glob(str(path)), text_column)
    if not _HUB_NAME.fullmatch(source) or format_of(path):
        raise BadInput(
            f"{source!r}: there is no such file or folder; give a folder, a file, a glob, "
            "python:PACKAGE or the name of a Hugging Face data set"
        )
    return _without_copies(_read_hub(source, text_column))


def _read_found(
    files: Sequence[File], skipped: Sequence[Skipped], text_column: str | None
) -> Reading:
    reading = read_files(files, text_column)
    reading.skipped[:0] = skipped
    return _without_copies(reading)


def _read_hub(name: str, text_column: str | None) -> Reading:
    try:
        found: Reading = import_module("polyvec.data.hub").read_hub_dataset(name, text_column)
    except BadInput as error:
        raise BadInput(f"{name!r} is no file or folder here, and as a data set: {error}") from None
    return found


def _without_copies(reading: Reading) -> Reading:
    """Keep the first of documents that say the same."""
    first: dict[bytes, str] = {}
    kept: list[Document] = []
    skipped = list(reading.skipped)
    for document in reading.documents:
        digest = blake2b(" ".join(document.text.split()).encode(errors="replace")).digest()
        if digest in first:
            skipped.append(Skipped(document.id, f"same text as {first[digest]}"))
        else:
            first[digest] = document.id
            kept.append(document)
    return Reading(kept, skipped)


def _nothing_read(source: str, skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return f"{source}: nothing in it; give a folder with .md, .html, .txt, .pdf or source files"
    reasons = "; ".join(f"{entry.where}: {entry.reason}" for entry in skipped[:_REASONS_SHOWN])
    more = f" and {len(skipped) - _REASONS_SHOWN} more" if len(skipped) > _REASONS_SHOWN else ""
    return f"{source}: no document could be read ({reasons}{more})"
