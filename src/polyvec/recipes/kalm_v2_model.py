"""The encoders of the experiment on KaLM-Embedding-V2: a language model's first layers, and what goes on from them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from torch import nn

from polyvec.encoders.decoder import DecoderPooling, decoder_encoder
from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load, save
from polyvec.evaluation.exam import Exam
from polyvec.files import put_in_place, write_bytes
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.recipes.kalm_v2 import METRIC, NARROW, TRUNCATED
from polyvec.recipes.measuring import code_digest
from polyvec.recipes.peg_data import asked, learned
from polyvec.recipes.peg_model import KnownTexts, Traced
from polyvec.recipes.recipe import Metrics, Run, Scale
from polyvec.training.equal_budget import EqualBudget, train_equally
from polyvec.training.negative_mining import mine_hard_negatives
from polyvec.training.rankers import DenseRanker

FIRST_TEMPERATURE, TEMPERATURE, MARGIN = 0.05, 0.02, 0.1
"""Of attention's arms and of the terms' arms; and, in all of them, above which difference a negative is masked."""
NEGATIVES, RANKS = 7, (5, 50)


class Size(NamedTuple):
    """How large the experiment is.

    Attributes:
        layers: of SmolLM2; None for all 30.
        rows: pairs that are learned from.
        length: tokens of a text that are read.
        queries: that are asked.
        pool: functions that they are searched in.
        batch: rows in a step where attention is compared.
        steps: there.
        learning_rate: there, the highest; the best on held-out training rows, one for all arms.
        tuned_batch: rows in a step where terms are compared.
        tuned_steps: there.
        tuned_rate: there.
        whole: whether terms train the whole encoder. Otherwise it is read once, and what learns is a dense layer
            above it that begins as the identity.
    """

    layers: int | None
    rows: int
    length: int
    queries: int
    pool: int
    batch: int
    steps: int
    learning_rate: float
    tuned_batch: int
    tuned_steps: int
    tuned_rate: float
    whole: bool


SIZES: dict[Scale, Size] = {
    "cpu": Size(2, 3000, 32, 400, 1000, 32, 45, 1e-3, 128, 100, 3e-3, whole=False),
    "gpu": Size(None, 12_000, 128, 1000, 4000, 256, 300, 1e-4, 64, 150, 2e-5, whole=True),
}


def attention(run: Run, pooling: DecoderPooling, *, bidirectional: bool) -> Metrics:
    """Train one way to see and to pool, and ask it.

    Args:
        run: its seed is that of the order.
        pooling: of the states.
        bidirectional: without the causal mask.
    """
    size = SIZES[run.scale]
    model, losses = _trained(run, pooling, bidirectional=bidirectional)
    if bidirectional and pooling == "mean":
        _keep(model, _checkpoint(run))
    return _asked(run, model) | {"loss, last third": float(np.mean(losses[-size.steps // 3 :]))}


def term(
    run: Run, *, focal: bool = False, mixed: bool = False, matryoshka: bool = False
) -> Metrics:
    """Go on from the bidirectional encoder with mined negatives and some terms, and ask it.

    Args:
        run: its seed is that of the encoder, the order and the mixing.
        focal: weigh rows by how hard they are.
        mixed: make negatives of negatives.
        matryoshka: learn several widths.
    """
    size = SIZES[run.scale]
    model = _start(run)
    objective = Traced(
        Contrastive(
            model,
            TEMPERATURE,
            margin=MARGIN,
            focal=FocalWeight() if focal else None,
            mixing=NegativeMixing(seed=run.seed) if mixed else None,
            matryoshka=Matryoshka() if matryoshka else None,
        )
    ).to(run.device)
    losses = train_equally(
        objective,
        _columns(run, _start(run)),
        EqualBudget(steps=size.tuned_steps),
        batch=size.tuned_batch,
        learning_rate=size.tuned_rate,
        seed=run.seed,
        say=run.say,
    )
    found = {"loss, last third": float(np.mean(losses[-len(losses) // 3 :]))}
    third = len(objective.steps) // 3 or 1
    for name in ("focal_weight", "mixed_dropped"):
        told = [step[name] for step in objective.steps if name in step]
        if told:
            found[f"{name.replace('_', ' ')}, first third"] = float(np.mean(told[:third]))
            found[f"{name.replace('_', ' ')}, last third"] = float(np.mean(told[-third:]))
    return _asked(run, model) | found


def _trained(
    run: Run, pooling: DecoderPooling, *, bidirectional: bool
) -> tuple[SentenceTransformer, list[float]]:
    size = SIZES[run.scale]
    given = learned(size.rows)
    model = decoder_encoder(
        "smollm2",
        pooling=pooling,
        bidirectional=bidirectional,
        layers=size.layers,
        max_length=size.length,
    ).to(run.device)
    losses = train_equally(
        Contrastive(model, FIRST_TEMPERATURE, margin=MARGIN, recompute=size.whole),
        [given.queries, given.functions],
        EqualBudget(steps=size.steps),
        batch=size.batch,
        learning_rate=size.learning_rate,
        seed=run.seed,
        say=run.say,
    )
    return model, losses


def _asked(run: Run, model: SentenceTransformer) -> Metrics:
    """nDCG@10 of whole vectors, and of their first numbers alone."""
    size = SIZES[run.scale]
    exam = Exam([asked(size.queries, size.pool)])
    found = {METRIC: exam(model)[METRIC.lower()]}
    model.truncate_dim = NARROW
    found[TRUNCATED] = exam(model)[METRIC.lower()]
    model.truncate_dim = None
    return found


def _checkpoint(run: Run) -> Path:
    return run.cache / f"{run.scale}-{run.seed}-{code_digest()}"


def _keep(model: SentenceTransformer, folder: Path) -> None:
    if not folder.exists():
        beside = folder.with_name(f"{folder.name}-being-written")
        save(model, beside)
        put_in_place(beside, folder, "modules.json")


def _encoder(run: Run) -> SentenceTransformer:
    """The bidirectional encoder of the seed, as its arm left it."""
    place = _checkpoint(run)
    if not place.exists():
        run.say("training the bidirectional encoder first")
        _keep(_trained(run, "mean", bidirectional=True)[0], place)
    return load(place, run.device)


def _start(run: Run) -> SentenceTransformer:
    """Where the terms' arms of a seed begin: all alike."""
    if SIZES[run.scale].whole:
        return _encoder(run)
    texts, vectors = _known(run)
    dense = Dense(vectors.shape[1], vectors.shape[1], activation_function=nn.Identity())
    with torch.no_grad():
        dense.linear.weight.copy_(torch.eye(vectors.shape[1]))
        dense.linear.bias.zero_()
    return SentenceTransformer(modules=[KnownTexts(texts, vectors), dense], device=run.device)


