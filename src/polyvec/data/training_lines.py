"""Training examples in JSON lines: a query, what answers it, what does not, and of which task it is.

A line is ``{"query": "…", "pos": ["…"], "neg": ["…"], "task": "…", "instruction": "…", "teacher_scores": […]}``, as
FlagEmbedding and KaLM-Embedding have it; only ``query`` and ``pos`` are needed. Files may be compressed with gzip.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyvec.data.text_lines import parse_object, read_lines
from polyvec.errors import BadInput

_TASK = "all"
"""Of lines that name no task."""


@dataclass(frozen=True, slots=True)
class TrainingLine:
    """One example.

    Attributes:
        query: what is asked.
        positives: texts that answer it; one or more.
        negatives: texts that do not.
        task: lines of one task may stand in one batch.
        instruction: said before the query; may be empty.
        teacher_scores: of all positives and then all negatives; empty where no teacher has scored.
        label: the query's class; queries of one class never stand against each other's answers. Empty for none.
    """

    query: str
    positives: list[str]
    negatives: list[str]
    task: str
    instruction: str
    teacher_scores: list[float]
    label: str = ""


def read_training_lines(path: Path) -> Iterator[TrainingLine]:
    """Read examples, one in memory at a time; empty lines are passed over.

    Args:
        path: a ``.jsonl`` file, or one compressed with gzip.

    Raises:
        BadInput: when the file cannot be read, or a line is not such an example; names file and line.
    """
    for line in read_lines(path):
        if line.problem:
            raise BadInput(f"{path}:{line.number}: {line.problem}")
        if line.text.strip():
            try:
                yield _example(parse_object(line.text))
            except BadInput as error:
                raise BadInput(f"{path}:{line.number}: {error}") from None


def probe_columns(path: Path) -> dict[str, list[list[str]]]:
    """Examples as a probe of `polyvec.merge`: task → queries, and the first positive of each.

    Raises:
        BadInput: when the file holds no example, or a line cannot be read.
    """
    found: dict[str, list[list[str]]] = defaultdict(lambda: [[], []])
    for line in read_training_lines(path):
        queries, answers = found[line.task]
        queries.append(line.query)
        answers.append(line.positives[0])
    if not found:
        raise BadInput(f"{path}: no example in it; give lines with query and pos")
    return dict(found)


def _example(row: dict[str, Any]) -> TrainingLine:
    query = row.get("query")
    if not isinstance(query, str) or not query.strip():
        raise BadInput('no "query"; give a text')
    positives, negatives = _texts(row, "pos"), _texts(row, "neg")
    if not positives:
        raise BadInput('no "pos"; give a list of one text or more that answer the query')
    scores = row.get("teacher_scores") or []
    if not isinstance(scores, list) or not all(
        isinstance(score, int | float) and not isinstance(score, bool) for score in scores
    ):
        raise BadInput('"teacher_scores" are no list of numbers')
    if scores and len(scores) != len(positives) + len(negatives):
        raise BadInput(
            f'{len(scores)} "teacher_scores" of {len(positives) + len(negatives)} texts; give one for each of "pos" '
            'and then of "neg"'
        )
    task, instruction = row.get("task") or _TASK, row.get("instruction") or ""
    if not isinstance(task, str) or not isinstance(instruction, str):
        raise BadInput('"task" and "instruction" are texts')
    return TrainingLine(query, positives, negatives, task, instruction, [float(s) for s in scores])


def _texts(row: dict[str, Any], name: str) -> list[str]:
    found = row.get(name) or []
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
        raise BadInput(f'"{name}" is no list of texts, or one of them is empty')
    return texts
