"""Plain text: paragraphs between blank lines, and headings as people type them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from polyvec.data.decoding import decode
from polyvec.data.documents import Document
from polyvec.data.outline import Outline

_LONGEST_HEADING = 80
"""Characters; a longer line is prose, whatever it looks like."""
_MOST_STEP_WORDS = 6
"""Words of a heading with a single number; longer ones are steps of a list more often."""
_UNDERLINE = re.compile(r"\s*([=\-~*#^+])\1{2,}\s*$")
_NUMBERED = re.compile(r"((?:\d+|[A-Z])(?:\.\d+)*)[.)]?\s+[^\W\d_].*$")


def read_plain_text(content: bytes, id: str) -> Document:
    r"""Read one text file.

    A line is a heading if it is underlined, or stands at the head of a block in capitals, or stands
    alone after a number (``2.1 Methods``). The first line is the title if it is short, stands
    alone and is not all there is.

    Args:
        content: the file.
        id: its path in the corpus.

    Raises:
        BadInput: when the content is not text.

    Example:
        >>> page = read_plain_text(b"Tea\n\nBoil water.\n\nWARNING\nIt is hot.\n", "tea.txt")
        >>> page.title, [(s.heading, s.paragraphs) for s in page.sections]
        ('Tea', [('', ('Boil water.',)), ('WARNING', ('It is hot.',))])
    """
    blocks = list(_blocks(decode(content)))
    title = _title(blocks[0]) if len(blocks) > 1 else ""
    outline = Outline(title)
    if title:
        outline.open(1, title)
        blocks[0] = _without_heading(blocks[0])
    for block in blocks:
        for level, heading, body in _divided(block):
            if level:
                outline.open(level, heading)
            outline.add_paragraph(" ".join(body))
    return Document(id, title, id, outline.sections())


def _blocks(text: str) -> Iterator[list[str]]:
    block: list[str] = []
    for line in (*text.replace("\f", "\n\n").split("\n"), ""):
        if line.strip():
            block.append(line.rstrip())
        elif block:
            yield block
            block = []


def _title(block: list[str]) -> str:
    lines = [line for line in block[:3] if not _UNDERLINE.match(line)]
    alone = len(block) == 1 or any(_UNDERLINE.match(line) for line in block[:2])
    first = lines[0].strip() if lines else ""
    return first if alone and _could_be_heading(first) else ""


def _without_heading(block: list[str]) -> list[str]:
    """What follows the title and its lines above and below."""
    rest = block[1:] if not _UNDERLINE.match(block[0]) else block[2:]
    return rest[1:] if rest and _UNDERLINE.match(rest[0]) else rest


def _divided(block: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Level (0 if there is none), heading, and the lines under it, for each heading in a block."""
    level, heading, body = 0, "", list[str]()
    for position, line in enumerate(block):
        below = block[position + 1] if position + 1 < len(block) else ""
        found = _level(line.strip(), below, alone=len(block) == 1, first=position == 0)
        if found:
            yield level, heading, body
            level, heading, body = found, line.strip(), []
        elif not _UNDERLINE.match(line):
            body.append(line)
    yield level, heading, body


def _level(line: str, below: str, alone: bool, first: bool) -> int:
    if not _could_be_heading(line):
        return 0
    underline = _UNDERLINE.match(below)
    if underline:
        return 1 if underline[1] in "=#*" else 2
    numbered = _NUMBERED.match(line)
    if numbered and alone:
        depth = numbered[1].count(".") + 1
        return depth if depth > 1 or len(line.split()) <= _MOST_STEP_WORDS else 0
    return 1 if first and line.isupper() and len(line) > 2 else 0


def _could_be_heading(line: str) -> bool:
    return (
        len(line) <= _LONGEST_HEADING and any(c.isalpha() for c in line) and line[-1] not in ".,;!"
    )