def _known(run: Run) -> tuple[list[str], torch.Tensor]:
    """All texts, and what the bidirectional encoder says of each."""
    size = SIZES[run.scale]
    given, test = learned(size.rows), asked(size.queries, size.pool)
    texts = list(
        dict.fromkeys(
            [*given.queries, *given.functions, *test.queries.values(), *test.passages.values()]
        )
    )
    place = _checkpoint(run).with_suffix(".npy")
    if not place.exists():
        run.say(f"reading {len(texts):,} texts")
        held = io.BytesIO()
        np.save(held, encode(_encoder(run), texts, precision="float32"))
        write_bytes(place, held.getvalue())
    return texts, torch.from_numpy(np.load(place))


def _columns(run: Run, model: SentenceTransformer) -> list[Sequence[str]]:
    """The pairs that are learned from, with negatives that the start itself takes for answers."""
    given = learned(SIZES[run.scale].rows)
    return [given.queries, given.functions, *_negatives(run.seed, run.scale, model)]


_MINED: dict[tuple[int, Scale], list[list[str]]] = {}


def _negatives(seed: int, scale: Scale, model: SentenceTransformer) -> list[list[str]]:
    if (seed, scale) not in _MINED:
        given = learned(SIZES[scale].rows)
        mined = mine_hard_negatives(
            DenseRanker(model, given.functions),
            given.queries,
            [[row] for row in range(len(given.queries))],
            given.functions,
            ranks=RANKS,
            n=NEGATIVES,
            fill="random",
            seed=seed,
        )
        _MINED[seed, scale] = [
            [given.functions[number] for number in column] for column in mined.negatives.T
        ]
    return _MINED[seed, scale]
