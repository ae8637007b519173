"""Does masked auto-encoding make better retrievers than masked language modelling? Xiao, Liu 2022 (arXiv:2211.08769).

All arms begin with the same lower layers of MiniLM, warmed up by masked language modelling. They are pre-trained for
the same number of seconds, fine-tuned alike on titles and headings with their texts, and tested on the judged queries
of Cranfield and CISI, which nothing else sees.
"""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from polyvec.recipes.papers import find_paper
from polyvec.recipes.recipe import Metrics, Recipe, Run, Scale, Source, Values, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentence_transformers import SentenceTransformer
    from torch import nn

    from polyvec.evaluation.exam import Exam, Scores
    from polyvec.training.equal_budget import EqualBudget

MLM, RETRO, CLS_ONLY, DUPLEX, WORDS_ONLY, WORDS = (
    *("MLM", "RetroMAE", "DupMAE, [CLS] only", "DupMAE, [CLS] and words", "DupMAE, words only"),
    "BM25",
)
MEAN = "nDCG@10"
GAIN = "bottleneck gain"
RECALL = "recall from a frozen vector"
_RETRO_GAIN, _DUPLEX_GAIN, _BOTTLENECK = 0.02, 0.01, 0.3


class Size(NamedTuple):
    """How large the experiment is; seconds are wall time."""

    layers: int
    length: int
    vocabulary: int
    warm_up: float
    pretraining: float
    probe: float
    batch: int
    steps: int
    tuning_batch: int


SIZES: dict[Scale, Size] = {
    "cpu": Size(2, 32, 4000, 6, 45, 4, 16, 20, 32),
    "gpu": Size(6, 256, 16000, 40, 30, 6, 64, 150, 64),
}
_RATE, _TUNING_RATE = 1e-3, 3e-4


def _mlm(run: Run) -> Metrics:
    from polyvec.objectives.masked_language import MaskedLanguage

    model = _warm(run)
    _pretrained(MaskedLanguage(model, seed=run.seed), run)
    return {RECALL: _probe(model, run)} | _tested(model, run)


def _retromae(run: Run) -> Metrics:
    from polyvec.evaluation.bottleneck import Bottleneck
    from polyvec.objectives.retromae import RetroMAE
    from polyvec.recipes.dupmae_data import material

    model = _warm(run)
    objective = RetroMAE(model, seed=run.seed)
    _pretrained(objective, run)
    gain = Bottleneck(objective, material().held_out)(model)["bottleneck_gain"]
    return {GAIN: gain, RECALL: _probe(model, run)} | _tested(model, run)


def _dupmae(run: Run, dense_share: float) -> Metrics:
    """DupMAE, of whose vector a share is dense and the rest of the same memory is words."""
    from polyvec.encoders.duplex_pooling import duplex_model
    from polyvec.objectives.mae_checkpoint import load_mae

    objective = load_mae(_duplex_start(run), run.device, run.seed)
    if dense_share == 1:
        return _tested(objective.model, run)
    width = objective.model.get_embedding_dimension() or 0
    dense = round(dense_share * width)
    made = duplex_model(
        objective.model, objective.head, cls_dim=dense, budget_floats=width, seed=run.seed
    )
    return _tested(made, run)


def _duplex_start(run: Run) -> Path:
    """DupMAE as pre-trained in this seed: three arms differ in what they make of it, and share it."""
    from polyvec.objectives.dupmae import DupMAE
    from polyvec.objectives.mae_checkpoint import SETTINGS, save_mae

    place = _place(run) / "dupmae"
    if not (place / SETTINGS).exists():
        objective = DupMAE(_warm(run), seed=run.seed)
        _pretrained(objective, run)
        save_mae(objective, place)
    return place


def _bm25(run: Run) -> Metrics:
    exam = _exam()
    return _scores(exam.score(exam.rank_bm25()))


def _warm(run: Run) -> SentenceTransformer:
    """The common start of a seed: an encoder that has read for a while, and its head."""
    from polyvec.encoders.loading import load, save
    from polyvec.objectives.masked_language import MaskedLanguage
    from polyvec.objectives.own_weights import FILE, save_own_weights
    from polyvec.recipes.dupmae_data import material
    from polyvec.recipes.dupmae_start import start
    from polyvec.training.equal_budget import EqualBudget

    size = SIZES[run.scale]
    place = _place(run)
    if not (place / FILE).exists():
        run.say("warming up by masked language modelling")
        texts = material().texts
        model = start(texts, layers=size.layers, vocabulary=size.vocabulary, length=size.length).to(
            run.device
        )
        objective = MaskedLanguage(model, seed=run.seed)
        _read(objective, EqualBudget(seconds=size.warm_up), run)
        save(model, place)
        save_own_weights(objective, place)
    return load(place, run.device)


def _place(run: Run) -> Path:
    from polyvec.recipes.measuring import code_digest

    return run.cache / f"{run.scale}-{code_digest()}" / f"seed-{run.seed}"


def _pretrained(objective: nn.Module, run: Run) -> None:
    """Learn from texts for the seconds that every arm gets, from the head of the common start."""
    from polyvec.objectives.own_weights import load_own_weights
    from polyvec.training.equal_budget import EqualBudget

    load_own_weights(objective, _place(run))
    budget = EqualBudget(seconds=SIZES[run.scale].pretraining)
    _read(objective, budget, run)


