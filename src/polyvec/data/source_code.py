"""Source code in languages other than Python: what comments say of the definitions below them.

There is no parser for twenty languages here; the scan goes by comments, by what a definition's
first line looks like, and by indentation, which formatters have made reliable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from polyvec.data.code_languages import LANGUAGES, Language
from polyvec.data.decoding import decode
from polyvec.data.doc_comments import parse_comment
from polyvec.data.docstrings import Docstring
from polyvec.data.documents import Document, Section

SUFFIXES = frozenset(LANGUAGES)
CODE_LIMIT = 4000
"""Characters of a definition that are kept."""
LEAST_SUMMARY = 3
"""Words that a comment's first sentence needs to stand for the code as its summary."""

_ATTRIBUTE = re.compile(
    r"@[\w.:]+(?:\(.*\))?$|#!?\[.*\]$|\[[A-Z]\w*(?:\(.*\))?\]$|template\s*<.*>$"
)
_TYPE_ALONE = re.compile(r"[A-Za-z_][\w\s*]*$")
_NAME_BELOW = re.compile(r"\w+\s*\(")
"""GNU's C has the type of a function alone on the line above its name."""
_FIRST_LINE = re.compile(r"#!|<\?php|[\"']use strict")
"""What may stand before the comment that opens a file."""
_CLOSING = re.compile(r"[)}\]]|end\b")
_OPENING = re.compile(r"(?:[{(\[,=]|[=-]>|\bdo|\bthen|\bwhere)$")
_PASSED_OVER = re.compile(r"#\s*(?:if|ifdef|ifndef|else|elif|endif)\b|\w+:$|\{$")
"""Preprocessor lines, labels and a brace alone stand at any indentation."""


@dataclass(slots=True)
class _Definition:
    """What its comment says of a definition, and where it is.

    Lines, from 0, of its comment, of attributes and type above its name, of the name, and the line
    after its end.
    """

    name: str
    path: tuple[str, ...]
    said: Docstring
    comment: int
    attributes: int
    header: int
    end: int
    inside: list[_Definition] = field(default_factory=list)


def read_source_code(content: bytes, id: str) -> Document:
    r"""Read one file of source code; its suffix tells the language.

    The first section holds the comment that opens the file, without its licence; then comes a
    section for each definition with a comment directly above it, summary and code apart. Where
    nothing is commented, the code is the one section.

    Args:
        content: the file.
        id: its path in the corpus, which ends with one of `SUFFIXES`.

    Raises:
        BadInput: when the content is not text.

    Example:
        >>> source = b"// Area of a circle.\nfunc Area(r float64) float64 {\n\treturn 3 * r\n}\n"
        >>> section = read_source_code(source, "shapes.go").sections[0]
        >>> section.heading, section.summary
        ('Area', 'Area of a circle.')
    """
    lines = [line.expandtabs(4).rstrip() for line in decode(content).split("\n")]
    language = LANGUAGES[f".{id.lower().rpartition('.')[2]}"]
    scan = _Scan(lines, language)
    opening = parse_comment(scan.opening)
    sections = [_section(definition, lines) for definition in scan.documented]
    if opening.paragraphs:
        sections.insert(0, Section(paragraphs=opening.paragraphs))
    if not scan.documented:
        sections.append(Section(code=_cut("\n".join(lines[scan.body :]).strip("\n"))))
    return Document(id, opening.summary or id, id, tuple(sections))


