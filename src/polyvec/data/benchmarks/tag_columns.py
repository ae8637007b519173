"""Sentences with a word and its tag in each line, as the shared tasks of CoNLL and their heirs write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from datasets import Dataset, Features, List, Value

from polyvec.data.text_lines import Line
from polyvec.errors import BadInput

_BIO = re.compile(r"O|[BI]-.+")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is laid out.

    Attributes:
        columns: how many a line has.
        word: the column with the word, from 0.
        tag: the column with the tag.
        separator: what stands between columns.
        passed_over: lines that fully match are comments or other things that are no words.
        entities: whether tags are BIO.
        slips: a tag that stands there by mistake → what it would be.
    """

    columns: int
    word: int
    tag: int
    separator: str = "\t"
    passed_over: re.Pattern[str] | None = None
    entities: bool = True
    slips: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Sentences:
    """Words and tags of sentences."""

    tokens: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)

    def dataset(self) -> Dataset:
        """A row for each sentence, with the columns ``tokens`` and ``tags``."""
        features = Features(tokens=List(Value("string")), tags=List(Value("string")))
        return Dataset.from_dict({"tokens": self.tokens, "tags": self.tags}, features=features)


def add_sentences(found: Sentences, lines: Iterable[Line], where: str, layout: Layout) -> None:
    """Add the sentences of a file, which blank lines part.

    Args:
        found: what to add to.
        lines: of the file.
        where: the file, for errors.
        layout: of its lines.

    Raises:
        BadInput: naming file and line when a line is not in this layout, or there is no sentence.
    """
    before = len(found.tokens)
    words: list[str] = []
    tags: list[str] = []
    for line in lines:
        text = line.text.rstrip("\n")
        if line.problem:
            raise _wrong(line, where, line.problem)
        if not text.strip():
            _close(found, words, tags, layout)
            words, tags = [], []
        elif not (layout.passed_over and layout.passed_over.fullmatch(text)):
            fields = text.split(layout.separator)
            if problem := _problem(fields, layout):
                raise _wrong(line, where, problem)
            words.append(fields[layout.word])
            tags.append(layout.slips.get(fields[layout.tag], fields[layout.tag]))
    _close(found, words, tags, layout)
    if len(found.tokens) == before:
        raise BadInput(f"{where}: no sentence in it; a line is a word and its tag")


def entities_begun(tags: Iterable[str]) -> list[str]:
    """BIO tags in which every entity begins with B.

    An I that goes on with no entity of its type becomes B. These are the entities that seqeval
    finds either way, and with this its strict mode finds the same.

    Example:
        >>> entities_begun(["I-PER", "I-PER", "I-ORG", "O", "B-LOC", "I-LOC"])
        ['B-PER', 'I-PER', 'B-ORG', 'O', 'B-LOC', 'I-LOC']
    """
    begun: list[str] = []
    open_type = ""
    for tag in tags:
        goes_on = tag[2:] == open_type
        begun.append(f"B-{tag[2:]}" if tag.startswith("I-") and not goes_on else tag)
        open_type = tag[2:]
    return begun


def _close(found: Sentences, words: list[str], tags: list[str], layout: Layout) -> None:
    if words:
        found.tokens.append(words)
        found.tags.append(entities_begun(tags) if layout.entities else tags)


def _problem(fields: Sequence[str], layout: Layout) -> str:
    """What is wrong with a line; empty if nothing is."""
    if len(fields) != layout.columns:
        return f"{len(fields)} columns; a line has {layout.columns}"
    tag = fields[layout.tag]
    if not fields[layout.word].strip():
        return f"no word in column {layout.word + 1}"
    if layout.entities and not _BIO.fullmatch(layout.slips.get(tag, tag)):
        return f"tag {tag!r}; would be O, or B- or I- and a type"
    return "" if tag.strip() else f"no tag in column {layout.tag + 1}"


def _wrong(line: Line, where: str, problem: str) -> BadInput:
    return BadInput(f"{where}:{line.number}: {problem}")
