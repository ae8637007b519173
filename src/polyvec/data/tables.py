"""Tables with a document in each row: JSON lines, CSV, TSV and Parquet, read as a stream."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from polyvec.data.documents import Reading
from polyvec.data.row_documents import Columns, Row, choose_columns, documents_of_rows
from polyvec.data.text_lines import LONGEST_LINE, Line, parse_object, read_lines
from polyvec.errors import BadInput

SUFFIXES = frozenset({".jsonl", ".csv", ".tsv", ".jsonl.gz", ".csv.gz", ".tsv.gz", ".parquet"})
_PEEKED = 20
"""Rows of a JSON lines file in which columns are looked for, as each row has its own."""
_BATCH = 64
"""Rows of a Parquet file in memory at a time."""
_SEPARATORS = ",;\t|"
"""What parts the fields of a CSV file; the semicolon where the comma is the decimal sign."""
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')

Choice = Callable[[Iterable[str]], Columns]
"""From the names of all columns to those that are used."""


def read_table(path: Path, id_prefix: str, text_column: str | None = None) -> Reading:
    """Read a table with a document in each row.

    Rows are counted from 1, the header of a CSV or TSV file included, as a spreadsheet shows them.
    An id is ``id_prefix#ID`` from a column ``_id``, ``id`` or ``doc_id``, or ``id_prefix#ROW``; a
    title comes from ``title``, ``name`` or ``heading``.

    Args:
        path: a file with one of `SUFFIXES`.
        id_prefix: the file's path in the corpus.
        text_column: the column that holds the text; where None, the first that exists of text,
            content, body, passage, document, abstract.

    Returns:
        The documents, and every row that is malformed or has no text with the reason.

    Raises:
        BadInput: when the file cannot be opened, is cut off, or has no such column.
    """

    def choose(names: Iterable[str]) -> Columns:
        return choose_columns(names, text_column, str(path))

    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    opened = {"jsonl": _json, "csv": _csv, "tsv": _tsv, "parquet": _parquet}[kind]
    columns, rows = opened(path, choose)
    return documents_of_rows(rows, columns, id_prefix)


def _json(path: Path, choose: Choice) -> tuple[Columns, Iterator[Row]]:
    rows = (_json_row(line) for line in read_lines(path) if line.problem or line.text.strip())
    first = list(islice(rows, _PEEKED))
    names = dict.fromkeys(name for row in first for name in row.values)
    if not names:
        reasons = "; ".join(row.problem for row in first[:1]) or "nothing in it"
        raise BadInput(f"{path}: no row can be read ({reasons})")
    return choose(names), chain(first, rows)


def _json_row(line: Line) -> Row:
    if line.problem:
        return Row(line.number, {}, line.problem)
    try:
        return Row(line.number, parse_object(line.text))
    except BadInput as error:
        return Row(line.number, {}, str(error))


def _csv(path: Path, choose: Choice) -> tuple[Columns, Iterator[Row]]:
    header, lines = _header(path)
    separator = max(_SEPARATORS, key=header.count)
    names = next(csv.reader([header], delimiter=separator))
    return choose(names), _rows(names, _csv_records(lines, separator))


def _tsv(path: Path, choose: Choice) -> tuple[Columns, Iterator[Row]]:
    header, lines = _header(path)
    names = _tsv_fields(header)
    records = (line if line.problem else _tsv_fields(line.text) for line in lines)
    return choose(names), _rows(names, records)


def _header(path: Path) -> tuple[str, Iterator[Line]]:
    lines = read_lines(path)
    first = next(lines, Line(1, "", "nothing in it"))
    if first.problem:
        raise BadInput(f"{path}: no header in the first line ({first.problem})")
    return first.text.rstrip("\n"), lines


def _tsv_fields(text: str) -> list[str]:
    """Fields of a TSV line; a quote is a character like others, unless it opens and closes one."""
    return [
        quoted[1].replace('""', '"') if (quoted := _QUOTED.fullmatch(field)) else field
        for field in text.rstrip("\n").split("\t")
    ]


def _csv_records(lines: Iterator[Line], separator: str) -> Iterator[list[str] | Line]:
    """Records, which quotes may spread over lines, and in place of a bad one where it ends."""
    lost: list[Line] = []
    reader = csv.reader(_readable(lines, lost), delimiter=separator, strict=True)
    standard_limit = csv.field_size_limit(LONGEST_LINE)
    try:
        while True:
            try:
                record: list[str] | Line | None = next(reader, None)
            except csv.Error as error:
                record = Line(reader.line_num + 1, "", f"not CSV ({error}); perhaps an open quote")
            yield from lost
            lost.clear()
            if record is None:
                return
            yield record
    finally:
        csv.field_size_limit(standard_limit)


def _readable(lines: Iterator[Line], lost: list[Line]) -> Iterator[str]:
    for line in lines:
        if line.problem:
            lost.append(line)
        else:
            yield line.text


def _rows(names: list[str], records: Iterable[list[str] | Line]) -> Iterator[Row]:
    for number, record in enumerate(records, 2):
        if isinstance(record, Line):
            yield Row(number, {}, f"{record.problem}, line {record.number}")
        elif not any(record):
            continue
        elif len(record) != len(names):
            yield Row(number, {}, f"{len(record)} fields where the header has {len(names)}")
        else:
            yield Row(number, dict(zip(names, record, strict=True)))


def _parquet(path: Path, choose: Choice) -> tuple[Columns, Iterator[Row]]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"{path}: not a Parquet file ({_one_line(error)})") from None
    columns = choose(file.schema_arrow.names)

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in file.iter_batches(_BATCH, columns=columns.used):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, values)
        except (pyarrow.ArrowException, OSError) as error:
            yield Row(number + 1, {}, f"damaged from this row on ({_one_line(error)})")

    return columns, rows()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
