"""Markdown: headings, paragraphs, lists, tables, code fences and links."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from polyvec.data.decoding import decode
from polyvec.data.documents import Document
from polyvec.data.link_targets import address
from polyvec.data.outline import Outline, slug

_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\n(.*?)\n\1[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_GIVEN_ANCHOR = re.compile(r"\s*\{[^{}]*#([\w.:-]+)[^{}]*\}\s*$")
_HTML_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1>", re.DOTALL | re.IGNORECASE)
_HTML_INVISIBLE = re.compile(
    r"<!--.*?-->|<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE
)
_BREAKS = {"softbreak", "hardbreak"}
_ENDS = {"paragraph_close", "tr_close", "list_item_close", "blockquote_close"}


def read_markdown(content: bytes, id: str) -> Document:
    r"""Read one Markdown file (CommonMark, with tables and front matter).

    Args:
        content: the file.
        id: its path in the corpus, against which links are resolved.

    Returns:
        The document. Its title is that of the front matter, or else the first heading of level 1.
        The anchor of a section is what GitHub makes of its heading, or the one given as
        ``{#anchor}``.

    Raises:
        BadInput: when the content is not text.

    Example:
        >>> text = b"# Guide\n\nHello.\n\n## Set up\n\n- run [make](b.md)\n"
        >>> page = read_markdown(text, "guide.md")
        >>> page.title, [(s.heading, s.anchor, s.paragraphs) for s in page.sections]
        ('Guide', [('', 'guide', ('Hello.',)), ('Set up', 'set-up', ('run make',))])
    """
    text = decode(content)
    front = _FRONT_MATTER.match(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(text[front.end() :] if front else text)
    title = (_front_title(front[2]) if front else "") or _first_heading(tokens)
    reading = _Reading(id, title)
    reading.enter(tokens)
    return Document(id, title, id, reading.outline.sections())


def _front_title(front: str) -> str:
    found = _FRONT_TITLE.search(front)
    return found[1].strip("\"'") if found else ""


def _first_heading(tokens: Sequence[Token]) -> str:
    for token, following in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return _GIVEN_ANCHOR.sub("", _words(following.children or ()))
        if token.type == "html_block":
            for heading in _HTML_HEADING.finditer(token.content):
                if heading[1] == "1" and _visible(heading[2]):
                    return _visible(heading[2])
    return ""


def _words(children: Iterable[Token]) -> str:
    """Text of inline tokens; what an image shows is no text."""
    parts = (
        " " if child.type in _BREAKS else child.content for child in children if _is_text(child)
    )
    return " ".join("".join(parts).split())


def _is_text(token: Token) -> bool:
    return token.type in ("text", "code_inline") or token.type in _BREAKS


def _visible(markup: str) -> str:
    return " ".join(html.unescape(_HTML_INVISIBLE.sub(" ", markup)).split())


class _Reading:
    """One pass over the tokens of a file."""

    def __init__(self, id: str, title: str) -> None:
        self.outline = Outline(title)
        self._id = id
        self._slugs: Counter[str] = Counter()

    def enter(self, tokens: Iterable[Token]) -> None:
        level = 0
        for token in tokens:
            if token.type == "heading_open":
                level = int(token.tag[1])
            elif token.type == "inline" and level:
                self._open(level, _words(token.children or ()))
                self._note_links(token.children or ())
                level = 0
            elif token.type == "inline":
                self._add_inline(token.children or ())
            elif token.type in ("fence", "code_block"):
                self.outline.add_paragraph(token.content)
            elif token.type == "html_block":
                self._enter_html(token.content)
            elif token.type in _ENDS:
                self.outline.end_paragraph()

    def _open(self, level: int, heading: str) -> None:
        given = _GIVEN_ANCHOR.search(heading)
        heading = _GIVEN_ANCHOR.sub("", heading)
        anchor = given[1] if given else slug(heading)
        repeated = self._slugs[anchor]
        self._slugs[anchor] += 1
        self.outline.open(level, heading, f"{anchor}-{repeated}" if repeated else anchor)

    def _add_inline(self, children: Sequence[Token]) -> None:
        self.outline.add_text(_words(children) + " ")
        self._note_links(children)

    def _note_links(self, children: Sequence[Token]) -> None:
        for href, inside in _links(children):
            target = address(href, self._id)
            if target:
                self.outline.add_link(_words(inside), target)

    def _enter_html(self, markup: str) -> None:
        """Raw HTML, as at the top of many a README: its headings and its text."""
        before = 0
        for heading in _HTML_HEADING.finditer(markup):
            self.outline.add_paragraph(_visible(markup[before : heading.start()]))
            if _visible(heading[2]):
                self._open(int(heading[1]), _visible(heading[2]))
            before = heading.end()
        self.outline.add_paragraph(_visible(markup[before:]))


def _links(children: Sequence[Token]) -> Iterator[tuple[str, Sequence[Token]]]:
    start = 0
    href = ""
    for position, child in enumerate(children):
        if child.type == "link_open":
            start, href = position + 1, str(child.attrGet("href") or "")
        elif child.type == "link_close":
            yield href, children[start:position]