class _Scan:
    """One walk down the lines of a file.

    Attributes:
        documented: definitions with a comment, in their order.
        opening: lines of the comments before the first code that belong to no definition.
        body: the first line after them.
    """

    def __init__(self, lines: Sequence[str], language: Language) -> None:
        self.documented: list[_Definition] = []
        self.opening: list[str] = []
        self.body = 0
        self._lines = lines
        self._language = language
        self._containers: list[_Definition] = []
        self._begun = False
        position = 0
        while position < len(lines):
            position = self._step(position)

    def _step(self, position: int) -> int:
        """Take what starts at a line; the answer is the line to go on with."""
        after = self._after_comment(position)
        found = self._definition(position, after)
        if found:
            self._begun = True
            return self._enter(found)
        if after > position:
            if not self._begun:
                self.opening += [*self._lines[position:after], ""]
                self.body = after
            return after
        line = self._lines[position]
        self._begun = self._begun or bool(line and not _FIRST_LINE.match(line))
        return position + 1

    def _enter(self, found: _Definition) -> int:
        if found.said.summary or found.said.paragraphs:
            self.documented.append(found)
            if self._containers:
                self._containers[-1].inside.append(found)
        if self._language.contains(self._lines[found.header].strip()):
            self._containers.append(found)
            return found.header + 1
        return found.end

    def _after_comment(self, position: int) -> int:
        """The line after the comments that start at a line; the line itself if none does."""
        while position < len(self._lines):
            line = self._lines[position].strip()
            block = next((b for b in self._language.blocks if line.startswith(b[0])), None)
            if block:
                position = self._after_block(position, *block)
            elif line.startswith(self._language.comment) and not _FIRST_LINE.match(line):
                position += 1
            else:
                break
        return position

    def _after_block(self, position: int, start: str, end: str) -> int:
        rest = self._lines[position].strip()[len(start) :]
        while end not in rest and position + 1 < len(self._lines):
            position += 1
            rest = self._lines[position]
        return position + 1

    def _definition(self, comment: int, attributes: int) -> _Definition | None:
        header = attributes
        while header + 1 < len(self._lines) and self._leads_to_name(header):
            header += 1
        above = f"{self._line(header - 1)} " if header > attributes else ""
        name = self._language.name(self._line(header)) or self._language.name(
            above + self._line(header)
        )
        if not name:
            return None
        while self._containers and header >= self._containers[-1].end:
            self._containers.pop()
        path = tuple(container.name for container in self._containers)
        full = f"{path[-1]}.{name}" if path else name
        said = parse_comment(self._lines[comment:attributes])
        return _Definition(full, path, said, comment, attributes, header, self._end(header))

    def _leads_to_name(self, position: int) -> bool:
        line, below = self._line(position), self._line(position + 1)
        type_alone = _TYPE_ALONE.match(line) and _NAME_BELOW.match(below)
        return bool(_ATTRIBUTE.match(line) or type_alone)

    def _line(self, position: int) -> str:
        return self._lines[position].strip() if position < len(self._lines) else ""

    def _end(self, header: int) -> int:
        """The line after a definition: after all that is indented deeper and its closing line."""
        if self._language.terminator:
            return self._terminated(header)
        indent = _indent(self._lines[header])
        end = last = header + 1
        while end < len(self._lines):
            line = self._lines[end]
            inside = not line or _indent(line) > indent
            if not inside and (_indent(line) < indent or not _continues(line.strip())):
                break
            end += 1
            last = end if line else last
            if not inside and _CLOSING.match(line.strip()) and not _OPENING.search(line):
                break
        return last

    def _terminated(self, header: int) -> int:
        end = header
        quoted = 0  # a body between $$ has terminators of its own
        while end < len(self._lines):
            quoted += self._lines[end].count("$$")
            end += 1
            if quoted % 2 == 0 and self._lines[end - 1].endswith(self._language.terminator):
                break
        return end


def _continues(line: str) -> bool:
    return bool(_CLOSING.match(line) or _PASSED_OVER.match(line))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _section(definition: _Definition, lines: Sequence[str]) -> Section:
    said = definition.said
    telling = len(said.summary.split()) >= LEAST_SUMMARY
    untold = (said.summary,) if said.summary and not telling else ()
    return Section(
        heading=definition.name,
        path=definition.path,
        anchor=definition.name,
        paragraphs=(*untold, *said.paragraphs),
        summary=said.summary if telling else "",
        code=_code(definition, lines),
        links=said.links,
    )


def _code(definition: _Definition, lines: Sequence[str]) -> str:
    """The definition's lines; of those inside that have their own sections only the first."""
    left_out: set[int] = set()
    for inner in definition.inside:
        left_out.update(range(inner.comment, inner.attributes), range(inner.header + 1, inner.end))
    kept = [lines[i] for i in range(definition.attributes, definition.end) if i not in left_out]
    indent = _indent(lines[definition.header])
    return _cut("\n".join(line[min(indent, _indent(line)) :] for line in kept))


def _cut(code: str) -> str:
    if len(code) <= CODE_LIMIT:
        return code
    end = code.rfind("\n", 0, CODE_LIMIT)
    return code[: end if end > 0 else CODE_LIMIT]
