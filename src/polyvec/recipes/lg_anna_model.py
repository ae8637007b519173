"""The students and the teacher of the experiments on LG-ANNA: how they begin, learn and are asked."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from polyvec.encoders.decoder import decoder_encoder
from polyvec.encoders.encoding import encode
from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.in_context import encode_after_prompt, with_examples
from polyvec.encoders.loading import load
from polyvec.evaluation.exam import Exam
from polyvec.files import write_bytes
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.soft_labels import SoftLabels
from polyvec.recipes.learned_texts import text_fingerprint
from polyvec.recipes.lg_anna import ACCURACY, FALSE, METRIC
from polyvec.recipes.lg_anna_data import (
    TASK,
    Intents,
    demonstrations,
    intents,
    planted,
    prompted,
)
from polyvec.recipes.measuring import code_digest
from polyvec.recipes.peg_data import asked, learned
from polyvec.recipes.peg_model import KnownTexts
from polyvec.recipes.recipe import Metrics, Run, Scale
from polyvec.training.equal_budget import EqualBudget, train_equally
from polyvec.training.hybrid_teacher import WEIGHT, HybridTeacher, calibrate_temperature
from polyvec.training.negative_mining import mine_hard_negatives
from polyvec.training.rankers import DenseRanker

Mining = Literal["naive", "margin", "ratio", "random"]

NEGATIVES, DEPTH = 7, 100
"""Of a query, and the rank down to which they are taken."""
RATIO, MARGIN = 0.95, 0.05
LAYERS = 3
"""Of MiniLM's six, in the student; the last of them begins anew."""
TEMPERATURE = 0.05
"""Of every student, against hard labels and soft ones."""
ENTROPY = 0.5
"""Share of the greatest entropy that a teacher's probabilities get."""
NEAREST = 5
"""Neighbours that decide about an intent."""
DRAWS = 3
"""Choices of examples that accuracies are the mean of."""
SHOWN = (0, 1, 5)
_READ, _EXAMPLE = 256, 32
"""Tokens that the decoder reads, and of each side of an example."""


class Size(NamedTuple):
    """How large the experiments are.

    Attributes:
        rows: pairs of docstring and function that are learned from.
        length: tokens of a text that students and teacher read.
        queries: that are asked.
        pool: functions that they are searched in.
        batch: rows in a step of a student.
        steps: of a student.
        learning_rate: of a student, the highest; on the cpu the best of 0.0003, 0.001, 0.003 and 0.01 on held-out
            training rows, for hard labels and with either of the nearest negatives and those below the ratio.
        whole: whether all layers of the student are trained. Otherwise those below the last are computed once for
            each text, and the last is a dense layer over the mean of what they say.
        decoder_layers: of SmolLM2; None for all 30.
        decoder_rows: pairs of texts of one intent.
        decoder_batch: rows in a step of the decoder.
        decoder_steps: of the decoder.
        decoder_rate: its learning rate, the highest.
    """

    rows: int
    length: int
    queries: int
    pool: int
    batch: int
    steps: int
    learning_rate: float
    whole: bool
    decoder_layers: int | None
    decoder_rows: int
    decoder_batch: int
    decoder_steps: int
    decoder_rate: float


SIZES: dict[Scale, Size] = {
    "cpu": Size(1500, 32, 1000, 3000, 128, 100, 1e-3, False, 2, 960, 16, 60, 1e-3),
    "gpu": Size(6000, 64, 1000, 5000, 128, 200, 2e-4, True, None, 6000, 128, 200, 1e-4),
}


