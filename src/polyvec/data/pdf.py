"""PDF files: headings from the outline or by letter size, paragraphs from where lines stand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from pypdf import PdfReader

from polyvec.data.documents import Document
from polyvec.data.outline import Outline
from polyvec.data.pdf_lines import MALFORMED, PdfLine, lines_of_pdf, open_pdf
from polyvec.errors import BadInput

_FEWEST_HEADINGS = 3
"""Headings of the outline that must be found in the text before it is preferred to letter sizes."""
_LARGER = 1.15
"""How much larger than the body's the letters of a heading are."""
_LONGEST_HEADING = 120
_LONGEST_TITLE = 250
_MOST_LINES = 3
"""Lines over which a heading or title may run."""
_MOST_HEADINGS = 0.5
"""Share of characters from which large letters mean something else than headings."""
_WIDE_GAP = 1.35
"""Distance to the line above, in usual distances, from which a paragraph starts."""
_SHORT_LINE = 0.7
"""Length in usual lengths of lines up to which a line with a full stop ends its paragraph."""

_SENTENCE_END = re.compile(r"[.!?:;][\"'”\u2019)\]]?$")
_BULLET = re.compile(r"[•▪◦‣●○■□∙·]|[-\u2013—*]\s")
_HYPHENATED = re.compile(r"(\w+)[-\u00ad]$")
_NUMBERING = re.compile(r"^(?i:(?:chapter|appendix|section)\s+)?(?:\d+|[A-Z])(?:\.\d+)*[.:)]?\s+")
_NO_TITLE = re.compile(
    r"untitled.*|.*\.(docx?|tex|dvi|indd|pptx?|pdf|rtf|odt|qxd|fm|html?)", re.IGNORECASE
)
_WRITTEN_BY = re.compile(r"^Microsoft \w+ - ")

Headings = dict[int, tuple[int, int, str]]
"""Index of a heading's first line → number of its lines, level, text."""


def read_pdf(content: bytes, id: str) -> Document:
    """Read one PDF file.

    The title is that of the metadata, or the largest line of the first page. Words broken at line
    ends are put together; running headers, footers, page numbers and tables of contents are left
    out.

    Args:
        content: the file.
        id: its path in the corpus.

    Raises:
        BadInput: when the file is malformed, needs a password, has no text (scanned pages), or is
            too long.
    """
    reader = open_pdf(content)
    lines = lines_of_pdf(reader)
    if not any(c.isalpha() for line in lines for c in line.text):
        raise BadInput("no text (scanned pages?)")
    body = _body_size(lines)
    title = _metadata_title(reader) or _largest_line(lines, body)
    headings = _outline_headings(reader, lines)
    if len(headings) < _FEWEST_HEADINGS:
        headings = _large_headings(lines, body)
    place = _find(title, lines, [i for i, line in enumerate(lines) if line.page == lines[0].page])
    if place:
        headings[place[0]] = place[1], 1, title
    outline = Outline(title)
    for block in _blocks(lines, headings):
        if isinstance(block, tuple):
            outline.open(*block)
        else:
            outline.add_paragraph(block)
    return Document(id, title, id, outline.sections())


