"""Pairs of sentences, and how people judged them: how alike, what follows from what, the same question or not."""

from __future__ import annotations

from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Value

from polyvec.data.benchmarks.files import stored
from polyvec.data.benchmarks.json_values import read_json_value
from polyvec.data.benchmarks.rows import Row, csv_rows, line_rows, tabs

_STSB = ("genre", "file", "year", "number", "score", "sentence1", "sentence2")
_SICK = ("sentence_A", "sentence_B", "relatedness_score", "entailment_judgment")
_SICK_FILES = {"train": "train", "trial": "trial", "test": "test_annotated"}
_ENTAILMENT = ["NEUTRAL", "ENTAILMENT", "CONTRADICTION"]
_PAIR = {"sentence1": Value("string"), "sentence2": Value("string")}


def read_stsb(root: Path) -> dict[str, Dataset]:
    r"""The STS benchmark: how alike two sentences are.

    Cer, Diab, Agirre, Lopez-Gazpio, Specia (2017): SemEval-2017 Task 1, arXiv:1708.00055.

    Args:
        root: holds ``stsb/sts-train.csv``, ``sts-dev.csv`` and ``sts-test.csv``, which are tables
            with tabs in spite of their names; some rows end in two columns about the source.

    Returns:
        ``train``, ``dev`` and ``test`` (5,749, 1,500 and 1,379 pairs) with the columns
        ``sentence1``, ``sentence2`` and ``score``, 0 (about different things) to 5 (the same).

    Raises:
        MissingData: when a file is not there.
        BadInput: naming file and line when a row is malformed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "stsb").mkdir()
        ...     for name in ("train", "dev", "test"):
        ...         line = "captions\tMSRvid\t2012\t1\t4.5\tA plane takes off.\tA plane departs."
        ...         _ = Path(folder, "stsb", f"sts-{name}.csv").write_text(line)
        ...     read_stsb(Path(folder))["dev"][0]
        {'sentence1': 'A plane takes off.', 'sentence2': 'A plane departs.', 'score': 4.5}
    """
    return {name: _stsb(stored(root, f"stsb/sts-{name}.csv")) for name in ("train", "dev", "test")}


def read_sick(root: Path) -> dict[str, Dataset]:
    """SICK, sentences involving compositional knowledge: how related, and what follows from what.

    Marelli, Menini, Baroni, Bentivogli, Bernardi, Zamparelli (2014): A SICK cure for the evaluation
    of compositional distributional semantic models, LREC.

    Args:
        root: holds ``sick/SICK_train.txt``, ``SICK_trial.txt`` and ``SICK_test_annotated.txt``.

    Returns:
        ``train``, ``trial`` and ``test`` (4,500, 500 and 4,927 pairs) with the columns
        ``sentence1``, ``sentence2``, ``score``, 1 (unrelated) to 5, and ``label`` (NEUTRAL,
        ENTAILMENT, CONTRADICTION) of the second sentence given the first.

    Raises:
        MissingData: when a file is not there.
        BadInput: naming file and line when a row is malformed.
    """
    return {
        split: _sick(stored(root, f"sick/SICK_{name}.txt")) for split, name in _SICK_FILES.items()
    }


def read_covid_question_pairs(root: Path) -> Dataset:
    """Pairs of questions about COVID-19, and whether they ask the same.

    Part of deepset's COVID-QA repository (2020), where it judged a search in FAQs.

    Args:
        root: holds ``covid-faq/eval_question_similarity_en.csv``.

    Returns:
        488 pairs with the columns ``sentence1``, ``sentence2`` and ``label``, 1 for the same; half
        of them are.

    Raises:
        MissingData: when the file is not there.
        BadInput: naming file and line when a row is malformed.
    """
    path = stored(root, "covid-faq/eval_question_similarity_en.csv")
    rows = csv_rows(path, ("question_1", "question_2", "similar"))
    columns = {
        "sentence1": [row.text("question_1") for row in rows],
        "sentence2": [row.text("question_2") for row in rows],
        "label": [row.one_of("similar", ("0", "1")) for row in rows],
    }
    return Dataset.from_dict(columns, features=Features(**_PAIR, label=Value("int64")))


def read_cosqa_pairs(root: Path) -> Dataset:
    """CoSQA's dev part: web queries with Python functions, and whether these answer them.

    Huang, Tang, Shou, Gong, Xu, Jiang, Zhou, Duan (2021): CoSQA: 20,000+ Web Queries for Code
    Search and Question Answering, arXiv:2105.13239.

    Args:
        root: holds ``cosqa/cosqa-dev.json``.

    Returns:
        604 pairs with the columns ``query``, ``code`` and ``label``, 1 where the function answers.

    Raises:
        MissingData: when the file is not there.
        BadInput: naming file and place when a pair is malformed.
    """
    pairs = read_json_value(stored(root, "cosqa/cosqa-dev.json")).items()
    columns = {
        "query": [pair.text("doc").strip() for pair in pairs],
        "code": [pair.text("code") for pair in pairs],
        "label": [pair.zero_or_one("label") for pair in pairs],
    }
    features = Features(query=Value("string"), code=Value("string"), label=Value("int64"))
    return Dataset.from_dict(columns, features=features)


def _stsb(path: Path) -> Dataset:
    rows = line_rows(path, _STSB, lambda line: tabs(line)[: len(_STSB)])
    columns = _scored(rows, "sentence1", "sentence2", "score", 0)
    return Dataset.from_dict(columns, features=Features(**_PAIR, score=Value("float64")))


def _sick(path: Path) -> Dataset:
    rows = line_rows(path, _SICK, tabs, header=True)
    columns = _scored(rows, *_SICK[:3], lowest=1)
    labels = [row.one_of(_SICK[3], _ENTAILMENT) for row in rows]
    features = Features(**_PAIR, score=Value("float64"), label=ClassLabel(names=_ENTAILMENT))
    return Dataset.from_dict({**columns, "label": labels}, features=features)


def _scored(
    rows: list[Row], first: str, second: str, score: str, lowest: float
) -> dict[str, list[str] | list[float]]:
    return {
        "sentence1": [row.text(first) for row in rows],
        "sentence2": [row.text(second) for row in rows],
        "score": [row.number(score, lowest, 5) for row in rows],
    }
