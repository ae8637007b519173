"""A document while it is read: headings open sections, and text falls where it belongs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from polyvec.data.documents import Link, Section

_NO_LETTERS = re.compile(r"^[\W\d_]+|[\W_]+")
_COUNTED = re.compile(r"(id|index-)\d+")
_CONTENTS = {"table of contents", "contents", "toc"}
"""Headings of sections that only repeat the other headings."""
_OBJECT = 7
"""Level of a documented object, which opens a section below the six levels of headings."""


@dataclass(slots=True)
class _Draft:
    level: int = 0
    heading: str = ""
    path: tuple[str, ...] = ()
    anchor: str = ""
    paragraphs: list[str] = field(default_factory=list)
    links: dict[Link, None] = field(default_factory=dict)


class Outline:
    """Collects the sections of one document in reading order.

    Args:
        title: the document's title. A heading that repeats it before anything else is read opens no
            section, because what follows is what the whole document opens with.

    Example:
        >>> outline = Outline("Guide")
        >>> outline.open(1, "Guide")
        >>> outline.add_paragraph("Welcome.")
        >>> outline.open(2, "Setting up", "setup")
        >>> outline.add_paragraph("Run make.")
        >>> [(section.heading, section.paragraphs) for section in outline.sections()]
        [('', ('Welcome.',)), ('Setting up', ('Run make.',))]
    """

    def __init__(self, title: str = "") -> None:
        self._title = title
        self._drafts = [_Draft()]
        self._stack = [self._drafts[0]]
        self._text: list[str] = []

    def open(self, level: int, heading: str, anchor: str = "") -> None:
        """Start the section of a heading of level 1 to 6; it ends those of its level and below."""
        self.end_paragraph()
        opening = self._drafts[0]
        if heading == self._title and len(self._drafts) == 1 and not opening.anchor:
            opening.anchor = anchor
            return
        while self._stack[-1].level >= level:
            self._stack.pop()
        self._push(level, heading, anchor)

    def open_object(self, name: str, anchor: str) -> None:
        """Start a section inside the current one, until `close_object`."""
        self.end_paragraph()
        self._push(max(_OBJECT, self._stack[-1].level + 1), name, anchor)

    def close_object(self) -> None:
        """End the innermost object; what follows belongs to the section around it."""
        self.end_paragraph()
        if self._stack[-1].level >= _OBJECT:
            self._stack.pop()

    def add_text(self, text: str) -> None:
        """Continue the paragraph; its white space is folded at the end."""
        self._text.append(text)

    def add_link(self, text: str, target: str) -> None:
        """Note a link in the current section; one without words is none."""
        if any(c.isalnum() for c in text):
            self._stack[-1].links[Link(" ".join(text.split()), target)] = None

    def end_paragraph(self) -> None:
        """What was added since the last end is a paragraph."""
        text = " ".join("".join(self._text).split())
        self._text.clear()
        if any(c.isalnum() for c in text):
            self._stack[-1].paragraphs.append(text)

    def add_paragraph(self, text: str) -> None:
        """A whole paragraph at once."""
        self.end_paragraph()
        self.add_text(text)
        self.end_paragraph()

    def sections(self) -> tuple[Section, ...]:
        """The sections that have content, and the opening if links may lead to it."""
        self.end_paragraph()
        return tuple(
            Section(d.heading, d.path, d.anchor, tuple(d.paragraphs), links=tuple(d.links))
            for d in self._drafts
            if (d.paragraphs or d.links or (d is self._drafts[0] and d.anchor))
            and d.heading.casefold() not in _CONTENTS
        )

    def _push(self, level: int, heading: str, anchor: str) -> None:
        path = _headings(self._stack)
        self._drafts.append(_Draft(level, heading, path, anchor))
        self._stack.append(self._drafts[-1])


def slug(heading: str) -> str:
    """The anchor that GitHub and most site generators make from a Markdown heading.

    Example:
        >>> slug("What's new in 3.11?")
        'whats-new-in-311'
    """
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


def link_name(names: Iterable[str], heading: str) -> str:
    """Of the anchors of a heading the one that links likely use: a label that an author gave.

    The others are generated, from the heading's words or by counting.

    Example:
        >>> link_name(["io-streams", "id3", "text-mode"], "I/O streams")
        'text-mode'
    """
    names = list(names)
    generated = _letters(heading)
    labels = (n for n in names if _letters(n) != generated and not _COUNTED.fullmatch(n))
    return next(labels, names[0] if names else "")


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text.lower())


def _headings(drafts: Iterable[_Draft]) -> tuple[str, ...]:
    return tuple(draft.heading for draft in drafts if draft.heading)
