"""Complexity of data sets where people have them: BEIR folders, files of texts, documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from polyvec.console import track
from polyvec.data.beir import folder_judgements, is_beir_folder, read_beir_corpus
from polyvec.encoders.text_rows import read_rows
from polyvec.errors import BadInput
from polyvec.evaluation.complexity import MEASURES, profile
from polyvec.evaluation.complexity_solver import SAMPLE
from polyvec.evaluation.complexity_tasks import RetrievalTask, Task
from polyvec.evaluation.exam import Exam, judged_exam


def complexity_table(
    sources: Sequence[str], *, sample: int = SAMPLE, text_column: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """A row for each source, as `polyvec.evaluation.domain_gap.domain_gap` takes them.

    Args:
        sources: BEIR folders with queries and judgements, which are measured as retrieval; or texts as `polyvec.encode`
            takes them, without the measures that need a question.
        sample: most texts of each kind.
        text_column: the text's column in tables.
        seed: of the sample.

    Returns:
        The rows of `polyvec.evaluation.complexity.profile`. Measures that need a language that a source is not in are
        NaN; why stands in ``.attrs["n/a"]``.

    Raises:
        BadInput: when a source cannot be read.
    """
    rows: list[pd.DataFrame] = []
    absent: dict[str, str] = {}
    for source in track(sources, "measuring"):
        row = measured(_task(source, text_column), source, sample, seed)
        absent |= row.attrs["n/a"]
        rows.append(row)
    table = pd.concat(rows, ignore_index=True)
    table.attrs["n/a"] = absent
    return table


def measured(task: Task | Sequence[str], name: str, sample: int, seed: int) -> pd.DataFrame:
    """`profile`, without the measures that need English where the texts are not."""
    parts: list[pd.DataFrame] = []
    absent: dict[str, str] = {}
    for measure in MEASURES:
        try:
            part = profile(task, (measure,), sample, seed, dataset=name)
            absent |= part.attrs["n/a"]
        except BadInput as error:
            part = pd.DataFrame([{measure: float("nan")}])
            absent[measure] = str(error)
        parts.append(part.drop(columns=["dataset", "text_count"], errors="ignore"))
    table = pd.concat([pd.DataFrame({"dataset": [name]}), *parts], axis=1)
    table.attrs["n/a"] = absent
    return table


def exam_task(exam: Exam) -> RetrievalTask:
    """All of an exam's queries over all of its passages."""
    passages: dict[str, int] = {}
    queries, relevant = [], []
    for task in exam.tasks:
        for query, text in task.queries.items():
            found = [task.passages[id] for id in task.relevant[query]]
            relevant.append({passages.setdefault(answer, len(passages)) for answer in found})
            queries.append(text)
        for text in task.passages.values():
            passages.setdefault(text, len(passages))
    return RetrievalTask(queries, list(passages), relevant)


def read_csv(path: Path) -> pd.DataFrame:
    """A table with a header.

    Raises:
        BadInput: when the file is missing or no table.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: no CSV table ({error})") from None


def _task(source: str, text_column: str | None) -> Task | list[str]:
    folder = Path(source)
    if is_beir_folder(folder) and (judgements := folder_judgements(folder)):
        return exam_task(Exam([*judged_exam(read_beir_corpus(folder).documents, judgements).tasks]))
    return [text for text in read_rows(source, text_column).texts if text.strip()]
