"""The encoder of the experiment on progressive weights: where it starts, how it learns, how it does."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from torch import Tensor, nn

from polyvec.encoders.encoding import encode
from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.loading import load
from polyvec.evaluation.exam import Exam
from polyvec.files import write_bytes
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.progressive_weight import Curricular, ProgressiveWeight, Scheduled
from polyvec.recipes.measuring import code_digest
from polyvec.recipes.peg import CONSTANT, CURRICULAR, METRIC, REVERSED, SCHEDULED, UNIFORM
from polyvec.recipes.peg_data import asked, columns, learned, permuted
from polyvec.recipes.recipe import Metrics, Run, Scale
from polyvec.training.equal_budget import EqualBudget, train_equally

LAYERS = 3
"""Of MiniLM's six; the last of them begins anew."""
TEMPERATURE, MARGIN = 0.05, 0.1
"""Of every arm; negatives above their positive by more than the margin are masked in all of them."""
THIRDS = ("first", "middle", "last")


class Size(NamedTuple):
    """How large the experiment is.

    Attributes:
        rows: pairs that are learned from, at most.
        length: tokens of a text that are read.
        queries: that are asked.
        pool: functions that they are searched in.
        seen: rows that an arm sees in which batches are compared.
        batch: rows in a step where weights are compared.
        steps: where weights are compared.
        learning_rate: the highest, at ``batch`` rows, the best of four on held-out training rows; it goes with the
            square root of the rows in a step.
        whole: whether all layers are trained. Otherwise those below the last are computed once for each text, and
            the last is a dense layer over the mean of what they say.
    """

    rows: int
    length: int
    queries: int
    pool: int
    seen: int
    batch: int
    steps: int
    learning_rate: float
    whole: bool


SIZES: dict[Scale, Size] = {
    "cpu": Size(8192, 40, 1000, 4000, 20_480, 512, 150, 3e-3, whole=False),
    "gpu": Size(12_000, 64, 1000, 5000, 20_480, 512, 100, 2e-4, whole=True),
}


class KnownTexts(nn.Module):
    """Vectors of texts that are known beforehand, looked up: each text is one token.

    Args:
        texts: none of them twice.
        vectors: of the texts, shape (texts, d).
    """

    vectors: Tensor

    def __init__(self, texts: Sequence[str], vectors: Tensor) -> None:
        super().__init__()
        self._numbers = {text: number for number, text in enumerate(texts)}
        self.register_buffer("vectors", vectors)

    def preprocess(self, inputs: Sequence[str], **kwargs: Any) -> dict[str, Tensor]:
        """The number of each text, shape (texts, 1)."""
        numbers = torch.tensor([[self._numbers[text]] for text in inputs])
        return {"input_ids": numbers, "attention_mask": torch.ones_like(numbers)}

    def forward(self, features: dict[str, Tensor], **kwargs: Any) -> dict[str, Tensor]:
        """Add the vectors of the texts, shape (texts, d)."""
        return {**features, "sentence_embedding": self.vectors[features["input_ids"][:, 0]]}


