"""Cranfield and CISI, the oldest retrieval benchmarks, in the format of the SMART system.

A file is a row of records; ``.I`` and a number starts one, and a line with a tag alone starts a
field: ``.T`` title, ``.A`` authors, ``.B`` source, ``.W`` text, ``.X`` references.

- Cranfield (Cleverdon 1967): 1,400 abstracts about aerodynamics and 225 questions of engineers. The
  questions' numbers have gaps, and the judgements count them in their order. A grade of 1 is a
  complete answer and 4 of minimum interest. Each question has one document marked -1: the paper
  that its author was writing when it arose.
- CISI (Fox 1983): 1,460 abstracts about information science and 112 queries, of which 76 are
  judged. From the 58th on, a query is itself an abstract with a title.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from polyvec.data.beir import Judgements
from polyvec.data.documents import Document, Reading, Skipped
from polyvec.data.row_documents import row_document
from polyvec.data.text_lines import Line, read_lines
from polyvec.errors import BadInput

_START = re.compile(r"\.I\s+(\d+)\s*")
_TAG = re.compile(r"\.([A-Z])\s*")
_TITLE, _TEXT = "T", "W"
_INDENTED = re.compile(r"\n(?=\s{2,}\S)")
"""Where the typists began a paragraph; a line with one space goes on with its sentence."""
_LEAST_INTEREST = 4
_SOURCE_PAPER = -1


@dataclass(slots=True)
class _Record:
    place: str
    id: str
    fields: dict[str, list[str]] = field(default_factory=dict)

    def joined(self, tag: str) -> str:
        return "".join(self.fields.get(tag, []))


def read_cranfield(folder: Path) -> tuple[Reading, Judgements]:
    """Read the Cranfield collection.

    A grade of 1 to 4 becomes 5 - grade, so that more is better. The paper that a question arose
    from is relevant to it without anybody having said how much; it gets 1, the lowest grade.

    Args:
        folder: holds ``cran.all.1400``, ``cran.qry`` and ``cranqrel``, each perhaps with ``.gz``.

    Returns:
        The abstracts without the title that each begins with, and the judgements of those that have
        a text.

    Raises:
        BadInput: when a file is missing or not in this format; the sentence names file and line.
    """
    reading = _documents(map(_without_title, _records(_stored(folder, "cran.all.1400"))))
    records = _records(_stored(folder, "cran.qry"))
    queries = {str(number): _query(record) for number, record in enumerate(records, 1)}
    return reading, _judged(_stored(folder, "cranqrel"), queries, reading, _cranfield_grade)


def read_cisi(folder: Path) -> tuple[Reading, Judgements]:
    """Read the CISI collection.

    Args:
        folder: holds ``CISI.ALL``, ``CISI.QRY`` and ``CISI.REL``, each perhaps with ``.gz``.

    Returns:
        The abstracts, and the judgements with grade 1. All 112 queries are there, the unjudged too.

    Raises:
        BadInput: when a file is missing or not in this format; the sentence names file and line.
    """
    reading = _documents(_records(_stored(folder, "CISI.ALL"), after_text="X"))
    records = _records(_stored(folder, "CISI.QRY"), after_text="B")
    queries = {record.id: _query(record) for record in records}
    return reading, _judged(_stored(folder, "CISI.REL"), queries, reading, lambda code: 1)


def _cranfield_grade(code: int) -> int:
    return 1 if code == _SOURCE_PAPER else _LEAST_INTEREST + 1 - code


def _stored(folder: Path, name: str) -> Path:
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise BadInput(f"{folder}: there is no {name} or {name}.gz in it")
    return path


def _records(path: Path, after_text: str = "") -> Iterator[_Record]:
    """Yield the records of a file; ``after_text`` are the tags that may follow the text.

    Other tags in a text are slips of the keyboard (Cranfield's document 240): the line is passed
    over and the text goes on.
    """
    record: _Record | None = None
    tag = ""
    for line in read_lines(path):
        start = _START.fullmatch(_intact(line, path))
        if start:
            if record:
                yield record
            record, tag = _Record(f"{path}:{line.number}", start[1]), ""
        elif found := _TAG.fullmatch(line.text):
            tag = found[1] if tag != _TEXT or found[1] in after_text else tag
        elif record:
            record.fields.setdefault(tag, []).append(line.text)
    if record is None:
        raise BadInput(f"{path}: no record in it; in SMART's format each starts with '.I 1'")
    yield record


def _intact(line: Line, path: Path) -> str:
    if line.problem:
        raise BadInput(f"{path}:{line.number}: {line.problem}")
    return line.text


def _documents(records: Iterator[_Record]) -> Reading:
    reading = Reading()
    for record in records:
        document = _document(record)
        if document.text:
            reading.documents.append(document)
        else:
            reading.skipped.append(Skipped(record.place, f"no text in document {record.id}"))
    return reading


def _document(record: _Record) -> Document:
    title = " ".join(record.joined(_TITLE).split())
    text = _INDENTED.sub("\n\n", record.joined(_TEXT))
    return row_document(record.id, title.removesuffix(" ."), text)


def _without_title(record: _Record) -> _Record:
    """The record without the title at the start of its text, where one has it even twice."""
    title, text = record.joined(_TITLE), record.joined(_TEXT)
    while title.strip() and (rest := _after(text, title)):
        text = rest
    record.fields[_TEXT] = [text]
    return record


def _after(text: str, start: str) -> str:
    """What follows ``start`` in ``text``, white space aside; empty if it starts otherwise."""
    wanted = "".join(start.split())
    matched = 0
    for position, character in enumerate(text):
        if character.isspace():
            continue
        if matched == len(wanted):
            return text[position:]
        if character != wanted[matched]:
            return ""
        matched += 1
    return ""


def _query(record: _Record) -> str:
    text = " ".join((record.joined(_TITLE) + record.joined(_TEXT)).split())
    if not text:
        raise BadInput(f"{record.place}: query {record.id} has no text")
    return text


def _judged(
    path: Path, queries: dict[str, str], reading: Reading, grade: Callable[[int], int]
) -> Judgements:
    """The judgements in a file of those documents that have a text; ``grade`` translates a code."""
    documents = {document.id for document in reading.documents}
    qrels: dict[str, dict[str, int]] = {}
    for query, document, code in _numbers(path, queries):
        if document in documents:
            qrels.setdefault(query, {})[document] = grade(code)
    return Judgements(queries, qrels)


def _numbers(path: Path, queries: Collection[str]) -> Iterator[tuple[str, str, int]]:
    """The first three numbers of each line: query, document, code."""
    for line in read_lines(path):
        try:
            query, document, code = (int(text) for text in _intact(line, path).split()[:3])
        except ValueError:
            wanted = "a line needs the numbers of query and document, and a grade"
            raise BadInput(f"{path}:{line.number}: {wanted}") from None
        if str(query) not in queries:
            raise BadInput(f"{path}:{line.number}: there is no query {query}")
        yield str(query), str(document), code
