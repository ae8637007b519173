"""The encoders of the experiment on retrieval pre-training tasks: where they start, how they learn, how they do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, StaticEmbedding
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedTokenizerFast

from polyvec.encoders.loading import load
from polyvec.encoders.small_encoder import small_encoder, word_pieces
from polyvec.encoders.two_tower import two_tower
from polyvec.evaluation.few_labels import (
    Ranks,
    SentenceSearch,
    Tuning,
    answer_ranks,
    bm25_ranks,
    learn_from,
    recall,
    split_questions,
)
from polyvec.evaluation.reranking import folds
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.masked_language import MaskedLanguage
from polyvec.recipes.recipe import Metrics, Run, Scale
from polyvec.recipes.retrieval_pretraining_data import Faq, faq, learned_texts, pairs, xquad
from polyvec.recipes.retrieval_pretraining_tasks import RECALL, ZERO_SHOT
from polyvec.training.equal_budget import EqualBudget, train_equally

SECONDS = "seconds of pre-training"
FOLDS = 2
"""Of the questions of the FAQ: each half is asked after learning from the other."""
SHARES = (0.0, 0.05, 0.8)
"""Of XQuAD's paragraphs whose questions are learned from."""

Rank = Callable[[SentenceSearch, Sequence[str]], Ranks]


class Size(NamedTuple):
    """How large the experiment is.

    Attributes:
        layers: of the Transformer.
        hidden: its width.
        dim: of the vectors.
        length: tokens of a text that are read.
        vocabulary: word pieces.
        steps: of pre-training.
        batch: pairs, or texts, in each of them.
        learning_rate: the highest, of all training.
        tuning: steps of fine-tuning.
        tuning_batch: questions in each of them.
        others: paragraphs beside the answers that the FAQ's questions are searched in.
    """

    layers: int
    hidden: int
    dim: int
    length: int
    vocabulary: int
    steps: int
    batch: int
    learning_rate: float
    tuning: int
    tuning_batch: int
    others: int


SIZES: dict[Scale, Size] = {
    "cpu": Size(1, 64, 128, 48, 8000, 210, 128, 3e-3, 25, 32, 1000),
    "gpu": Size(6, 384, 512, 128, 8000, 130, 1024, 5e-4, 100, 64, 5000),
}


def transformer(run: Run) -> SentenceTransformer:
    """An untrained tower: a small BERT, the mean of its vectors, a linear layer."""
    size = SIZES[run.scale]
    encoder = small_encoder(
        _tokenizer(run.scale),
        layers=size.layers,
        hidden=size.hidden,
        length=size.length,
        seed=run.seed,
    )
    for module in encoder.modules():
        # As in `polyvec.training.fine_tuning`: over so few steps it costs more time than it brings.
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return two_tower(encoder, dim=size.dim, seed=run.seed).to(run.device)


def bag_of_words(run: Run) -> SentenceTransformer:
    """The untrained tower that is no Transformer: the mean of vectors of words, and two layers with a tanh between."""
    size = SIZES[run.scale]
    tokenizer = Tokenizer.from_str(_tokenizer(run.scale).backend_tokenizer.to_str())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        modules: list[nn.Module] = [
            StaticEmbedding(tokenizer, embedding_dim=size.hidden),
            Dense(size.hidden, size.hidden, activation_function=nn.Tanh()),
        ]
    encoder = SentenceTransformer(modules=modules, device="cpu")
    return two_tower(encoder, dim=size.dim, seed=run.seed).to(run.device)


def learn_pairs(model: SentenceTransformer, run: Run, tasks: tuple[str, ...]) -> Metrics:
    """Pre-train on pairs of some tasks; tells how long that took."""
    size = SIZES[run.scale]
    drawn = pairs(tasks, run.seed)
    rows = drawn.to_dataset()
    objective = Contrastive(
        model,
        temperature=1.0,
        margin=None,
        similarity="dot",
        expected_counts=drawn.expected_counts(size.batch).to(run.device),
    )
    columns = [rows["anchor"][:], rows["positive"][:]]
    return _learn(objective, run, columns, rows["label"][:])


def learn_words(model: SentenceTransformer, run: Run) -> Metrics:
    """Pre-train by masked language modelling; tells how long that took."""
    objective = MaskedLanguage(model, seed=run.seed)
    return _learn(objective, run, [learned_texts()])


def _learn(
    objective: nn.Module,
    run: Run,
    columns: Sequence[Sequence[str]],
    labels: Sequence[int] | None = None,
) -> Metrics:
    size = SIZES[run.scale]
    start = time.monotonic()
    train_equally(
        objective,
        columns,
        EqualBudget(steps=size.steps),
        batch=size.batch,
        learning_rate=size.learning_rate,
        seed=run.seed,
        labels=labels,
        say=run.say,
    )
    return {SECONDS: time.monotonic() - start}


