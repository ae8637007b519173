"""The lines of a PDF file with their place and size on the page, headers and footers removed."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import hypot
from typing import Any
from unicodedata import normalize

from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError, PyPdfError

from polyvec.errors import BadInput

MOST_PAGES = 3000
MOST_SECONDS = 180.0
"""Seconds after which a file is given up; a usual page takes 0.05."""
MALFORMED = (
    PyPdfError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    OSError,
)
"""What pypdf raises on files that are not as the standard says; it does not check everything."""

_REPEATED = 3
"""Pages that have the same words in the same place at the edge when these are no content."""
_EDGE_LINES = 2
"""Lines at the top and at the bottom of a page that may be headers and footers."""
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
_LIGATURES = re.compile("[\ufb00-\ufb06]")
_LEADERS = re.compile(r"(\s*\.){4,}\s*\w{1,5}$")
"""Dots and a page number, which end the lines of a table of contents."""

# It warns about each slip of the file; what matters here is raised.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class PdfLine:
    """A line of text.

    Attributes:
        text: white space folded, ligatures as letters.
        page: number from 0.
        x: of its start, in points from the left.
        y: of its base line, in points from the bottom.
        size: of most of its characters, in points.
    """

    text: str
    page: int
    x: float
    y: float
    size: float


def open_pdf(content: bytes) -> PdfReader:
    """Open a PDF file, with the empty password where it is encrypted.

    Raises:
        BadInput: when it is malformed, needs a password or has more than `MOST_PAGES` pages.
    """
    try:
        reader = PdfReader(BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise BadInput("encrypted; it needs a password")
        pages = len(reader.pages)
    except BadInput:
        raise
    except DependencyError:
        raise BadInput("encrypted in a way that needs the package 'cryptography'") from None
    except MALFORMED as error:
        raise BadInput(f"malformed PDF ({error})") from None
    if pages > MOST_PAGES:
        raise BadInput(f"{pages} pages; at most {MOST_PAGES} are read")
    return reader


def lines_of_pdf(reader: PdfReader) -> list[PdfLine]:
    """All lines in reading order; a page that is malformed gives none.

    Raises:
        BadInput: when no page can be read, or it takes longer than `MOST_SECONDS`.
    """
    start = time.monotonic()
    pages: list[list[PdfLine]] = []
    failure = ""
    for number in range(len(reader.pages)):
        if time.monotonic() - start > MOST_SECONDS:
            raise BadInput(f"page {number} not reached after {MOST_SECONDS:.0f} seconds")
        try:
            pages.append(_lines_of_page(reader.pages[number], number))
        except MALFORMED as error:
            failure = f"malformed PDF ({error})"
    if failure and not any(pages):
        raise BadInput(failure)
    repeated = _repeated(pages)
    return [line for page in pages for line in page if _place(line) not in repeated]


def _lines_of_page(page: PageObject, number: int) -> list[PdfLine]:
    lines = _LineCollector(number)
    page.extract_text(visitor_text=lines.add)
    lines.end_line()
    return lines.lines


class _LineCollector:
    """Puts the pieces that pypdf finds together to lines."""

    def __init__(self, page: int) -> None:
        self.lines: list[PdfLine] = []
        self._page = page
        self._text = ""
        self._place = (0.0, 0.0)
        self._sizes: Counter[float] = Counter()

    def add(
        self, text: str, page: Sequence[float], matrix: Sequence[float], font: Any, size: float
    ) -> None:
        """Take a piece of text, perhaps with line ends, and the matrices that place it."""
        for number, part in enumerate(text.split("\n")):
            if number:
                self.end_line()
            if part.strip() and not self._text.strip():
                x, y = matrix[4], matrix[5]
                self._place = (
                    page[0] * x + page[2] * y + page[4],
                    page[1] * x + page[3] * y + page[5],
                )
            scale = hypot(matrix[2], matrix[3]) * hypot(page[2], page[3])
            self._sizes[round(abs(size) * scale, 1)] += len(part.strip())
            self._text += _LIGATURES.sub(lambda match: normalize("NFKC", match[0]), part)

    def end_line(self) -> None:
        """What was added since the last end is a line."""
        text = " ".join(self._text.split())
        if text and not _LEADERS.search(text):
            size = max(self._sizes, key=self._sizes.__getitem__)
            self.lines.append(PdfLine(text, self._page, *self._place, size))
        self._text = ""
        self._sizes.clear()


def _repeated(pages: Sequence[Sequence[PdfLine]]) -> set[tuple[str, int]]:
    """Headers and footers: what stands at the edge of several pages, numbers aside."""
    counts: Counter[tuple[str, int]] = Counter()
    for page in pages:
        by_height = sorted(page, key=lambda line: line.y)
        edges = {_place(line) for line in by_height[:_EDGE_LINES] + by_height[-_EDGE_LINES:]}
        counts.update(edges)
    return {place for place, count in counts.items() if count >= _REPEATED}


def _place(line: PdfLine) -> tuple[str, int]:
    return _NUMBER.sub("#", line.text.casefold()), round(line.y)
