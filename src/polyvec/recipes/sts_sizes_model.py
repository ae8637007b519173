"""One model in several sizes: where it starts, how each system trains it, how all its sizes are asked at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CoSENTLoss
from torch import nn
from torch.nn.functional import normalize

from polyvec.data.benchmarks.sentence_pairs import read_sick, read_stsb
from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.layer_vectors import LayerVectors
from polyvec.encoders.loading import load
from polyvec.evaluation.rank_correlation import spearman
from polyvec.files import read_json, write_json
from polyvec.objectives.chunked_embedding import embed_in_chunks
from polyvec.objectives.elastic import Elastic, elastic
from polyvec.objectives.elastic_schedule import AllLayers, FixedSizes
from polyvec.recipes.learned_texts import needed_root, text_fingerprint
from polyvec.recipes.measuring import code_digest
from polyvec.recipes.recipe import Metrics, Run, Scale, Source
from polyvec.recipes.sts_sizes import (
    BATCHES,
    CELLS,
    DEPTH,
    DIAGONAL,
    ESE,
    LAYERS,
    MRL,
    NO_KL,
    PLAIN,
    SRL,
    TWO_D,
    TWO_D_CODE,
    WIDTHS,
    Size,
    cell,
    summary,
    timed,
)
from polyvec.training.equal_budget import EqualBudget, train_equally

STSB, SICK = "STS-B", "SICK"
COMPRESSED = 64
"""Dimensions that ESE keeps."""
TIMED_LENGTH, TIMES = 64, 5
"""Tokens of a text where time is measured, and how often it is; the median counts."""
Cells = dict[str, dict[Size, float]]
"""Test → size → Spearman's correlation."""


class Budget(NamedTuple):
    """How large the experiments are.

    Attributes:
        length: tokens of a text that are read.
        batch: pairs in a step.
        learning_rate: the highest, one for all systems: the specification's.
        chunk_tokens: most padded tokens of a forward pass in training; sentences of like length go together.
        related: pairs of SICK that are asked.
    """

    length: int
    batch: int
    learning_rate: float
    chunk_tokens: int | None
    related: int


BUDGETS: dict[Scale, Budget] = {
    "cpu": Budget(32, 32, 5e-5, 512, 1000),
    "gpu": Budget(64, 32, 5e-5, None, 4927),
}


def system(run: Run, name: str, sizes: Sequence[Size], steps: int) -> Metrics:
    """Train one system and ask it.

    Args:
        run: its seed is that of the order, and of the sizes that are drawn.
        name: of the system, from `polyvec.recipes.sts_sizes`.
        sizes: that are asked.
        steps: of training.
    """
    if name == PLAIN:
        return summary({test: _only(cells, sizes) for test, cells in _plain(run, steps).items()})
    return summary(_asked(run, _trained(run, name, steps), sizes))


def separate(run: Run, sizes: Sequence[Size], steps: int) -> Metrics:
    """Train a model for each size, its layers cut before it learns anything, and ask each for its own size.

    Args:
        run: as in `system`.
        sizes: one model each. At the full size that is the plain model.
        steps: of each, as many as of any system.
    """
    found: Cells = {}
    for size in sizes:
        if size == (LAYERS, WIDTHS[-1]):
            one = _plain(run, steps)
        else:
            run.say(f"{cell(size)} alone")
            one = _asked(run, _alone(run, size, steps), [size])
        for test, cells in one.items():
            found.setdefault(test, {})[size] = cells[size]
    return summary(found)


def latency(run: Run) -> Metrics:
    """Milliseconds of a forward pass of models that were really cut, median of several."""
    found: Metrics = {}
    for layers in range(1, LAYERS + 1):
        model = first_layers(load("minilm", run.device), layers).eval()
        word = model.tokenizer.unk_token_id
        for rows in BATCHES:
            ids = torch.full((rows, TIMED_LENGTH), word, device=run.device)
            found[timed(layers, rows)] = _milliseconds(model, ids)
    return found


def sources() -> Mapping[str, Source]:
    """Fingerprints of what is learned from and asked."""
    parts = {
        "STS-B, train": _stsb()["train"],
        "STS-B, test": _stsb()["test"],
        "SICK, test": _sick(),
    }
    return {
        name: Source(text_fingerprint([*rows["sentence1"], *rows["sentence2"]]), len(rows))
        for name, rows in parts.items()
    }


def start(run: Run, layers: int) -> SentenceTransformer:
    """The first layers of MiniLM, as every system begins.

    Nothing is dropped at random: over so few steps it costs more time than it brings.
    """
    model = first_layers(load("minilm", run.device), layers)
    model.max_seq_length = BUDGETS[run.scale].length
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def objective(name: str, model: SentenceTransformer, seed: int) -> Elastic:
    """What a system minimises: CoSENT at the sizes that it trains."""
    base = CoSENTLoss(model)
    full = (LAYERS, WIDTHS[-1])
    fixed: dict[str, Sequence[Size]] = {
        PLAIN: [full],
        MRL: [(LAYERS, dim) for dim in WIDTHS],
        DEPTH: [(layer, WIDTHS[-1]) for layer in range(1, LAYERS + 1)],
        NO_KL: DIAGONAL,
    }
    if name in fixed:
        return Elastic(model, base, FixedSizes(fixed[name]))
    presets: dict[str, tuple[str, dict[str, Any]]] = {
        TWO_D: ("2dmse", {}),
        TWO_D_CODE: ("2dmse-code", {}),
        ESE: ("ese", {"schedule": AllLayers(COMPRESSED)}),
        SRL: ("starbucks", {"schedule": FixedSizes(DIAGONAL)}),
    }
    preset, changes = presets[name]
    return elastic(model, base, preset, seed=seed, **changes)