def learn(
    run: Run, weighting: str = UNIFORM, *, rows: int | None = None, noisy: bool = False
) -> Metrics:
    """Train one arm and ask it: nDCG@10, and how the weights of its hard negatives went.

    Args:
        run: its seed is that of the last layer, of the order, and of which positives are permuted.
        weighting: of negatives.
        rows: in a step, of `Size.seen` in all; `Size.steps` steps of `Size.batch` rows where None.
        noisy: permute a share of the positives.
    """
    size = SIZES[run.scale]
    steps = size.seen // rows if rows else size.steps
    batch = rows or size.batch
    anchors, positives, *negatives = columns(size.rows)
    if noisy:
        positives = permuted(positives, run.seed)
    model = start(run)
    objective = Traced(
        Contrastive(
            model,
            TEMPERATURE,
            margin=MARGIN,
            progressive=_progressive(weighting, steps),
            recompute=size.whole,
        )
    ).to(run.device)
    losses = train_equally(
        objective,
        [anchors, positives, *negatives],
        EqualBudget(steps=steps),
        batch=batch,
        learning_rate=size.learning_rate * (batch / size.batch) ** 0.5,
        seed=run.seed,
        say=run.say,
    )
    found = Exam([asked(size.queries, size.pool)])(model)[METRIC.lower()]
    end = _mean(losses[-len(losses) // 3 :])
    return {METRIC: found, "loss, last third": end} | thirds(objective.steps)


class Traced(nn.Module):
    """An objective whose trace of every step is kept.

    Args:
        objective: has a ``model`` and a ``trace``.
    """

    def __init__(self, objective: Contrastive) -> None:
        super().__init__()
        self.objective = objective
        self.model = objective.model
        self.steps: list[dict[str, float]] = []

    def forward(self, features: list[dict[str, Any]], labels: Tensor | None = None) -> Tensor:
        """The loss of the objective."""
        loss: Tensor = self.objective(features, labels)
        self.steps.append(self.objective.trace)
        return loss


def thirds(steps: Sequence[Mapping[str, float]]) -> Metrics:
    """What was traced, each third of the training on its own; the weight of hard negatives over those there are."""
    found: Metrics = {"masked share": _mean([step["masked_share"] for step in steps])}
    for name, part in zip(THIRDS, np.array_split(np.arange(len(steps)), len(THIRDS)), strict=True):
        told = [steps[number] for number in part]
        for traced, shown in (("t", "t"), ("beta", "beta"), ("hard_share", "hard share")):
            if told and traced in told[0]:
                found[f"{shown}, {name} third"] = _mean([step[traced] for step in told])
        if told and "hard_weight" in told[0]:
            found[f"hard weight, {name} third"] = _hard_weight(told)
    return found


def _hard_weight(steps: Sequence[Mapping[str, float]]) -> float:
    """The mean weight of hard negatives of some steps; 1 where there is none, because nothing is changed."""
    shares = np.array([step["hard_share"] for step in steps])
    if not shares.any():
        return 1.0
    weights = np.nan_to_num([step["hard_weight"] for step in steps])
    return float(np.average(weights, weights=shares))


def start(run: Run) -> SentenceTransformer:
    """The encoder before it learns: the same for all arms of a seed."""
    size = SIZES[run.scale]
    if size.whole:
        return whole_encoder(run)
    texts, vectors = _known(run)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        dense = Dense(vectors.shape[1], vectors.shape[1], activation_function=nn.Tanh())
    return SentenceTransformer(modules=[KnownTexts(texts, vectors), dense], device=run.device)


def whole_encoder(run: Run) -> SentenceTransformer:
    """The first layers of MiniLM, the last of them anew."""
    model = first_layers(load("minilm", run.device), LAYERS, fresh=1, seed=run.seed)
    model.max_seq_length = SIZES[run.scale].length
    return model


def _known(run: Run) -> tuple[list[str], Tensor]:
    """All texts, and what the layers below the last say of each: the mean over its tokens."""
    size = SIZES[run.scale]
    given, test = learned(size.rows), asked(size.queries, size.pool)
    texts = list(
        dict.fromkeys(
            [
                *given.queries,
                *given.functions,
                *test.queries.values(),
                *test.passages.values(),
            ]
        )
    )
    place = run.cache / f"{run.scale}-{code_digest()}.npy"
    if not place.exists():
        run.say(f"reading {len(texts):,} texts")
        below = first_layers(load("minilm", run.device), LAYERS - 1)
        below.max_seq_length = size.length
        pooled = SentenceTransformer(modules=[below[0], below[1]], device=run.device)
        held = io.BytesIO()
        np.save(held, encode(pooled, texts, precision="float32"))
        write_bytes(place, held.getvalue())
    return texts, torch.from_numpy(np.load(place))


def _progressive(weighting: str, steps: int) -> ProgressiveWeight | None:
    """The weights of an arm, by its name."""
    made: dict[str, ProgressiveWeight | None] = {
        UNIFORM: None,
        CURRICULAR: Curricular(),
        SCHEDULED: Scheduled((-2.0, 5.0), steps),
        CONSTANT: Scheduled((5.0, 5.0)),
        REVERSED: Scheduled((5.0, -2.0), steps),
    }
    return made[weighting]


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers))