def mined(run: Run, mining: Mining) -> Metrics:
    """Learn from negatives that were mined one way, and be asked.

    Args:
        run: its seed is that of the last layer, the order, and of random negatives.
        mining: the nearest texts of MiniLM, those among them that score below the positive's by a margin or a ratio,
            or any texts.
    """
    given = planted(SIZES[run.scale].rows)
    corpus = given.corpus
    rules: dict[Mining, dict[str, Any]] = {
        "naive": {"ranks": (0, DEPTH), "rule": None},
        "margin": {"ranks": (0, DEPTH), "rule": "margin", "value": MARGIN},
        "ratio": {"ranks": (0, DEPTH), "rule": "ratio", "value": RATIO},
        "random": {"ranks": (0, len(corpus)), "rule": None, "choose": "random"},
    }
    found = mine_hard_negatives(
        DenseRanker(_read(run, "minilm", [*given.queries, *corpus]), corpus),
        given.queries,
        [[row] for row in range(len(given.queries))],
        corpus,
        n=NEGATIVES,
        seed=run.seed,
        **rules[mining],
    )
    paraphrased = found.negatives == np.arange(len(corpus) // 2)[:, None] + len(corpus) // 2
    negatives = [[corpus[number] for number in column] for column in found.negatives.T]
    return _student(run, [given.queries, given.functions, *negatives]) | {
        FALSE: float(paraphrased.sum()) / found.report.mined,
        "queries with a false negative": float(paraphrased.any(axis=1).mean()),
        "filled with random texts": found.report.filled / found.negatives.size,
    }


def taught(run: Run, weight: float | None = WEIGHT, *, shuffled: bool = False) -> Metrics:
    """Learn from hard labels, and from a teacher's scores beside them, and be asked.

    Args:
        run: its seed is that of the last layer, the order, and of the shuffling.
        weight: of words in the teacher's scores; None for hard labels alone.
        shuffled: deal each row's scores among its texts.
    """
    columns, scores = _lesson(run, WEIGHT if weight is None else weight)
    if weight is None:
        return _student(run, columns)
    first = float((scores.argmax(axis=1) == 0).mean())
    if shuffled:
        scores = np.random.default_rng(run.seed).permuted(scores, axis=1)
    temperature = calibrate_temperature(scores, ENTROPY)
    labels = SoftLabels(temperature=temperature, student_temperature=TEMPERATURE)
    return _student(run, columns, labels, scores) | {
        "teacher's temperature": temperature,
        "positive is the teacher's first": first,
    }


def in_context(run: Run, most: int) -> Metrics:
    """Train a decoder with some examples before its texts, and ask it about intents that it has not learned.

    Args:
        run: its seed is that of the intents, the examples, and the order.
        most: examples before a text in training, each number from 0 as likely.
    """
    size = SIZES[run.scale]
    given = intents(run.seed, size.decoder_rows)
    model = decoder_encoder(
        "smollm2",
        pooling="last",
        bidirectional=False,
        layers=size.decoder_layers,
        max_length=_READ,
    ).to(run.device)
    # The table of tokens is four fifths of what could learn, and hardly any of it occurs.
    body: Any = model[0]
    body.auto_model.get_input_embeddings().weight.requires_grad_(False)
    losses = train_equally(
        Contrastive(model, TEMPERATURE, recompute=size.decoder_layers is None),
        [
            prompted(given, size.decoder_batch, most, run.seed),
            [example.answer for example in given.learned],
        ],
        EqualBudget(steps=size.decoder_steps),
        batch=size.decoder_batch,
        learning_rate=size.decoder_rate,
        seed=run.seed,
        labels=given.labels,
        say=run.say,
    )
    neighbours = encode(model, list(given.neighbours), normalize=True, precision="float32")
    nearest = KNeighborsClassifier(NEAREST).fit(neighbours, list(given.neighbours.values()))
    found = {
        ACCURACY.format(shown): _accuracy(run.seed, model, given, nearest, shown) for shown in SHOWN
    }
    return found | {"loss, last third": _end(losses)}


def _accuracy(
    seed: int,
    model: SentenceTransformer,
    given: Intents,
    nearest: KNeighborsClassifier,
    shown: int,
) -> float:
    """Share of texts whose nearest neighbours have their intent, behind so many examples."""
    found = []
    for draw in range(DRAWS if shown else 1):
        examples = demonstrations(given, shown, seed * DRAWS + draw)
        told = with_examples(model, TASK, examples, example_tokens=_EXAMPLE)
        vectors = encode_after_prompt(told, list(given.asked))
        found.append(nearest.score(vectors, list(given.asked.values())))
    return float(np.mean(found))


def _student(
    run: Run,
    columns: Sequence[Sequence[str]],
    soft: SoftLabels | None = None,
    scores: NDArray[np.float32] | None = None,
) -> Metrics:
    """Train a student and ask it in packages that it has not seen."""
    size = SIZES[run.scale]
    test = asked(size.queries, size.pool)
    model = _start(run, [*test.queries.values(), *test.passages.values()])
    losses = train_equally(
        Contrastive(model, TEMPERATURE, margin=None, soft_labels=soft, recompute=size.whole),
        columns,
        EqualBudget(steps=size.steps),
        batch=size.batch,
        learning_rate=size.learning_rate,
        seed=run.seed,
        labels=None if scores is None else scores.tolist(),
        say=run.say,
    )
    found = Exam([test])(model)[METRIC.lower()]
    return {METRIC: found, "loss, last third": _end(losses)}


def _start(run: Run, test: Sequence[str]) -> SentenceTransformer:
    """The student before it learns: the same for all arms of a seed."""
    size = SIZES[run.scale]
    if size.whole:
        model = first_layers(load("minilm", run.device), LAYERS, fresh=1, seed=run.seed)
        model.max_seq_length = size.length
        return model
    given = planted(size.rows)
    known: Any = _read(run, "below", [*given.queries, *given.corpus, *test])[0]
    width = known.vectors.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        dense = Dense(width, width, activation_function=nn.Tanh())
    return SentenceTransformer(modules=[known, dense], device=run.device)


_LESSONS: dict[tuple[Scale, float], tuple[list[list[str]], NDArray[np.float32]]] = {}


def _lesson(run: Run, weight: float) -> tuple[list[list[str]], NDArray[np.float32]]:
    """Pairs with negatives that the hybrid teacher mined, and the scores of a teacher with that weight of words."""
    if (run.scale, weight) not in _LESSONS:
        given = learned(SIZES[run.scale].rows)
        rows = range(len(given.queries))
        teacher = _teacher(run, WEIGHT)
        found = mine_hard_negatives(
            teacher,
            given.queries,
            [[row] for row in rows],
            given.functions,
            ranks=(0, DEPTH),
            n=NEGATIVES,
            rule="ratio",
            value=RATIO,
        )
        groups = np.column_stack([rows, found.negatives])
        scoring = teacher if weight == WEIGHT else _teacher(run, weight)
        columns = [[given.functions[number] for number in column] for column in groups.T]
        _LESSONS[run.scale, weight] = (
            [given.queries, *columns],
            scoring.score(given.queries, groups),
        )
    return _LESSONS[run.scale, weight]


def _teacher(run: Run, weight: float) -> HybridTeacher:
    given = learned(SIZES[run.scale].rows)
    dense = _read(run, "mpnet", [*given.queries, *given.functions])
    return HybridTeacher(given.functions, dense, weight=weight)


def _read(run: Run, name: str, texts: Sequence[str]) -> SentenceTransformer:
    """A model that knows the vectors of some texts, which are computed once and kept.

    Args:
        run: has the folder.
        name: ``minilm``, ``mpnet``, or ``below``: the layers of MiniLM below the student's last.
        texts: all that it will be given.
    """
    texts = list(dict.fromkeys(texts))
    key = text_fingerprint(texts)[:16]
    place = run.cache / f"{run.scale}-{name}-{key}-{code_digest()}.npy"
    if not place.exists():
        run.say(f"reading {len(texts):,} texts: {name}")
        model = _OPENED[name](run.device)
        model.max_seq_length = SIZES[run.scale].length
        held = io.BytesIO()
        np.save(held, encode(model, texts, precision="float32"), allow_pickle=False)
        write_bytes(place, held.getvalue())
    vectors = torch.from_numpy(np.load(place, allow_pickle=False))
    return SentenceTransformer(modules=[KnownTexts(texts, vectors)], device=run.device)


def _below(device: str) -> SentenceTransformer:
    below = first_layers(load("minilm", device), LAYERS - 1)
    return SentenceTransformer(modules=[below[0], below[1]], device=device)


_OPENED: dict[str, Callable[[str], SentenceTransformer]] = {
    "minilm": lambda device: load("minilm", device),
    "mpnet": lambda device: load("mpnet", device),
    "below": _below,
}


def _end(losses: Sequence[float]) -> float:
    return float(np.mean(losses[-len(losses) // 3 :]))