def grid(model: SentenceTransformer, sizes: Sequence[Size], tests: Mapping[str, Dataset]) -> Cells:
    """Spearman's correlation of cosines with people's scores, at every size from one forward pass.

    Args:
        model: whose layers are counted from 1; read as it is, in evaluation mode.
        sizes: layers and dimensions.
        tests: name → ``sentence1``, ``sentence2`` and ``score``.
    """
    layers = sorted({layer for layer, _ in sizes})
    texts = sorted({text for rows in tests.values() for text in _texts(rows)})
    place = {text: number for number, text in enumerate(texts)}
    reader: Any = LayerVectors(model.eval(), layers)
    features = {name: value.to(model.device) for name, value in _tensors(model, texts).items()}
    with torch.no_grad():
        read = embed_in_chunks(reader, features)
    by_layer = dict(zip(layers, read.chunk(len(layers), dim=1), strict=True))
    found: Cells = {test: {} for test in tests}
    for layer, dim in sizes:
        vectors = normalize(by_layer[layer][:, :dim], dim=1)
        for test, rows in tests.items():
            left, right = (
                vectors[[place[text] for text in rows[column]]]
                for column in ("sentence1", "sentence2")
            )
            cosines = (left * right).sum(dim=1).double().cpu().numpy()
            scores: NDArray[np.float64] = np.array(rows["score"])
            found[test][layer, dim] = float(spearman(cosines[None], scores[None])[0])
    return found


def _trained(run: Run, name: str, steps: int) -> SentenceTransformer:
    model = start(run, LAYERS)
    _learn(run, objective(name, model, run.seed), steps)
    return model


def _alone(run: Run, size: Size, steps: int) -> SentenceTransformer:
    """A model of so many layers, which learns at one width only."""
    model = start(run, size[0])
    whole = float(size[1] == WIDTHS[-1])
    given = Elastic(model, CoSENTLoss(model), FixedSizes([size]), full_weight=whole)
    _learn(run, given, steps)
    return model


def _learn(run: Run, given: Elastic, steps: int) -> None:
    budget, rows = BUDGETS[run.scale], _stsb()["train"]
    given.chunk_tokens = budget.chunk_tokens
    train_equally(
        given,
        [list(rows["sentence1"]), list(rows["sentence2"])],
        EqualBudget(steps=steps),
        batch=budget.batch,
        learning_rate=budget.learning_rate,
        seed=run.seed,
        labels=list(rows["score"]),
        say=run.say,
    )


def _asked(run: Run, model: SentenceTransformer, sizes: Sequence[Size]) -> Cells:
    count = BUDGETS[run.scale].related
    sick = _sick()
    related = sick.select(range(min(count, len(sick))))
    return grid(model, sizes, {STSB: _stsb()["test"], SICK: related})


def _plain(run: Run, steps: int) -> Cells:
    """The plain model at all sizes; it is also the separate model of the full size, and trained once."""
    path = run.cache / f"{run.scale}-{code_digest()}-plain-{run.seed}.json"
    if not path.exists():
        found = _asked(run, _trained(run, PLAIN, steps), CELLS)
        told = {
            test: [[*size, value] for size, value in cells.items()] for test, cells in found.items()
        }
        write_json(path, told)
    return {
        test: {(layer, dim): value for layer, dim, value in cells}
        for test, cells in read_json(path).items()
    }


def _only(cells: Mapping[Size, float], sizes: Sequence[Size]) -> dict[Size, float]:
    return {size: cells[size] for size in sizes}


@torch.no_grad()
def _milliseconds(model: SentenceTransformer, ids: torch.Tensor) -> float:
    taken = []
    for _ in range(TIMES + 1):
        begun = time.perf_counter()
        read = model({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        # Reading a number waits for an accelerator.
        float(read["sentence_embedding"][0, 0])
        taken.append(1000 * (time.perf_counter() - begun))
    return float(np.median(taken[1:]))


def _texts(rows: Dataset) -> list[str]:
    return [*rows["sentence1"], *rows["sentence2"]]


def _tensors(model: SentenceTransformer, texts: Sequence[str]) -> dict[str, torch.Tensor]:
    features = model.preprocess(list(texts))
    return {name: value for name, value in features.items() if isinstance(value, torch.Tensor)}


@cache
def _stsb() -> Mapping[str, Dataset]:
    return read_stsb(needed_root())


@cache
def _sick() -> Dataset:
    return read_sick(needed_root())["test"]