def _probe(model: SentenceTransformer, run: Run) -> float:
    """What a fresh decoder learns to rebuild from the vectors of an encoder that no longer changes."""
    from polyvec.evaluation.bottleneck import RECALL_SHARE, Bottleneck
    from polyvec.objectives.retromae import RetroMAE
    from polyvec.recipes.dupmae_data import material
    from polyvec.training.equal_budget import EqualBudget

    frozen = copy.deepcopy(model).requires_grad_(False)
    objective = RetroMAE(frozen, decoder_mask=RECALL_SHARE, seed=run.seed)
    budget = EqualBudget(seconds=SIZES[run.scale].probe)
    _read(objective, budget, run)
    return Bottleneck(objective, material().held_out)(frozen)["recall"]


def _tested(model: SentenceTransformer, run: Run) -> Metrics:
    """Fine-tune on titles and headings, the same for every arm, and ask the judged queries."""
    from polyvec.objectives.contrastive import Contrastive
    from polyvec.recipes.dupmae_data import material
    from polyvec.training.equal_budget import EqualBudget, train_equally

    given, size = material(), SIZES[run.scale]
    train_equally(
        Contrastive(model),
        [given.queries, given.answers],
        EqualBudget(steps=size.steps),
        batch=size.tuning_batch,
        learning_rate=_TUNING_RATE,
        seed=run.seed,
        labels=given.labels,
        say=run.say,
    )
    exam = _exam()
    return _scores(exam.score(exam.rank(model)))


def _read(objective: nn.Module, budget: EqualBudget, run: Run) -> None:
    """Learn from the texts without pairs."""
    from polyvec.recipes.dupmae_data import material
    from polyvec.training.equal_budget import train_equally

    train_equally(
        objective,
        [material().texts],
        budget,
        batch=SIZES[run.scale].batch,
        learning_rate=_RATE,
        seed=run.seed,
        say=run.say,
    )


def _exam() -> Exam:
    from polyvec.evaluation.exam import Exam
    from polyvec.recipes.learned_texts import judged_sets, judged_task

    return Exam([judged_task(name) for name in judged_sets()])


def _scores(per_query: Scores) -> Metrics:
    """nDCG@10 and recall@100 of each set, and the mean of the first."""
    found = {
        f"{name} {shown}": float(values[metric].mean())
        for name, values in per_query.items()
        for shown, metric in ((MEAN, "ndcg@10"), ("R@100", "recall@100"))
    }
    means = [value for name, value in found.items() if name.endswith(MEAN)]
    return {MEAN: sum(means) / len(means), **found}


def _sources() -> Mapping[str, Source]:
    from polyvec.recipes.dupmae_data import sources

    return sources()


def judge(values: Values) -> Verdict:
    """Apply the rule.

    Args:
        values: of the arms.
    """
    scores = {arm: found[MEAN] for arm, found in values.items()}
    retro = _mostly(scores[RETRO], scores[MLM], _RETRO_GAIN)
    duplex = _mostly(scores[DUPLEX], scores[RETRO], _DUPLEX_GAIN)
    used = min(values[RETRO][GAIN]) > _BOTTLENECK
    if retro and duplex and used:
        return "holds"
    if (retro or duplex) and used:
        return "holds in part"
    worse = all(r <= m - _RETRO_GAIN for r, m in zip(scores[RETRO], scores[MLM], strict=True))
    return "contradicted" if worse and used else "not seen at this scale"


def _mostly(ours: Sequence[float], theirs: Sequence[float], more: float) -> bool:
    """Whether ours are so much higher in two of three seeds."""
    higher = [mine >= other + more for mine, other in zip(ours, theirs, strict=True)]
    return 3 * sum(higher) >= 2 * len(higher)


RECIPE = Recipe(
    paper=find_paper("dupmae"),
    claim=(
        "An encoder pre-trained by duplex masked auto-encoding retrieves better than one by masked auto-encoding of "
        "[CLS], and that better than one by masked language modelling."
    ),
    rule=(
        f"{MEAN}, the mean of Cranfield and CISI: RetroMAE is {_RETRO_GAIN} above MLM, and DupMAE with [CLS] and words "
        f"{_DUPLEX_GAIN} above RetroMAE at the same memory, each in two of three seeds; and swapping RetroMAE's "
        f"vectors costs its decoder more than {_BOTTLENECK} nats a token in every seed. Holds: all three. Holds in "
        "part: the vectors are used, and one of the two differences is there. Contradicted: the vectors are used, and "
        f"RetroMAE is {_RETRO_GAIN} below MLM in every seed. Otherwise not seen at this scale."
    ),
    arms={
        MLM: _mlm,
        RETRO: _retromae,
        CLS_ONLY: partial(_dupmae, dense_share=1),
        DUPLEX: partial(_dupmae, dense_share=0.5),
        WORDS_ONLY: partial(_dupmae, dense_share=0),
        WORDS: _bm25,
    },
    metric=MEAN,
    judge=judge,
    sources=_sources,
    minutes={"cpu": 14, "gpu": 10},
    notes=(
        "Every arm begins with the lower layers of MiniLM, its vocabulary cut to what the texts use, warmed up by "
        "masked language modelling of the same texts, and is pre-trained for the same seconds, so that the arms with a "
        "decoder take fewer steps. In trials that began with a small BERT of random weights no arm learned to retrieve "
        "in so few minutes. Seconds and lengths were cut to fit a quarter of an hour, after one seed had been seen; "
        "the rule was not touched.",
        "The documents of Cranfield and CISI are learned from, their queries and judgements only test. Fine-tuning "
        "pairs are titles with abstracts and headings with paragraphs; no judgement is used.",
        "The half of words is scaled to the length of the dense half, and negative logits are 0. A kept word counts as "
        "one and a half numbers of the dense vector.",
        "Where an encoder stays frozen, a fresh decoder learns from its vectors for the same seconds, and rebuilds "
        "texts of which it sees a tenth.",
    ),
)
