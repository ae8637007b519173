"""Text files line by line, compressed or not, however long a line or damaged a byte in them is."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from charset_normalizer import from_bytes

from polyvec.data.decoding import BYTE_ORDER_MARKS
from polyvec.errors import BadInput

LONGEST_LINE = 10 * 2**20
"""Characters of the longest line that is held in memory."""
_GZIP = b"\x1f\x8b"
_SAMPLE = 200_000
"""Bytes from which the encoding is told."""
_MOST_CHAOS = 0.1
"""Share of implausible characters above which a guessed encoding is not believed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its number from 1, its text with the line end, and why it has none if it has none."""

    number: int
    text: str
    problem: str = ""


def read_lines(path: Path, encoding: str = "") -> Iterator[Line]:
    """Yield the lines of a text file, perhaps compressed with gzip, one in memory at a time.

    A line that is longer than `LONGEST_LINE` or not in the file's encoding comes with a
    ``problem``.

    Args:
        path: the file.
        encoding: what the file is known to be in, unless a byte order mark says otherwise; told
            from its start where empty.

    Raises:
        BadInput: when the file cannot be opened, is binary, or its compression is damaged.
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(len(_GZIP)) == _GZIP
        opened = gzip.open if compressed else open
        with opened(path, "rb") as file:
            encoding = _encoding(file.read(_SAMPLE), path, encoding)
        with opened(path, "rt", encoding=encoding, errors="surrogateescape") as text:
            yield from _lines(text, encoding)
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise BadInput(f"{path}: the compressed file is cut off or damaged") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not text in the encoding that it starts with") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be opened: {error.strerror}") from None


def lines_of(content: bytes, encoding: str = "utf-8") -> Iterator[Line]:
    r"""Yield the lines of a text that is in memory already, as `read_lines` does.

    Example:
        >>> list(lines_of(b"a\r\nb"))
        [Line(number=1, text='a\n', problem=''), Line(number=2, text='b', problem='')]
    """
    with io.TextIOWrapper(io.BytesIO(content), encoding, errors="surrogateescape") as text:
        yield from _lines(text, encoding)


def parse_object(text: str) -> dict[str, Any]:
    """One line of a JSON lines file.

    Raises:
        BadInput: saying what is wrong, without the place.

    Example:
        >>> parse_object('{"_id": "1"}')
        {'_id': '1'}
        >>> parse_object("[1]")
        Traceback (most recent call last):
        ...
        polyvec.errors.BadInput: not a JSON object
    """
    try:
        parsed = json.loads(text)
        if "\\ud" in text.lower():  # half a surrogate pair could not be written to a file again
            json.dumps(parsed, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadInput(f"not JSON ({error.msg} at character {error.pos + 1})") from None
    except UnicodeEncodeError:
        raise BadInput("half a surrogate pair in it") from None
    except ValueError as error:  # a number with thousands of digits
        raise BadInput(f"not JSON ({error})") from None
    except RecursionError:
        raise BadInput("JSON nested too deeply") from None
    if not isinstance(parsed, dict):
        raise BadInput("not a JSON object")
    return parsed


def _lines(file: TextIO, encoding: str) -> Iterator[Line]:
    number = 0
    while text := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(text) > LONGEST_LINE:
            _pass_over_rest(file)
            yield Line(number, "", f"a line longer than {LONGEST_LINE // 2**20} MB")
        elif _damaged(text):
            yield Line(number, "", f"not {encoding} text")
        else:
            yield Line(number, text)


def _pass_over_rest(file: TextIO) -> None:
    while (part := file.readline(LONGEST_LINE)) and not part.endswith("\n"):
        pass


def _damaged(text: str) -> bool:
    """Whether bytes had to be escaped into lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _encoding(sample: bytes, path: Path, known: str) -> str:
    marked = next((name for mark, name in BYTE_ORDER_MARKS if sample.startswith(mark)), "")
    if marked:
        return marked
    if b"\0" in sample:
        raise BadInput(f"{path}: binary, not text")
    if known:
        return known
    return "utf-8" if _mostly_utf8(sample) else _guessed(sample)


def _mostly_utf8(sample: bytes) -> bool:
    """Whether what is not ASCII is mostly UTF-8, so that a damaged line changes nothing."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample)
    damaged = text.count("\N{REPLACEMENT CHARACTER}")
    return damaged == 0 or damaged < sum(not c.isascii() for c in text) - damaged


def _guessed(sample: bytes) -> str:
    guess = from_bytes(sample).best()
    return guess.encoding if guess is not None and guess.chaos <= _MOST_CHAOS else "utf-8"
