"""A docstring's parts: the sentence that sums it up, the paragraphs after it, its references.

NumPy's, Google's and Sphinx' conventions are understood. Code (doctests, literal blocks,
``Examples``) is left out, because what is wanted from a docstring is the prose that people would
search with and for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polyvec.data.documents import Link

_UNDERLINE = re.compile(r"""\s*([=\-~^"'`#*+.:_])\1{2,}\s*$""")
_GOOGLE_TITLE = re.compile(
    r"(Args|Arguments|Parameters|Keyword Args|Keyword Arguments|Other Parameters|Attributes|Methods"
    r"|Returns?|Yields?|Receives|Raises|Warns|Warnings?|Notes?|Tips?|Todo|Usage|See Also|Examples?"
    r"|References?|Shapes?|Inputs?|Outputs?):$",
    re.IGNORECASE,
)
_CODE_TITLES = {"example", "examples", "usage", "references", "reference", "doctest", "doctests"}
_DIRECTIVE = re.compile(r"(\s*)\.\.(?: +(?:([\w:-]+)::)?\s*(.*))?$")
_CODE_SIGN = re.compile(r"\s*(?:>>>|\.\.(?:\s|$)|```|~~~)|.*::\s*$")
_PROSE_DIRECTIVES = {
    "note", "warning", "tip", "hint", "important", "caution", "attention", "danger", "admonition",
    "seealso", "topic",
}  # fmt: skip
_FENCE = re.compile(r"\s*(```|~~~)")
_BULLET = re.compile(r"\s*(?:[-*•+]|\(?\d{1,2}[.)]|[a-z]\))\s+")
_FIELD = re.compile(r"\s*[:@](\w+)(?:\s+([^:]+?))?:(?:\s+(.*))?$")
_ITEM = re.compile(f"{_BULLET.pattern}|{_FIELD.pattern}")
_ENTRY = re.compile(r"(?::[\w:]+:)?`{0,2}~?([A-Za-z_][\w.]*)(?:\(\))?`{0,2}\s*:\s*(.*)$")
_PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}|\$\{?\w+\}?")
_TELLING = re.compile(r"[^\W_]")
_SIGNATURE = re.compile(r"[\w.]+\(.*\)(\s*->.*)?$")
_NO_SUMMARY = re.compile(r"[\w*]+ \([^)]*\):|(?:Other )?Parameters: |Args: |Attributes: |Raises: ")
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!\bvs\.)(?<!\bcf\.)(?<!\bal\.)(?<!\b[A-Z]\.)"
    r"\s+(?=[\W\dA-Z])"
)

