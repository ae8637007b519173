"""Retrieval with few labels: how often a model finds the sentence that answers, after learning from some questions.

The protocol of Chang et al. 2020 (arXiv 2002.03932) in the form of ReQA (Ahmad, Constant, Yang and Cer 2019, arXiv
1907.04780): what is searched are all sentences, each with the passage that it stands in; found is only the very
sentence. The paper splits questions; splitting passages, the default here, is stricter, since nothing learned is about
what is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.data.benchmarks.answer_spans import Answered
from polyvec.data.bm25 import BM25
from polyvec.data.leak_guard import refuse_leakage
from polyvec.data.passages import sentences
from polyvec.encoders.encoding import encode
from polyvec.errors import BadInput
from polyvec.training.equal_budget import EqualBudget, train_equally

SHARES = (0.01, 0.05, 0.8)
"""Of the questions to learn from; the paper's."""
DEPTHS = (1, 5, 10, 50, 100)
"""Recall is measured at these; the paper's."""
VALIDATION = 0.1
"""Of what is learned from so much is held out, to choose settings by; the paper's."""

Ranks = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SentenceSearch:
    """Questions, and the sentences that they are searched in.

    Attributes:
        queries: question id → text.
        candidates: candidate id → a sentence, and in the next line its passage.
        answers: question id → id of the candidate that answers.
        passages: question id → id of the passage that answers.
    """

    queries: Mapping[str, str]
    candidates: Mapping[str, str]
    answers: Mapping[str, str]
    passages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Questions:
    """Ids of the questions to learn from, to choose settings by, and to test with."""

    train: list[str]
    valid: list[str]
    test: list[str]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a model learns from labels; the paper's 2,000 steps of 512 questions are for a hundred times as many labels.

    Attributes:
        steps: of the optimiser.
        batch: questions in a step.
        learning_rate: the highest; the paper's 5e-5.
    """

    steps: int = 100
    batch: int = 32
    learning_rate: float = 5e-5


def sentence_search(passages: Mapping[str, str], questions: Sequence[Answered]) -> SentenceSearch:
    r"""Make every sentence of every passage a candidate; the one in which an answer begins is its question's.

    Args:
        passages: id → text.
        questions: for example of `polyvec.data.benchmarks.answer_spans.read_squad`.

    Raises:
        BadInput: when a question's passage is not there, or its answer begins outside of it.

    Example:
        >>> asked = [Answered("q", "Who came?", "p", 15)]
        >>> made = sentence_search({"p": "It was late. A cat came."}, asked)
        >>> made.candidates[made.answers["q"]]
        'A cat came.\nIt was late. A cat came.'
    """
    told = {id: _sentences(text) for id, text in passages.items()}
    # What a passage says twice is one candidate: no text tells the two apart.
    ids: dict[str, dict[str, str]] = {id: {} for id in passages}
    for id, found in told.items():
        for start, sentence in found:
            ids[id].setdefault(sentence, f"{id}/{start}")
    answers = {}
    for asked in questions:
        if not 0 <= asked.start < len(passages.get(asked.passage, "")):
            raise BadInput(
                f"question {asked.id!r}: passage {asked.passage!r} has no character {asked.start}"
            )
        first, *later = told[asked.passage]
        _, answering = next((part for part in reversed(later) if part[0] <= asked.start), first)
        answers[asked.id] = ids[asked.passage][answering]
    return SentenceSearch(
        {asked.id: asked.question for asked in questions},
        {
            candidate: f"{sentence}\n{passages[id]}"
            for id, named in ids.items()
            for sentence, candidate in named.items()
        },
        answers,
        {asked.id: asked.passage for asked in questions},
    )


def split_questions(
    data: SentenceSearch,
    share: float,
    split_by: Literal["passage", "question"] = "passage",
    seed: int = 0,
) -> Questions:
    """Divide the questions at random.

    Args:
        data: its questions.
        share: to learn from, a tenth of it to choose settings by; 0 tests with all.
        split_by: ``passage`` keeps the questions of a passage together; ``question`` is the paper's.
        seed: of the division.

    Raises:
        BadInput: when the share is not from 0 to below 1, or leaves nothing to learn from or to test with.
    """
    if not 0 <= share < 1:
        raise BadInput(f"a share of {share:g} to learn from: give 0 up to below 1, say 0.05")
    if split_by not in ("passage", "question"):
        raise BadInput(f"split_by={split_by!r}: give passage or question")
    unit = data.passages if split_by == "passage" else {id: id for id in data.queries}
    units = list(dict.fromkeys(unit.values()))
    order = [units[n] for n in np.random.default_rng(seed).permutation(len(units))]
    learned = round(share * len(units))
    if (share and not learned) or learned >= len(units):
        raise BadInput(
            f"a share of {share:g} of {len(units)} {split_by}s to learn from leaves none to learn from or to test "
            "with; give another share, or more questions"
        )
    valid = round(VALIDATION * learned)
    parts = [set(order[valid:learned]), set(order[:valid]), set(order[learned:])]
    refuse_leakage(parts[0] | parts[1], parts[2], f"{split_by}s of the test in training")
    return Questions(*([id for id in data.queries if unit[id] in part] for part in parts))


def answer_ranks(
    model: SentenceTransformer, data: SentenceSearch, questions: Sequence[str]
) -> Ranks:
    """Rank, from 1, of the answer of each question by the model's own similarity, shape (questions,).

    Candidates that score the same as the answer count as better: a model that cannot tell them apart finds nothing.
    """
    found = encode(model, list(data.candidates.values()), task="document")
    asked = encode(model, [data.queries[id] for id in questions], task="query")
    candidates = torch.from_numpy(found)
    number = {id: n for n, id in enumerate(data.candidates)}
    right = torch.tensor([number[data.answers[id]] for id in questions])
    ranks = [
        (scores >= scores.gather(1, own[:, None])).sum(dim=1)
        for block, own in zip(torch.from_numpy(asked).split(256), right.split(256), strict=True)
        for scores in [model.similarity(block, candidates)]
    ]
    return np.asarray(torch.cat(ranks).tolist(), np.int64)


def bm25_ranks(data: SentenceSearch, questions: Sequence[str]) -> Ranks:
    """The same by BM25; an answer that shares no word with its question comes last."""
    ids = list(data.candidates)
    index = BM25(list(data.candidates.values()))
    positions, scores = index.search([data.queries[id] for id in questions], len(ids))
    number = {id: n for n, id in enumerate(ids)}
    right = np.array([number[data.answers[id]] for id in questions])
    own = np.take_along_axis(scores, (positions == right[:, None]).argmax(axis=1)[:, None], axis=1)
    ranks = (scores >= own).sum(axis=1)
    return np.where(own[:, 0] > 0, ranks, len(ids)).astype(np.int64)


def recall(ranks: Ranks, depths: Sequence[int] = DEPTHS) -> dict[str, float]:
    """Share of the questions whose answer is among the first, for each depth.

    Example:
        >>> recall(np.array([1, 3, 12]), (1, 10))
        {'recall@1': 0.3333333333333333, 'recall@10': 0.6666666666666666}
    """
    return {f"recall@{k}": float((ranks <= k).mean()) for k in depths}


def learn_from(
    model: SentenceTransformer,
    objective: Callable[[SentenceTransformer], nn.Module],
    data: SentenceSearch,
    questions: Sequence[str],
    how: Tuning,
    seed: int,
) -> None:
    """Train a model on questions and the candidates that answer them; rows of one answer bear one label.

    Args:
        model: is changed.
        objective: built with the model; takes the columns question and candidate, and labels.
        data: holds the texts.
        questions: ids of those to learn from.
        how: sizes.
        seed: of the order of rows, and of dropout.
    """
    number = {id: n for n, id in enumerate(data.candidates)}
    train_equally(
        objective(model),
        [
            [data.queries[id] for id in questions],
            [data.candidates[data.answers[id]] for id in questions],
        ],
        EqualBudget(steps=how.steps),
        batch=how.batch,
        learning_rate=how.learning_rate,
        seed=seed,
        labels=[number[data.answers[id]] for id in questions],
    )


def few_label_benchmark(
    data: SentenceSearch,
    start: Callable[[int], SentenceTransformer],
    objective: Callable[[SentenceTransformer], nn.Module],
    *,
    name: str = "model",
    shares: Sequence[float] = SHARES,
    split_by: Literal["passage", "question"] = "passage",
    depths: Sequence[int] = DEPTHS,
    seeds: Sequence[int] = (0, 1, 2),
    how: Tuning | None = None,
) -> pd.DataFrame:
    """Judge a model, and BM25 on the same questions, after learning from shares of the questions.

    Args:
        data: for example of `sentence_search`.
        start: called with a seed, the model that learning starts from, anew each time.
        objective: what it learns with, built with the model: `Contrastive`.
        name: of the model in the table.
        shares: of the questions to learn from; 0 is without labels.
        split_by: what is divided.
        depths: of recall.
        seeds: of the division, and of learning.
        how: sizes of learning; `Tuning`'s own where None.

    Returns:
        A row for each system (the model and ``BM25``), share and seed, with the columns ``system``, ``share``,
        ``seed``, ``learned`` (questions), ``tested``, ``recall@k`` for each depth, and ``validation``, the recall at
        10 on the questions that were held out to choose settings by, not a number where there are none.
    """
    rows = []
    for share in shares:
        for seed in seeds:
            split = split_questions(data, share, split_by, seed)
            model = start(seed)
            if split.train:
                learn_from(model, objective, data, split.train, how or Tuning(), seed)
            asked = [*split.test, *split.valid]
            ranks = {name: answer_ranks(model, data, asked), "BM25": bm25_ranks(data, asked)}
            about = {"share": share, "seed": seed}
            counts = {"learned": len(split.train), "tested": len(split.test)}
            for system, found in ranks.items():
                tested, valid = np.split(found, [len(split.test)])
                chosen_by = recall(valid, (10,))["recall@10"] if len(valid) else float("nan")
                measured = {**recall(tested, depths), "validation": chosen_by}
                rows.append({"system": system, **about, **counts, **measured})
    return pd.DataFrame(rows)


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval (Student's t) over seeds of each recall in a table of `few_label_benchmark`.

    Returns:
        A row for each system, share and measure: ``mean``, ``low`` and ``high``, the latter two not a number with one
        seed.
    """
    measures = [column for column in table.columns if column.startswith("recall@")]
    long = table.melt(["system", "share"], measures, "measure")
    grouped = long.groupby(["system", "share", "measure"], sort=False)["value"]
    found = grouped.agg(["mean", "std", "count"]).reset_index()
    count = found.pop("count")
    half = found.pop("std") / np.sqrt(count) * student.ppf(0.975, count - 1)
    return found.assign(low=found["mean"] - half, high=found["mean"] + half)


def _sentences(text: str) -> list[tuple[int, str]]:
    """The sentences of a text, and where each begins."""
    found = []
    end = 0
    for sentence in sentences(text):
        start = text.index(sentence, end)
        end = start + len(sentence)
        found.append((start, sentence))
    return found
