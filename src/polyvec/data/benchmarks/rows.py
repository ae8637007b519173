"""Rows of benchmark files with named columns, each with its place for errors."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyvec.data.text_lines import Line, read_lines
from polyvec.errors import BadInput

UTF8 = "utf-8"

Record = tuple[str, list[str]]
"""``file:line`` and the fields that stand there."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: ``file:line``, and its fields by column."""

    place: str
    fields: Mapping[str, str]

    def text(self, column: str) -> str:
        """The field without white space around it.

        Raises:
            BadInput: when nothing is left.
        """
        text = self.fields[column].strip()
        if not text:
            raise BadInput(f"{self.place}: {column} is empty; a row needs one")
        return text

    def number(self, column: str, lowest: float, highest: float) -> float:
        """The field as a number within bounds.

        Raises:
            BadInput: when it is not one.
        """
        try:
            number = float(self.fields[column])
        except ValueError:
            number = math.nan
        if not lowest <= number <= highest:
            raise BadInput(
                f"{self.place}: {column} {self.fields[column]!r}; "
                f"give a number from {lowest:g} to {highest:g}"
            )
        return number

    def one_of(self, column: str, names: Sequence[str]) -> int:
        """The place of the field among ``names``.

        Raises:
            BadInput: when it is none of them.
        """
        name = self.fields[column].strip()
        if name not in names:
            raise BadInput(f"{self.place}: {column} {name!r}; would be one of {', '.join(names)}")
        return names.index(name)


def intact(lines: Iterable[Line], where: str) -> Iterator[tuple[str, str]]:
    """``where:number`` and text of each line, without its end.

    Raises:
        BadInput: when a line has a problem.
    """
    for line in lines:
        place = f"{where}:{line.number}"
        if line.problem:
            raise BadInput(f"{place}: {line.problem}")
        yield place, line.text.rstrip("\n")


def line_rows(
    path: Path,
    columns: Sequence[str],
    cut: Callable[[str], list[str]],
    *,
    encoding: str = UTF8,
    header: bool = False,
) -> list[Row]:
    """Read a file with a row in each line; quotes are characters like others.

    Args:
        path: the file, perhaps compressed with gzip. Blank lines are passed over.
        columns: all fields of a line in their order, or those that the header needs to have.
        cut: parts a line into fields.
        encoding: of the file.
        header: whether the first line names the columns.

    Raises:
        BadInput: naming file, line and what is wrong when the file is damaged, is not in that
            encoding, has no row, or a row has too many or too few fields.
    """
    lines = intact(read_lines(path, encoding), str(path))
    records = ((place, cut(text)) for place, text in lines if text.strip())
    return _rows(records, path, columns, header)


def csv_rows(path: Path, columns: Sequence[str], *, header: bool = True) -> list[Row]:
    """Read a CSV file, whose quoted fields may reach over several lines.

    Args:
        path: the file in UTF-8, perhaps compressed with gzip.
        columns: as for `line_rows`.
        header: whether the first row names the columns.

    Raises:
        BadInput: as for `line_rows`, and when the file is not CSV.
    """
    return _rows(_csv_records(path), path, columns, header)


def tabs(line: str) -> list[str]:
    """The fields between tabs."""
    return line.split("\t")


def _csv_records(path: Path) -> Iterator[Record]:
    lines = (text + "\n" for _, text in intact(read_lines(path, UTF8), str(path)))
    reader = csv.reader(lines, strict=True)
    while True:
        place = f"{path}:{reader.line_num + 1}"
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise BadInput(f"{place}: not CSV ({error}); perhaps an open quote") from None
        if fields is None:
            return
        if fields:
            yield place, fields


def _rows(records: Iterator[Record], path: Path, columns: Sequence[str], header: bool) -> list[Row]:
    names = _names(records, path, columns) if header else columns
    rows = []
    for place, fields in records:
        if len(fields) != len(names):
            wanted = f"{len(names)}: {', '.join(names)}"
            raise BadInput(f"{place}: {len(fields)} fields; a row needs {wanted}")
        rows.append(Row(place, dict(zip(names, fields, strict=True))))
    if not rows:
        raise BadInput(f"{path}: no row in it; a row needs {', '.join(columns)}")
    return rows


def _names(records: Iterator[Record], path: Path, columns: Sequence[str]) -> list[str]:
    place, found = next(records, (f"{path}:1", []))
    names = [name.strip() for name in found]
    missing = [name for name in columns if name not in names]
    if missing:
        there = ", ".join(names) or "none"
        raise BadInput(f"{place}: no column {missing[0]!r} in the header; there are: {there}")
    return names
