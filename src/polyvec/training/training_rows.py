"""Rows for the trainer out of training examples: which positive and which negatives stand in which step."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from polyvec.data.class_examples import class_examples, read_labelled_texts
from polyvec.data.text_lines import read_lines
from polyvec.data.training_lines import TrainingLine, read_training_lines
from polyvec.encoders.instructions import instructed
from polyvec.errors import BadInput


def read_examples(paths: Sequence[Path], seed: int = 0) -> list[TrainingLine]:
    """All examples of some files: queries with answers, or texts with labels.

    Args:
        paths: ``.jsonl`` files, or compressed with gzip. A file whose first line has a ``label`` holds labelled
            texts, ``{"text": "…", "label": "…", "task": "…"}``, and its name is the task of lines without one.
        seed: of which labelled texts answer each other.

    Raises:
        BadInput: names file and line of what cannot be read.
    """
    found: list[TrainingLine] = []
    for path in paths:
        first = next((line.text for line in read_lines(path) if line.text.strip()), "")
        if '"label"' in first:
            found += class_examples(read_labelled_texts(path), seed=seed)
        else:
            found += read_training_lines(path)
    if not found:
        raise BadInput(
            f"{', '.join(map(str, paths))}: no example in it; give lines with query and pos"
        )
    return found


def training_rows(
    examples: Sequence[TrainingLine],
    order: Sequence[int],
    negatives: int = 0,
    *,
    seed: int = 0,
    scores: bool = False,
) -> Dataset:
    """Rows in the order of training.

    An example that comes again brings its next positive and its next negatives, from a place that is drawn. One with
    too few negatives is filled up with answers to other queries of its task.

    Args:
        examples: see `read_examples`.
        order: numbers of examples, one for each row.
        negatives: of a row.
        seed: of what is drawn.
        scores: the label of a row is its teacher's scores.

    Returns:
        Columns ``anchor``, ``positive``, ``negative_1`` …; and ``label``: equal where the answers are the same, or the
        scores of positive and negatives. Texts are held once, however many rows they are in.

    Raises:
        BadInput: when scores are asked for and an example has none, or too few negatives that have one.
    """
    drawing = _Drawing(examples, negatives, seed)
    rows = [drawing.row(number, scores) for number in order]
    names = ["anchor", "positive", *(f"negative_{n}" for n in range(1, negatives + 1))]
    columns: dict[str, list[Any]] = {
        name: [texts[place] for texts, _ in rows] for place, name in enumerate(names)
    }
    columns["label"] = [label for _, label in rows]
    held = drawing.texts

    def as_texts(part: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {
            name: [held[number] for number in found] if name != "label" else found
            for name, found in part.items()
        }

    return Dataset.from_dict(columns).with_transform(as_texts)


class _Drawing:
    """What the examples hold that rows are made of, and how often each has come."""

    def __init__(self, examples: Sequence[TrainingLine], negatives: int, seed: int) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._examples = examples
        self._negatives = negatives
        self._rng = np.random.default_rng(seed)
        self._first = self._rng.integers(2**31, size=(len(examples), 2))
        self._visits: Counter[int] = Counter()
        self._labels: dict[Any, int] = {}
        self._pools: dict[str, list[str]] = defaultdict(list)
        for example in examples:
            self._pools[example.task].append(example.positives[0])

    def row(self, number: int, scores: bool) -> tuple[list[int], Any]:
        """The texts of a row, and its label."""
        example, visit = self._examples[number], self._visits[number]
        self._visits[number] += 1
        place = int(self._first[number, 0] + visit) % len(example.positives)
        chosen = self._chosen(number, visit)
        against = [example.negatives[n] for n in chosen]
        if scores:
            if len(example.teacher_scores) == 0 or len(chosen) < self._negatives:
                raise BadInput(
                    f"query {example.query[:60]!r}: {len(example.teacher_scores)} teacher_scores and "
                    f"{len(example.negatives)} negatives, where {self._negatives} negatives with scores are wanted; "
                    "score them with polyvec mine, or give a teacher"
                )
            known = example.teacher_scores
            label: Any = [known[place], *(known[len(example.positives) + n] for n in chosen)]
        else:
            against += self._filled(example, self._negatives - len(against))
            answer = (example.task, example.label or tuple(example.positives))
            label = self._labels.setdefault(answer, len(self._labels))
        query = example.query
        if example.instruction:
            query = instructed(example.instruction, query)
        return [self._number(t) for t in (query, example.positives[place], *against)], label

    def _chosen(self, number: int, visit: int) -> list[int]:
        """Which negatives come this time: all of them, or the next ones."""
        there = len(self._examples[number].negatives)
        if there <= self._negatives:
            return list(range(there))
        start = int(self._first[number, 1]) + visit * self._negatives
        return [(start + n) % there for n in range(self._negatives)]

    def _filled(self, example: TrainingLine, missing: int) -> list[str]:
        pool = self._pools[example.task]
        filled: list[str] = []
        own = {*example.positives, *example.negatives}
        for _ in range(20 * missing):
            if len(filled) == missing:
                break
            text = pool[self._rng.integers(len(pool))]
            if text not in own:
                filled.append(text)
        if len(filled) < missing:
            raise BadInput(
                f"task {example.task}: too few different answers to fill up the negatives of query "
                f"{example.query[:60]!r}; give negatives, or fewer a row"
            )
        return filled

    def _number(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number