def examine(model: SentenceTransformer, run: Run, *, by_xquad: bool) -> Metrics:
    """What a model finds, without labels and after learning from some; the model is not changed.

    Args:
        model: as pre-trained.
        run: sizes and seed.
        by_xquad: whether the questions of XQuAD are asked as well.
    """
    asked = faq(SIZES[run.scale].others)
    found = {
        RECALL: _recall(_faq_ranks_after_learning(model, asked, run)),
        ZERO_SHOT: _recall(_faq_ranks(model, asked, list(asked.rows))),
    }
    return found | (_xquad(model, run) if by_xquad else {})


def examine_bm25(run: Run) -> Metrics:
    """What BM25 finds; it learns nothing."""
    asked = faq(SIZES[run.scale].others)
    found = _recall(_best(bm25_ranks, asked, list(asked.rows)))
    data = xquad()
    metrics = {RECALL: found, ZERO_SHOT: found}
    for share in SHARES:
        split = split_questions(data, share, seed=run.seed)
        metrics |= _named(share, bm25_ranks(data, split.test))
    return metrics


def examine_trained(name: str, run: Run) -> Metrics:
    """What an installed model finds that somebody has trained; it learns nothing here.

    Args:
        name: of the model.
        run: the questions of the FAQ, and the paragraphs, are the same for every seed: it is asked once.
    """
    found = _trained_recall(name, run.scale, run.device)
    return {RECALL: found, ZERO_SHOT: found}


@cache
def _trained_recall(name: str, scale: Scale, device: str) -> float:
    model = load(name, device)
    model.max_seq_length = SIZES[scale].length
    asked = faq(SIZES[scale].others)
    return _recall(_faq_ranks(model, asked, list(asked.rows)))


def _faq_ranks_after_learning(model: SentenceTransformer, asked: Faq, run: Run) -> Ranks:
    """Rank of the best paragraph of each question's answer, after learning from the other half of the questions."""
    size = SIZES[run.scale]
    questions = list(asked.rows)
    number = {question: n for n, question in enumerate(questions)}
    ranks = []
    for part in folds(len(questions), FOLDS, run.seed):
        held_out = {questions[n] for n in part}
        rows = [row for asks, some in asked.rows.items() if asks not in held_out for row in some]
        tuned = deepcopy(model)
        train_equally(
            tuning_objective(tuned),
            [
                [asked.search.queries[row] for row in rows],
                [asked.search.candidates[row] for row in rows],
            ],
            EqualBudget(steps=size.tuning),
            batch=size.tuning_batch,
            learning_rate=size.learning_rate,
            seed=run.seed,
            labels=[number[asked.search.queries[row]] for row in rows],
        )
        ranks.append(_faq_ranks(tuned, asked, [questions[n] for n in part]))
    return np.concatenate(ranks)


def tuning_objective(model: SentenceTransformer) -> Contrastive:
    """What all arms are fine-tuned with: the paper's inner products, neither scaled nor masked by score."""
    return Contrastive(model, temperature=1.0, margin=None, similarity="dot")


def _faq_ranks(model: SentenceTransformer, asked: Faq, questions: Sequence[str]) -> Ranks:
    return _best(lambda data, rows: answer_ranks(model, data, rows), asked, questions)


def _best(rank: Rank, asked: Faq, questions: Sequence[str]) -> Ranks:
    """Rank of the best paragraph of each question's answer."""
    rows = [row for question in questions for row in asked.rows[question]]
    ends = np.cumsum([len(asked.rows[question]) for question in questions])[:-1]
    ranks = np.split(rank(asked.search, rows), ends)
    return np.array([found.min() for found in ranks], np.int64)


def _xquad(model: SentenceTransformer, run: Run) -> Metrics:
    size = SIZES[run.scale]
    how = Tuning(size.tuning, size.tuning_batch, size.learning_rate)
    data = xquad()
    found: Metrics = {}
    for share in SHARES:
        run.say(f"asking XQuAD after learning from {share:.0%}")
        split = split_questions(data, share, seed=run.seed)
        tuned = deepcopy(model)
        if split.train:
            learn_from(tuned, tuning_objective, data, split.train, how, run.seed)
        found |= _named(share, answer_ranks(tuned, data, split.test))
    return found


def _named(share: float, ranks: Ranks) -> Metrics:
    """Recalls of XQuAD under the names that the evidence shows."""
    return {
        f"XQuAD, {share:.0%} labels, R@{k}": value
        for k, value in zip((1, 10, 100), recall(ranks, (1, 10, 100)).values(), strict=True)
    }


def _recall(ranks: Ranks) -> float:
    return recall(ranks, (10,))["recall@10"]


@cache
def _tokenizer(scale: Scale) -> PreTrainedTokenizerFast:
    return word_pieces(learned_texts(), SIZES[scale].vocabulary)
