"""Training examples out of labelled texts: texts of one class answer one another, texts of others do not.

KaLM-Embedding-V2 (Zhao et al. 2025, arXiv:2506.20923) learns classification so, rather than from names of classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyvec.data.text_lines import parse_object, read_lines
from polyvec.data.training_lines import TrainingLine
from polyvec.errors import BadInput


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text, its class, and of which task both are."""

    text: str
    label: str
    task: str


def class_examples(
    texts: Sequence[LabelledText], answers: int = 8, negatives: int = 7, seed: int = 0
) -> list[TrainingLine]:
    """An example of every text whose class holds another text, in their order.

    Args:
        texts: of one task or of several, which are kept apart.
        answers: most texts of the same class that an example gets.
        negatives: most texts of other classes.
        seed: of what is drawn.

    Raises:
        BadInput: when a task has texts of one class only.

    Example:
        >>> found = class_examples([LabelledText(t, t[0], "letters") for t in ("a1", "a2", "b1")])
        >>> [(line.query, line.positives, line.negatives) for line in found]
        [('a1', ['a2'], ['b1']), ('a2', ['a1'], ['b1'])]
    """
    rng = np.random.default_rng(seed)
    classes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for given in texts:
        classes[given.task][given.label].append(given.text)
    others = {
        (task, label): [t for name, held in found.items() if name != label for t in held]
        for task, found in classes.items()
        for label in found
    }
    for (task, label), found in others.items():
        if not found:
            raise BadInput(f"task {task}: all texts are of the class {label!r}; give two or more")
    lines = []
    for given in texts:
        same = [text for text in classes[given.task][given.label] if text != given.text]
        if same:
            drawn = _drawn(same, answers, rng)
            against = _drawn(others[given.task, given.label], negatives, rng)
            lines.append(TrainingLine(given.text, drawn, against, given.task, "", [], given.label))
    return lines


def read_labelled_texts(path: Path) -> list[LabelledText]:
    """Read lines of ``{"text": "…", "label": "…", "task": "…"}``; without a task, the file's name is it.

    Raises:
        BadInput: when the file cannot be read, or a line is no labelled text; names file and line.
    """
    found = []
    for line in read_lines(path):
        if line.problem:
            raise BadInput(f"{path}:{line.number}: {line.problem}")
        if not line.text.strip():
            continue
        row = parse_object(line.text)
        text, label, task = row.get("text"), row.get("label"), row.get("task") or path.name
        if not isinstance(text, str) or not text.strip() or not isinstance(label, str | int):
            raise BadInput(
                f'{path}:{line.number}: a labelled text has a "text", and a "label" that is a text or an integer'
            )
        found.append(LabelledText(text, str(label), str(task)))
    return found


def _drawn(texts: list[str], most: int, rng: np.random.Generator) -> list[str]:
    return [texts[n] for n in rng.choice(len(texts), min(most, len(texts)), replace=False)]