_DESCRIBED_OBJECT = re.compile(
    r":(?:py:)?(?:mod|func|class|meth|attr|obj|exc|data):`([^`<]+?)\s*<([^`>]+)>`"
)
_MARKUP = {
    "`": (
        (re.compile(r":[\w:.+-]+:`([^`<]+?)\s*<[^`>]+>`"), r"\1"),
        (re.compile(r":[\w:.+-]+:`!?~[^`]*?(\w+)`"), r"\1"),
        (re.compile(r":[\w:.+-]+:`!?([^`]+)`"), r"\1"),
        (re.compile(r"``(.+?)``"), r"\1"),
        (re.compile(r"`([^`<]+?)\s*<[^`>]+>`__?"), r"\1"),
        (re.compile(r"\[?`~[^`]*?(\w+(?:\(\))?)`\]?"), r"\1"),
        (re.compile(r"\[?`([^`]+)`\]?_?"), r"\1"),
    ),
    "*": (
        (re.compile(r"\*\*(\S|\S.*?\S)\*\*(?!\w)"), r"\1"),
        (re.compile(r"(?<![\w*])\*(\w|\w[^*]*?\S)\*(?![\w*])"), r"\1"),
    ),
    "](": ((re.compile(r"\[([^\]]+)\]\([^)\s]+\)"), r"\1"),),
    "]_": ((re.compile(r"\s*\[[\w#*]+\]_(?!\w)"), ""),),
}
"""What is taken off, by the signs without which it cannot occur; most text has none of them."""


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says.

    Attributes:
        summary: its first sentence on one line, without markup.
        paragraphs: the rest of its prose, a string each.
        links: what it refers to with a description; targets are names as written.
    """

    summary: str = ""
    paragraphs: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


def parse_docstring(text: str) -> Docstring:
    r"""Take a docstring, its indentation already cleaned, apart.

    Example:
        >>> found = parse_docstring(
        ...     "Fit the ``model``.  Twice.\n\nSee Also\n--------\npredict : Use the model.\n"
        ... )
        >>> found.summary, found.paragraphs
        ('Fit the model.', ('Twice.',))
        >>> found.links
        (Link(text='Use the model.', target='predict'),)
    """
    paragraphs: list[str] = []
    links = [Link(plain(m[1]), m[2].strip("~! ")) for m in _DESCRIBED_OBJECT.finditer(text)]
    for title, lines in _parts(_without_code(text.split("\n"))):
        kind = title.casefold()
        if kind == "see also":
            links.extend(_see_also(lines))
        elif kind not in _CODE_TITLES:
            paragraphs.extend(_titled(title, list(_paragraphs(lines)), first=not paragraphs))
    if paragraphs and _SIGNATURE.match(paragraphs[0]):
        del paragraphs[0]
    return Docstring(*_summed_up(paragraphs), tuple(links))


def plain(text: str) -> str:
    """``text`` without reStructuredText and Markdown inline markup, white space folded.

    Example:
        >>> plain("See :func:`~os.path.join`, ``x`` and *this*.")
        'See join, x and this.'
    """
    for sign, replacements in _MARKUP.items():
        if sign in text:
            for pattern, replacement in replacements:
                text = pattern.sub(replacement, text)
    return " ".join(text.split())


def _summed_up(paragraphs: list[str]) -> tuple[str, tuple[str, ...]]:
    if not paragraphs or _NO_SUMMARY.match(paragraphs[0]):
        return "", tuple(paragraphs)
    summary, *rest = _SENTENCE_END.split(paragraphs[0], maxsplit=1)
    return summary, (*rest, *paragraphs[1:])


def _titled(title: str, paragraphs: list[str], first: bool) -> Iterator[str]:
    """The paragraphs of a part, its title before them, or alone when nothing came before it."""
    if title and first and not _GOOGLE_TITLE.match(f"{title}:"):
        yield plain(title)
    elif title and paragraphs:
        paragraphs[0] = f"{plain(title)}: {paragraphs[0]}"
    yield from paragraphs


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _without_code(lines: list[str]) -> Iterator[str]:
    """Lines that are not doctest, literal block, fenced block, or the inside of a directive."""
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if not _CODE_SIGN.match(line):
            yield line
            continue
        directive = _DIRECTIVE.match(line)
        fence = _FENCE.match(line)
        if directive and directive[2] in _PROSE_DIRECTIVES:
            yield ""
            yield directive[1] + (directive[3] or "")
            continue
        if fence:
            position = _end_of_fence(lines, position, fence[1])
        elif line.lstrip().startswith(">>>"):
            position = _end_of_doctest(lines, position)
        else:
            position = _end_of_block(lines, position, _indent(line))
        if not directive and line.rstrip().endswith("::"):
            yield line.rstrip()[:-1].removesuffix(" :") if line.strip() != "::" else ""
        yield ""


def _end_of_doctest(lines: list[str], position: int) -> int:
    while position < len(lines) and lines[position].strip():
        position += 1
    return position


def _end_of_fence(lines: list[str], position: int, fence: str) -> int:
    while position < len(lines) and not lines[position].lstrip().startswith(fence):
        position += 1
    return position + 1


def _end_of_block(lines: list[str], position: int, indent: int) -> int:
    while position < len(lines) and (
        not lines[position].strip() or _indent(lines[position]) > indent
    ):
        position += 1
    return position


def _parts(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Title and lines of each part; a title is an underlined line, or a word of Google's style."""
    title, body, google = "", list[str](), False
    for line in lines:
        if (
            body
            and _UNDERLINE.match(line)
            and body[-1].strip()
            and _indent(line) == _indent(body[-1])
        ):
            heading = body.pop().strip()
            yield title, body
            title, body, google = heading, [], False
        elif line.endswith(":") and _GOOGLE_TITLE.match(line):
            yield title, body
            title, body, google = line[:-1], [], True
        elif google and line and not line[0].isspace():
            yield title, body
            title, body, google = "", [line], False
        else:
            body.append(line)
    yield title, body


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs of a part; a blank line, bullet, field or dedent (next parameter) starts one."""
    gathered: list[str] = []
    above = 0
    for line in (*lines, ""):
        indent = _indent(line)
        blank = indent == len(line)
        if gathered and (blank or indent < above or _ITEM.match(line)):
            yield from _prose(gathered)
            gathered = []
        if not blank:
            above = indent
            gathered.append(line)


def _prose(lines: list[str]) -> Iterator[str]:
    field = _FIELD.match(lines[0])
    if field:
        lines = [_spoken(field[1].lower(), field[2] or "", field[3] or ""), *lines[1:]]
    else:
        bullet = _BULLET.match(lines[0])
        lines = [lines[0][bullet.end() if bullet else 0 :], *lines[1:]]
    # Underlines say nothing, and a placeholder is filled in only when the module runs.
    text = plain("\n".join(line for line in lines if _TELLING.search(line)))
    if _TELLING.search(_PLACEHOLDER.sub("", text)):
        yield text


def _spoken(field: str, argument: str, description: str) -> str:
    """A Sphinx field as words: ``:param int x: size`` is *x: size*; types alone say too little."""
    if field in {"type", "rtype", "vartype", "meta"}:
        return ""
    if field.startswith(("return", "yield", "raise", "except")):
        return f"{field.capitalize()} {argument}".rstrip() + f": {description}"
    return f"{argument.split()[-1] if argument else field}: {description}"


def _see_also(lines: Iterable[str]) -> Iterator[Link]:
    """Entries ``name : description``; those that only name something teach nothing."""
    name, description, indent = "", list[str](), 0
    for line in (*lines, ""):
        if name and _indent(line) > indent:
            description.append(line)
            continue
        text = plain(" ".join(description))
        if name and len(text.split()) > 1:
            yield Link(text, name)
        entry = _ENTRY.match(line.strip())
        name, description = (entry[1], [entry[2]]) if entry else ("", [])
        indent = _indent(line)
