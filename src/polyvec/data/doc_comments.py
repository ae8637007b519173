"""Comments above definitions: their text without the signs that make them comments.

The conventions of Javadoc, JSDoc, Doxygen, C#'s XML comments, Rust, Go, roxygen and Julia are
understood and turned into what a Python docstring would say.
"""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence

from polyvec.data.docstrings import Docstring, parse_docstring

_SIGNS = re.compile(
    r"\s*(?:/\*+[!<]?|\*+/|//[/!]?<?|\*(?!\*)|#'|#+|--\[\[|---?|\"\"\"|=begin|=end)?"
)
_END_SIGNS = re.compile(r"\s*(?:\*+/|\]\]|=#|\"\"\")\s*$")
_RULE_SIGNS = "-=*#/~_+"
_FOR_TOOLS = re.compile(
    r"!|eslint|tslint|jshint|jslint|prettier|@ts-|istanbul|NOLINT|clang-|go:|\+build|rubocop|nolint"
    r"|frozen_string_literal|-\*-|vim?:|shellcheck|#?(end)?region|noinspection|phpcs|@formatter"
    r"|sourceMappingURL|@flow|@license|@preserve|use strict|coding[:=]|.*\bdo not edit\b"
    r"|(?:this file (?:is|was) |code )?(?:auto(?:matically)?[- ]?)?generated\b",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"copyright|\(c\) \d{4}|©|licen[cs]e|spdx-|all rights reserved|warrant(y|ies)", re.IGNORECASE
)
_FIELDS = (
    (re.compile(r"@param\s+[^$]*?\$(\w+)\s*"), r":param \1: "),  # PHP's, whose type has no braces
    (
        re.compile(
            r"[@\\]t?param(?:\[[^\]]*\])?\s+(?:\{[^}]*\}\s*)?\[?([\w.]+)(?:=[^\]]*)?\]?\s*[-:]?\s*"
        ),
        r":param \1: ",
    ),
    (re.compile(r"[@\\]returns?\s*(?:\{[^}]*\})?\s*-?\s*"), ":returns: "),
    (
        re.compile(r"[@\\](?:throws?|exception|raises)\s+\{?([\w.\\]+)\}?\s*-?\s*"),
        r":raises \1: ",
    ),
)
"""Tags that say something of the code, and the field of a docstring for each."""
_LEAD = re.compile(r"[@\\](?:brief|short|details|summary|desc(?:ription)?|remarks?|note|title)\s+")
_TAG = re.compile(r"[@\\][A-Za-z]+\b")
_MARKUP = (
    (re.compile(r"\{@\w+\s+([^}]*)\}"), r"\1"),
    (re.compile(r"<\w+ (?:cref|name|langword|href)=\"(?:\w:)?([^\"]*)\"\s*/>"), r"\1"),
    (re.compile(r"<(?:type)?param name=\"(\w+)\">\s*"), r"\n@param \1 "),
    (re.compile(r"<returns>\s*"), "\n@return "),
    (re.compile(r"</?(?:p|para|br|ul|ol|li)\s*/?>", re.IGNORECASE), "\n\n"),
    (re.compile(r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>"), ""),
)
"""Inline tags, C#'s XML and Javadoc's HTML."""


def parse_comment(lines: Sequence[str]) -> Docstring:
    """What a comment says.

    Args:
        lines: of the file, signs included.

    Example:
        >>> parse_comment(["/**", " * Area of a {@code Circle}.", " * @param r its radius", " */"])
        Docstring(summary='Area of a Circle.', paragraphs=('r: its radius',), links=())
    """
    return parse_docstring(_without_licence(_text(lines)))


def _text(lines: Sequence[str]) -> str:
    """The text of a comment, tags in the notation of a Python docstring."""
    words = (_END_SIGNS.sub("", line) for line in lines)
    plain = (_without_rule(_SIGNS.sub("", line, count=1)) for line in words)
    text = inspect.cleandoc("\n".join(line for line in plain if not _FOR_TOOLS.match(line.strip())))
    return "\n".join(_translated(_without_markup(text).split("\n")))


def _without_licence(text: str) -> str:
    """A comment without its paragraphs about rights."""
    paragraphs = re.split(r"\n\s*\n", text)
    rights = [i for i, paragraph in enumerate(paragraphs) if _LICENCE.search(paragraph)]
    # What stands between two such paragraphs is a part of the licence too.
    kept = paragraphs[: rights[0]] + paragraphs[rights[-1] + 1 :] if rights else paragraphs
    return "\n\n".join(kept)


def _without_rule(line: str) -> str:
    """The words in a line drawn in signs; another line as it is."""
    text = line.strip()
    drawn = text[:1] in _RULE_SIGNS and text.startswith(3 * text[:1])
    return text.strip(text[:1]).strip() if text and drawn else line


def _without_markup(text: str) -> str:
    for pattern, plain in _MARKUP:
        text = pattern.sub(plain, text)
    return html.unescape(text)


def _translated(lines: Iterable[str]) -> Iterator[str]:
    """The lines with tags as fields, without examples and what is for other readers."""
    in_example = False
    for line in lines:
        tag = _LEAD.sub("", line.strip())
        if not tag.startswith(("@", "\\")):
            if not in_example:
                yield tag if line.lstrip().startswith(("@", "\\")) else line
            continue
        in_example = tag[1:].startswith(("example", "code"))
        yield _field(tag)


def _field(tag: str) -> str:
    """A tag as a field; empty if it is for the documentation's builders."""
    for pattern, name in _FIELDS:
        if pattern.match(tag):
            return pattern.sub(name, tag, count=1)
    return "" if _TAG.match(tag) else tag
