"""Making an encoder a retriever out of raw documents, before any pair is learned: which objective, on which rows.

Paragraph tasks (Chang et al. 2020, arXiv:2002.03932), masked auto-encoding (RetroMAE, Xiao et al. 2022,
arXiv:2205.12035; DupMAE, Liu et al. 2023, arXiv:2305.02564; SMAE, Zhuang et al. 2024, arXiv:2410.13230), representative
words (PROP, Ma et al. 2021, arXiv:2010.10137), and masked language modelling, which all of them are compared with. The
objectives are in their own files; here stands what they have in common: rows from documents, a budget, a run that
continues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.console import console
from polyvec.data.documents import Document, load_documents, save_documents
from polyvec.data.passages import passages
from polyvec.data.sources import read_documents
from polyvec.encoders.loading import load, save
from polyvec.errors import BadInput
from polyvec.files import read_json, saying_when_full, write_json
from polyvec.objectives.own_weights import load_own_weights, save_own_weights
from polyvec.ranks import agreed, first_rank_first, join_ranks, rank, ranks
from polyvec.training.equal_budget import same_order
from polyvec.training.fine_tuning import fine_tune
from polyvec.training.stages import Stages, only_ranks_in
from polyvec.training.time_budget import Plan, measure_step, plan_steps

PARAGRAPH_TASKS = ("ict", "bfs", "wlp")
STAGES = ("read", "train")
FIRST_USE = {
    "corpus": "read",
    "text_column": "read",
    **dict.fromkeys(
        ("objective", "encoder", "minutes", "steps", "batch", "length", "learning_rate", "seed"),
        "train",
    ),
}
FEWEST_WORDS = 5
"""A passage with fewer teaches nothing."""
GAP_SCALE = 0.1
"""Gaps of representative words, of some 3 nats, beside cosines."""
PROBED = 3
"""Batches that are measured to know how many fit."""
PASSES = 20
"""Most often that pre-training sees a row: a corpus is small, and what is hidden or drawn differs each time."""


Make = Callable[[str, SentenceTransformer, Sequence[Document], int], "Lesson"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """An objective, built with its model, and the rows that it learns from."""

    objective: nn.Module
    rows: Dataset


def lesson(
    named: str, model: SentenceTransformer, documents: Sequence[Document], seed: int = 0
) -> Lesson:
    """An objective of pre-training on documents.

    Args:
        named: ``mlm``, ``retromae``, ``dupmae``, ``smae``, ``prop``, or paragraph tasks with commas
            between: ``ict,bfs,wlp``.
        model: what will be trained.
        documents: what it will learn from; code is passed over.
        seed: of what is drawn and hidden.

    Raises:
        BadInput: when no objective is called so, or the documents hold nothing for it.
    """
    refuse_unknown(named)
    make = WHOLE.get(named, _paragraph_tasks)
    found = make(named, model, documents, seed + rank())
    if not len(found.rows):
        raise BadInput(
            f"{len(documents)} documents hold nothing that {named} can learn from; give prose"
        )
    return found


def refuse_unknown(named: str) -> None:
    """Refuse a name that `lesson` does not know.

    Raises:
        BadInput: the sentence says which there are.
    """
    if named not in WHOLE and not set(named.split(",")) <= set(PARAGRAPH_TASKS):
        raise BadInput(
            f"no objective is called {named!r}; there are {', '.join(WHOLE)}, "
            f"and {', '.join(PARAGRAPH_TASKS)}, these with commas between"
        )


def learn(
    given: Lesson,
    folder: Path,
    *,
    minutes: float,
    steps: int | None,
    batch: int,
    learning_rate: float,
    seed: int,
) -> list[dict[str, float]]:
    """Train on a lesson for a number of minutes, or of steps; continue what was interrupted in ``folder``.

    Returns:
        The curve, as of `polyvec.training.fine_tuning.fine_tune`.
    """
    path = folder / "plan.json"
    if agreed(path.exists()):
        plan = Plan(**read_json(path))
    else:
        plan = _plan(given, minutes, steps, batch, seed)
        if rank() == 0:
            write_json(path, asdict(plan))
    return fine_tune(
        given.objective,
        _in_order(given.rows, plan.steps, batch * ranks(), seed),
        batch,
        folder,
        learning_rate=learning_rate,
        seconds_per_step=plan.seconds_per_step,
        seed=seed,
        seconds_allowed=60 * minutes if steps is None else float("inf"),
    )


def pretrain(
    objective: str,
    corpus: str | Path,
    *,
    encoder: str | Path = "minilm",
    minutes: float = 10.0,
    steps: int | None = None,
    batch: int = 64,
    length: int = 128,
    learning_rate: float = 1e-4,
    text_column: str | None = None,
    out: str | Path = "pretrained",
    device: str = "auto",
    seed: int = 0,
    restart: bool = False,
) -> Path:
    """Pre-train an encoder on raw documents: ``polyvec pretrain``.

    Under ``torchrun`` or ``accelerate launch`` every rank takes ``batch`` rows of a step.

    Args:
        objective: see `lesson`.
        corpus: documents, as `polyvec.adapt` takes them.
        encoder: the model to start from.
        minutes: wall-clock minutes of training; the steps that fit are measured.
        steps: train so many instead.
        batch: rows in a step of one rank.
        length: tokens of a text that are read.
        learning_rate: the highest; it rises over a tenth of the steps and falls to zero.
        text_column: the text's column in tables.
        out: folder; ``model`` in it is the encoder, ``curve.json`` the losses. The same call continues there.
        device: ``auto``, ``cpu``, ``cuda`` …
        seed: of everything random.
        restart: forget what an earlier run left in ``out``.

    Returns:
        The folder of the model.

    Raises:
        BadInput: when something given cannot be used; one sentence.
    """
    _refuse_impossible(objective, minutes, steps, batch, length)
    join_ranks(device)
    folder = Path(out)
    options: dict[str, str | int | float | bool | None] = {
        "objective": objective,
        "corpus": str(corpus),
        "encoder": str(encoder),
        "minutes": minutes,
        "steps": steps,
        "batch": batch,
        "length": length,
        "learning_rate": learning_rate,
        "text_column": text_column,
        "seed": seed,
    }
    with only_ranks_in(folder), saying_when_full(folder):
        with first_rank_first():
            stages = Stages(
                folder / "stages", STAGES, options, FIRST_USE, restart=restart and not rank()
            )
            read = stages.run(
                "read", lambda place: _read(str(corpus), text_column, place), f"Reading {corpus}"
            )
        if not stages.is_done("train"):
            model = load(encoder, device)
            reads = model.max_seq_length
            model.max_seq_length = min(length, reads or length)
            given = lesson(objective, model, load_documents(read / "documents.jsonl"), seed)
            load_own_weights(given.objective, Path(encoder))
            curve = learn(
                given,
                folder / "stages" / "train",
                minutes=minutes,
                steps=steps,
                batch=batch,
                learning_rate=learning_rate,
                seed=seed,
            )
            model.max_seq_length = reads
            if rank() == 0:
                save(model, folder / "model")
                save_own_weights(given.objective, folder / "model")
                write_json(folder / "curve.json", curve)
                stages.run("train", lambda place: None)
    return folder / "model"


def _refuse_impossible(
    objective: str, minutes: float, steps: int | None, batch: int, length: int
) -> None:
    refuse_unknown(objective)
    if not 0 < minutes < float("inf"):
        raise BadInput(f"--minutes {minutes:g}: give more than 0, say 10")
    if steps is not None and steps < 1:
        raise BadInput(f"--steps {steps}: give 1 or more")
    if batch < 2 or length < 8:
        raise BadInput(f"--batch {batch} --length {length}: give at least 2 rows and 8 tokens")


def _read(corpus: str, text_column: str | None, place: Path) -> None:
    reading = read_documents(corpus, text_column)
    save_documents(reading.documents, place / "documents.jsonl")
    write_json(place / "skipped.json", [asdict(skipped) for skipped in reading.skipped])


def _plan(given: Lesson, minutes: float, steps: int | None, batch: int, seed: int) -> Plan:
    probe = _in_order(given.rows, PROBED, batch, seed)
    seconds = agreed(measure_step(given.objective, probe, batch))
    most = max(1, PASSES * len(given.rows) // (batch * ranks()))
    plan = plan_steps(minutes, seconds, batch, most)
    plan = plan if steps is None else replace(plan, steps=steps)
    if rank() == 0:
        console.print(
            f"  {plan.steps} steps of {batch} rows, {seconds:.2f} s each", highlight=False
        )
    return plan


def _in_order(rows: Dataset, steps: int, batch: int, seed: int) -> Dataset:
    """Rows for so many steps: every row once, in random order, before any comes again."""
    numbers = islice(same_order(len(rows), batch, seed), steps)
    return rows.select(np.concatenate(list(numbers)))


def _texts(documents: Sequence[Document]) -> Dataset:
    """The prose of documents, a passage a row."""
    prose = (piece.text for piece in passages(documents) if piece.kind == "text")
    return Dataset.from_dict(
        {"text": [text for text in prose if len(text.split()) >= FEWEST_WORDS]}
    )


def _masked_language(
    named: str, model: SentenceTransformer, documents: Sequence[Document], seed: int
) -> Lesson:
    from polyvec.objectives.masked_language import MaskedLanguage

    return Lesson(MaskedLanguage(model, seed=seed), _texts(documents))


def _representative_words(
    named: str, model: SentenceTransformer, documents: Sequence[Document], seed: int
) -> Lesson:
    from polyvec.data.collection_statistics import CollectionStats, DocumentLM
    from polyvec.data.representative_words import RepresentativeWords, UnigramTerms
    from polyvec.objectives.representative_words import RepresentativeWordsLoss

    texts = list(_texts(documents)["text"])
    if len(texts) < 2:
        return Lesson(RepresentativeWordsLoss(model), Dataset.from_dict({}))
    source = UnigramTerms(DocumentLM(CollectionStats.build(texts)), texts)
    sets = list(RepresentativeWords(source, min_length=FEWEST_WORDS, seed=seed).pairs())
    rows = {
        "positive": [found.positive for found in sets],
        "negative": [found.negative for found in sets],
        "document": [texts[found.document] for found in sets],
        "label": [found.gap for found in sets],
    }
    return Lesson(RepresentativeWordsLoss(model, gap_scale=GAP_SCALE), Dataset.from_dict(rows))


def _masked_auto_encoding(
    named: str, model: SentenceTransformer, documents: Sequence[Document], seed: int
) -> Lesson:
    from polyvec.objectives.dupmae import DupMAE
    from polyvec.objectives.retromae import RetroMAE
    from polyvec.objectives.smae import SMAE

    made = {"retromae": RetroMAE, "dupmae": DupMAE, "smae": SMAE}[named]
    return Lesson(made(model, seed=seed), _texts(documents))


def _paragraph_tasks(
    named: str, model: SentenceTransformer, documents: Sequence[Document], seed: int
) -> Lesson:
    from polyvec.objectives.contrastive import Contrastive
    from polyvec.objectives.paragraph_mixture import PairMixture
    from polyvec.objectives.paragraph_tasks import BodyFirst, InverseCloze, LinkPrediction

    known = {task.name: task for task in (InverseCloze(), BodyFirst(), LinkPrediction())}
    asked = dict.fromkeys(named.split(","))
    # Every rank draws the same pairs and takes its own batches of them.
    drawn = PairMixture([known[name] for name in asked], seed=seed - rank()).draw(documents)
    return Lesson(Contrastive(model), drawn.to_dataset())


WHOLE: dict[str, Make] = {
    "mlm": _masked_language,
    "retromae": _masked_auto_encoding,
    "dupmae": _masked_auto_encoding,
    "smae": _masked_auto_encoding,
    "prop": _representative_words,
}
"""Objectives that are asked for alone; paragraph tasks are asked for together."""
