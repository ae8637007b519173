"""Questions whose answers are marked in a paragraph, in the JSON of SQuAD: SQuAD itself, XQuAD and their like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyvec.data.benchmarks.json_values import JsonValue, read_json_value


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, and where its answer stands.

    Attributes:
        id: of the question.
        question: in one line.
        passage: id of the paragraph.
        start: place of the answer's first character in the paragraph.
    """

    id: str
    question: str
    passage: str
    start: int


def read_squad(path: Path) -> tuple[Mapping[str, str], list[Answered]]:
    """Read a file in SQuAD's form; of several answers the first counts.

    Args:
        path: the file, maybe packed with gzip.

    Returns:
        Paragraphs by their ids, ``1`` and up in the file's order, and the questions; those without an answer (SQuAD 2)
        are left out.

    Raises:
        BadInput: when something is malformed, or an answer does not stand where the file says; the sentence names file
            and place.
    """
    passages: dict[str, str] = {}
    questions: dict[str, Answered] = {}
    articles = read_json_value(path).items("data")
    for paragraph in (part for article in articles for part in article.items("paragraphs")):
        passage = str(len(passages) + 1)
        passages[passage] = paragraph.text("context")
        for question in paragraph.items("qas"):
            id = question.text("id")
            if id in questions:
                raise question.wrong(f"id {id!r} is there a second time")
            for answer in question.items("answers")[:1]:
                asked = " ".join(question.text("question").split())
                start = _start(answer, passages[passage])
                questions[id] = Answered(id, asked, passage, start)
    return passages, list(questions.values())


def _start(answer: JsonValue, text: str) -> int:
    start = answer.whole("answer_start")
    if start < 0 or not text.startswith(answer.text("text"), start):
        raise answer.wrong(f"the paragraph does not say this at {start}")
    return start