def _body_size(lines: Sequence[PdfLine]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return max(sizes, key=sizes.__getitem__)


def _metadata_title(reader: PdfReader) -> str:
    try:
        written = reader.metadata.title if reader.metadata else ""
    except MALFORMED:
        return ""
    title = _WRITTEN_BY.sub("", " ".join((written or "").split()))
    return "" if _NO_TITLE.fullmatch(title) or len(title) > _LONGEST_TITLE else title


def _largest_line(lines: Sequence[PdfLine], body: float) -> str:
    """The largest line of the first page and those of its size below; empty if nothing is large."""
    first = [line for line in lines if line.page == lines[0].page]
    largest = max(line.size for line in first)
    start = next(i for i, line in enumerate(first) if line.size == largest)
    run = _run(first, start)
    title = " ".join(line.text for line in run)
    return title if largest >= _LARGER * body and len(title) <= _LONGEST_TITLE else ""


def _run(lines: Sequence[PdfLine], start: int) -> Sequence[PdfLine]:
    """The line at ``start`` and those that go on with it in the same size."""
    end = start + 1
    while end < min(len(lines), start + _MOST_LINES):
        above, line = lines[end - 1], lines[end]
        if line.size != above.size or not 0 < above.y - line.y < 2 * line.size:
            break
        end += 1
    return lines[start:end]


def _outline_headings(reader: PdfReader, lines: Sequence[PdfLine]) -> Headings:
    """Where the entries of the file's outline stand in the text."""
    starts: dict[int, list[int]] = {}
    for index, line in enumerate(lines):
        starts.setdefault(line.page, []).append(index)
    headings: Headings = {}
    try:
        for level, title, page in _entries(reader, reader.outline):
            found = _find(title, lines, starts.get(page, []))
            if found:
                index, count, text = found
                headings[index] = count, min(level, 6), text
    except MALFORMED:
        return {}
    return headings


def _entries(
    reader: PdfReader, outline: Sequence[Any], level: int = 1
) -> Iterator[tuple[int, str, int]]:
    """Level, title and page of each entry; the page is -1 where it leads to none."""
    for entry in outline:
        if isinstance(entry, list):
            yield from _entries(reader, entry, level + 1)
        elif entry.title:
            page = reader.get_destination_page_number(entry)
            yield level, " ".join(str(entry.title).split()), -1 if page is None else page


def _find(
    title: str, lines: Sequence[PdfLine], indices: Sequence[int]
) -> tuple[int, int, str] | None:
    """The line where a heading starts, over how many it runs, and its text as printed.

    A number that the outline leaves out is left out here too.
    """
    wanted = {_letters(title), _letters(_NUMBERING.sub("", title))} - {""}
    for index in indices:
        text = ""
        for count in range(1, _MOST_LINES + 1):
            text = " ".join(line.text for line in lines[index : index + count])
            if len(text) > 2 * len(title) + 20:
                break
            if {_letters(text), _letters(_NUMBERING.sub("", text))} & wanted:
                return index, count, text if _letters(text) == _letters(title) else title
    return None


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _large_headings(lines: Sequence[PdfLine], body: float) -> Headings:
    """Runs of lines whose letters are larger than the body's; the larger, the higher their level."""
    large = [i for i, line in enumerate(lines) if line.size >= _LARGER * body]
    characters = sum(len(line.text) for line in lines)
    if sum(len(lines[i].text) for i in large) > _MOST_HEADINGS * characters:
        return {}
    sizes = sorted({lines[i].size for i in large}, reverse=True)
    headings: Headings = {}
    covered = 0
    for index in large:
        if index < covered:
            continue
        run = _run(lines, index)
        covered = index + len(run)
        text = " ".join(line.text for line in run)
        if len(text) <= _LONGEST_HEADING and any(c.isalpha() for c in text):
            level = min(sizes.index(lines[index].size) + 1, 6)
            headings[index] = len(run), level, text
    return headings


def _blocks(
    lines: Sequence[PdfLine], headings: Mapping[int, tuple[int, int, str]]
) -> Iterator[tuple[int, str] | str]:
    """Level and text of each heading, and paragraphs, in reading order."""
    usual = _usual_gap(lines), _usual_length(lines)
    words = Counter(word for line in lines for word in re.findall(r"[\w-]+", line.text.casefold()))
    paragraph: list[PdfLine] = []
    index = 0
    while index < len(lines):
        count, level, text = headings.get(index, (0, 0, ""))
        ends = count or (paragraph and _starts_paragraph(paragraph[-1], lines[index], *usual))
        if paragraph and ends:
            yield _joined(paragraph, words)
            paragraph = []
        if count:
            yield level, text
        else:
            paragraph.append(lines[index])
        index += count or 1
    if paragraph:
        yield _joined(paragraph, words)


def _usual_gap(lines: Sequence[PdfLine]) -> float:
    """Distance of base lines, in letter sizes."""
    gaps = [
        (above.y - line.y) / line.size
        for above, line in pairwise(lines)
        if (above.page, above.size) == (line.page, line.size)
        and 0 < above.y - line.y < 3 * line.size
    ]
    return median(gaps) if gaps else 1.2


def _usual_length(lines: Sequence[PdfLine]) -> float:
    lengths = sorted(len(line.text) for line in lines)
    return float(lengths[int(0.9 * (len(lengths) - 1))])


def _starts_paragraph(above: PdfLine, line: PdfLine, gap: float, length: float) -> bool:
    ended = bool(_SENTENCE_END.search(above.text))
    if _BULLET.match(line.text):
        return True
    moved = above.y - line.y
    if above.page != line.page or moved < -line.size:  # the next page or column may go on
        return ended
    if moved > _WIDE_GAP * gap * max(line.size, above.size) or abs(line.size - above.size) > 1:
        return True
    indented = line.x - above.x > 0.8 * line.size
    return ended and (indented or len(above.text) < _SHORT_LINE * length)


def _joined(lines: Sequence[PdfLine], words: Mapping[str, int]) -> str:
    """One paragraph; a hyphen at a line end stays only if the document has the word with it elsewhere."""
    text = lines[0].text
    for line in lines[1:]:
        broken = _HYPHENATED.search(text)
        if not broken or not line.text[0].islower():
            text += (" " if not broken else "") + line.text
            continue
        rest = re.match(r"\w*", line.text)
        ending = rest[0] if rest else ""
        whole, hyphened = f"{broken[1]}{ending}".casefold(), f"{broken[1]}-{ending}".casefold()
        keep = words.get(hyphened, 0) > words.get(whole, 0)
        text = (text if keep else text[:-1]) + line.text
    return text
