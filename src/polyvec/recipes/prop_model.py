"""The rankers of the recipe of PROP: the start that all arms share, their training, and what their scores are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import nn
from torch.nn.functional import cross_entropy

from polyvec.encoders.loading import load
from polyvec.encoders.small_encoder import small_encoder, word_pieces
from polyvec.evaluation.reranking import (
    few_shot_scores,
    folds,
    interpolate_by_folds,
    mixed,
    ndcg,
    pair_scores,
)
from polyvec.evaluation.retrieval_metrics import measure
from polyvec.objectives.masked_language import MaskedLanguage
from polyvec.objectives.own_weights import FILE, load_own_weights, save_own_weights
from polyvec.objectives.representative_words import RepresentativeWordsPrediction
from polyvec.recipes.measuring import code_digest
from polyvec.recipes.prop_data import SIZES, Columns, Judged, held_out_columns, judged, passages_of
from polyvec.recipes.recipe import Metrics, Run
from polyvec.training.equal_budget import EqualBudget, train_equally

_SEGMENTS = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}


def trained(
    run: Run, columns: Columns, *, rop_weight: float = 1.0
) -> RepresentativeWordsPrediction:
    """The shared start, trained on an arm's rows for as many steps as every other arm."""
    sizes = SIZES[run.scale]
    folder = shared_start(run)
    model = CrossEncoder(str(folder), device=run.device, local_files_only=True)
    objective = RepresentativeWordsPrediction(model, rop_weight=rop_weight, seed=run.seed)
    load_own_weights(objective, folder)
    train_equally(
        objective,
        columns,
        EqualBudget(steps=sizes.steps),
        batch=sizes.batch,
        learning_rate=sizes.learning_rate,
        seed=run.seed,
        say=run.say,
    )
    return objective


def shared_start(run: Run) -> Path:
    """Where all arms of a seed start: a cross-encoder that has learned to fill gaps, and whose score knows nothing yet.

    Returns:
        Its folder, below the run's cache; the language head lies beside the model. It is made if it is not there.
    """
    sizes = SIZES[run.scale]
    folder = run.cache / f"{run.scale}-{run.seed}-{code_digest()}"
    if (folder / FILE).exists():
        return folder
    run.say("warming up by masked language modelling")
    encoder = _encoder(run).to(run.device)
    objective = MaskedLanguage(encoder, seed=run.seed)
    train_equally(
        objective,
        [passages_of(run.scale)],
        EqualBudget(steps=sizes.warm_steps),
        batch=sizes.warm_batch,
        learning_rate=sizes.learning_rate,
        seed=run.seed,
        say=run.say,
    )
    body: Any = encoder[0]
    bare = folder / "encoder"
    bare.mkdir(parents=True, exist_ok=True)
    body.save(str(bare))
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        model = CrossEncoder(
            str(bare),
            num_labels=1,
            max_length=sizes.length,
            processor_kwargs=_SEGMENTS,
            device="cpu",
            local_files_only=True,
        )
    model.save_pretrained(str(folder), create_model_card=False)
    save_own_weights(objective, folder)
    return folder


def _encoder(run: Run) -> SentenceTransformer:
    sizes = SIZES[run.scale]
    if sizes.pretrained:
        return load("minilm", "cpu")
    tokenizer = word_pieces(passages_of(run.scale))
    return small_encoder(tokenizer, layers=3, hidden=192, length=sizes.length, seed=run.seed)


def judge_model(run: Run, objective: RepresentativeWordsPrediction, *, few: bool) -> Metrics:
    """What a ranker is worth: without judged queries, with a few, and at telling word sets apart.

    Args:
        run: says which queries are asked.
        objective: holds the ranker.
        few: whether it is fine-tuned as well.
    """
    model = objective.model
    model.eval()
    found: Metrics = {"pair accuracy": pair_accuracy(model, held_out_columns(run.scale))}
    for name, asked in judged(run.scale, run.seed).items():
        run.say(f"judging on {name}")
        scores = pair_scores(model, asked.queries, asked.candidates)
        found |= ranked(name, asked, scores) | _interpolated(run, name, asked, scores)
        if few:
            found |= _few(run, name, asked, model)
    return over_collections(found)


