"""Hard negatives for a file of training examples: ``polyvec mine``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from polyvec.data.text_lines import read_lines
from polyvec.data.training_lines import TrainingLine, read_training_lines
from polyvec.encoders.loading import load
from polyvec.errors import BadInput
from polyvec.files import write_json, write_text
from polyvec.training.hybrid_teacher import HybridTeacher
from polyvec.training.negative_mining import NONE, Mined, MiningReport, mine_hard_negatives
from polyvec.training.rankers import DenseRanker, LexicalRanker, Ranker

BM25_NAME = "bm25"
"""In place of a model: rank by words."""
HYBRID = "hybrid:"
"""Before a model's name: rank by words and by the model together."""


def mine_file(
    model: str,
    examples: Path,
    out: Path,
    *,
    corpus: Path | None = None,
    ranks: tuple[int, int] = (10, 100),
    n: int = 7,
    rule: Literal["ratio", "margin"] | None = "ratio",
    value: float = 0.95,
    consistency_topk: int | None = None,
    index: Literal["flat", "hnsw"] = "flat",
    device: str = "auto",
    seed: int = 0,
) -> MiningReport:
    """Give every example hard negatives, and the ranker's scores of its texts.

    Args:
        model: what `polyvec.load` opens; ``bm25``; or ``hybrid:`` and a model, for a `HybridTeacher` of both.
        examples: JSON lines with ``query`` and ``pos``; negatives that stand there already are kept, first.
        out: JSON lines with ``neg`` and ``teacher_scores``; the report stands beside it, ``.report.json`` at its end.
            Queries that ranking consistency leaves out are not in it.
        corpus: a text a line, searched beside all texts of the examples.
        ranks: see `polyvec.training.negative_mining.mine_hard_negatives`, as for what follows.
        n: negatives of a query.
        rule: how near to the positive a negative may score.
        value: of the rule.
        consistency_topk: rank that the positive has to reach.
        index: ``flat`` or ``hnsw``.
        device: of the model.
        seed: of what is random.

    Returns:
        What was dropped, and why.

    Raises:
        BadInput: when a file cannot be read, holds nothing, or nothing is left of the candidates.
    """
    lines = list(read_training_lines(examples))
    if not lines:
        raise BadInput(f"{examples}: no example in it; give lines with query and pos")
    texts = _texts(lines, corpus)
    numbers = {text: number for number, text in enumerate(texts)}
    rank = _ranker(model, texts, index, device)
    mined = mine_hard_negatives(
        rank,
        [line.query for line in lines],
        [[numbers[text] for text in line.positives] for line in lines],
        texts,
        ranks=ranks,
        n=n,
        rule=rule,
        value=value,
        consistency_topk=consistency_topk,
        seed=seed,
    )
    _write(lines, texts, numbers, mined, rank, out)
    write_json(out.with_name(out.name + ".report.json"), asdict(mined.report))
    return mined.report


def _ranker(
    model: str, texts: Sequence[str], index: Literal["flat", "hnsw"], device: str
) -> Ranker:
    if model == BM25_NAME:
        return LexicalRanker(texts)
    if not model.startswith(HYBRID):
        return DenseRanker(load(model, device), texts, index)
    if index != "flat":
        raise BadInput(f"{model} with index {index!r}: a hybrid ranker has flat only")
    return HybridTeacher(texts, load(model.removeprefix(HYBRID), device))


def _texts(lines: Sequence[TrainingLine], corpus: Path | None) -> list[str]:
    """All texts, each once."""
    found = dict.fromkeys(text for line in lines for text in (*line.positives, *line.negatives))
    for line in read_lines(corpus) if corpus else ():
        if line.problem:
            raise BadInput(f"{corpus}:{line.number}: {line.problem}")
        if line.text.strip():
            found[line.text.strip()] = None
    return list(found)


def _write(
    lines: Sequence[TrainingLine],
    texts: Sequence[str],
    numbers: dict[str, int],
    mined: Mined,
    rank: Ranker,
    out: Path,
) -> None:
    kept = [line for line, stays in zip(lines, mined.kept, strict=True) if stays]
    negatives = [
        list(dict.fromkeys([*line.negatives, *(texts[number] for number in ids if number >= 0)]))
        for line, ids in zip(kept, mined.negatives[mined.kept].tolist(), strict=True)
    ]
    groups = [[*line.positives, *wrong] for line, wrong in zip(kept, negatives, strict=True)]
    ids = np.full((len(groups), max(map(len, groups), default=0)), NONE, np.int64)
    for number, group in enumerate(groups):
        ids[number, : len(group)] = [numbers[text] for text in group]
    # All at once, because a model encodes many queries faster than one after the other.
    scores = rank.scores([line.query for line in kept], ids).astype(float).tolist()
    written = []
    for line, wrong, own in zip(kept, negatives, scores, strict=True):
        row = {"query": line.query, "pos": line.positives, "neg": wrong, "task": line.task}
        if line.instruction:
            row["instruction"] = line.instruction
        row["teacher_scores"] = own[: len(line.positives) + len(wrong)]
        written.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text(out, "".join(written))