def ranked(name: str, asked: Judged, scores: Sequence[NDArray[np.float64]]) -> Metrics:
    """Measures of the order that scores give to BM25's candidates."""
    rankings = mixed(scores, asked.candidates, 0.0)
    return {
        f"{name} ndcg@20": float(ndcg(rankings, asked.relevant).mean()),
        f"{name} mrr@10": float(measure(rankings, asked.relevant)["mrr@10"].mean()),
    }


def over_collections(found: Mapping[str, float]) -> Metrics:
    """Add the mean over collections of each measure that names one."""
    names = ("cranfield ", "cisi ")
    means = {
        rest: float(np.mean([found[of + rest] for of in names]))
        for rest in (
            metric.removeprefix(names[0]) for metric in found if metric.startswith(names[0])
        )
    }
    return {**means, **found}


def pair_accuracy(model: CrossEncoder, columns: Columns) -> float:
    """How often the more representative word set scores higher."""
    better, worse = (
        model.predict(column, activation_fn=nn.Identity(), show_progress_bar=False)
        for column in columns
    )
    return float(np.mean(better > worse))


def _interpolated(
    run: Run, name: str, asked: Judged, scores: Sequence[NDArray[np.float64]]
) -> Metrics:
    parts = folds(len(asked.queries), SIZES[run.scale].folds, run.seed)
    rankings = interpolate_by_folds(scores, asked.candidates, asked.relevant, parts)
    return {f"{name} ndcg@20 with BM25": float(ndcg(rankings, asked.relevant).mean())}


def _few(run: Run, name: str, asked: Judged, model: CrossEncoder) -> Metrics:
    sizes = SIZES[run.scale]
    parts = folds(len(asked.queries), sizes.folds, run.seed)
    found = {}
    for how in sizes.shots:
        scores = few_shot_scores(
            model, asked.queries, asked.candidates, asked.relevant, parts, how, run.seed
        )
        rankings = mixed(scores, asked.candidates, 0.0)
        value = float(ndcg(rankings, asked.relevant).mean())
        found[f"{name} ndcg@20, {how.queries} queries"] = value
    return found


@torch.inference_mode()
def query_likelihood(
    objective: RepresentativeWordsPrediction, asked: Judged, batch: int = 32
) -> list[NDArray[np.float64]]:
    """How a masked language model ranks: mean log probability of the query's tokens, all hidden, before the document.

    Args:
        objective: its language head predicts them.
        asked: queries and candidates.
        batch: pairs that are read at once.

    Returns:
        For each query the scores of its candidates.
    """
    model = objective.model
    model.eval()
    objective.head.eval()
    pairs = [
        (query, asked.candidates.texts[id])
        for query, ids in zip(asked.queries, asked.candidates.ids, strict=True)
        for id in ids
    ]
    found = [
        _query_likelihood(objective, pairs[start : start + batch])
        for start in range(0, len(pairs), batch)
    ]
    scores = np.array(list(chain.from_iterable(found)))
    return np.split(scores, np.cumsum([len(ids) for ids in asked.candidates.ids])[:-1])


def _query_likelihood(
    objective: RepresentativeWordsPrediction, pairs: Sequence[tuple[str, str]]
) -> list[float]:
    features = batch_to_device(objective.model.preprocess(list(pairs)), objective.model.device)
    ids = features["input_ids"]
    before = (ids == objective.model.tokenizer.sep_token_id).cumsum(dim=1) == 0
    query = before & (objective.masker.words(ids) >= 0)
    hidden = ids.masked_fill(query, objective.masker.mask_id)
    _, vectors = objective.encode({**features, "input_ids": hidden})
    losses = cross_entropy(objective.head(vectors[query]).float(), ids[query], reduction="none")
    total = torch.zeros(ids.shape, device=ids.device).masked_scatter(query, losses).sum(dim=1)
    likelihood: list[float] = (-total / query.sum(dim=1).clamp(min=1)).tolist()
    return likelihood
