"""Is a merge, placed by a few examples, better than training on all tasks at once? Li et al. 2024, arXiv:2410.15035.

Two tasks that want different vectors, one with ten times as many pairs. All arms begin with the same weakened encoder
and take as many steps in all; merged models are made of one model a task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from polyvec.recipes.papers import find_paper
from polyvec.recipes.recipe import Metrics, Recipe, Run, Scale, Source, Values, Verdict

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from polyvec.adaptation.merge import Merged

START, PROPORTIONAL, BALANCED = "start", "joint, in proportion", "joint, balanced"
FIRST, SECOND = "intents only", "questions only"
AVERAGE, SLERP, TIES = "average", "slerp", "TIES"
PLACED = "Self Positioning"
MORE_FIRST, MORE_SECOND = "Self Positioning, probe 3:1", "Self Positioning, probe 1:3"
SCORE, ACCURACY, NDCG = "mean of both", "intents, accuracy", "questions, nDCG@10"
_NEAR = 0.002


class Size(NamedTuple):
    """How large the experiment is.

    Attributes:
        layers: of MiniLM; the last one begins anew.
        length: tokens of a text that are read.
        steps: of all training of an arm, placing not counted.
        placing: steps of Self Positioning; joint arms train so many more.
        batch: rows in a step.
        learning_rate: the highest.
        positioning_rate: of weights and scale.
    """

    layers: int
    length: int
    steps: int
    placing: int
    batch: int
    learning_rate: float
    positioning_rate: float


SIZES: dict[Scale, Size] = {
    "cpu": Size(3, 48, 80, 30, 64, 2e-4, 3e-2),
    "gpu": Size(6, 128, 400, 100, 64, 1e-4, 1e-2),
}
_TEMPERATURE = 0.05


def _start(run: Run) -> Metrics:
    return _examined(_base(run), run)


def _joint(run: Run, balanced: bool) -> Metrics:
    from polyvec.recipes.self_positioning_data import QUESTION, Pairs, material

    size = SIZES[run.scale]
    pairs = dict(material(run.seed).pairs)
    if balanced:
        times = max(len(found.anchors) for found in pairs.values()) // len(pairs[QUESTION].anchors)
        few = pairs[QUESTION]
        pairs[QUESTION] = Pairs(times * few.anchors, times * few.positives, times * few.labels)
    joined = [[row for found in pairs.values() for row in column(found)] for column in _COLUMNS]
    return _examined(_trained(_base(run), joined, size.steps + size.placing, run), run)


def _single(run: Run, task: int) -> Metrics:
    return _examined(_parents(run)[task], run)


def _merged(run: Run, method: str) -> Metrics:
    return _examined(_merge(run, method).model, run)


def _placed(run: Run, turns: tuple[int, int] = (1, 1)) -> Metrics:
    from polyvec.recipes.self_positioning_data import INTENT, QUESTION, probe

    size = SIZES[run.scale]
    found = _merge(
        run,
        "self_positioning",
        probe=probe(run.seed),
        steps=size.placing,
        learning_rate=size.positioning_rate,
        turns=dict(zip((INTENT, QUESTION), turns, strict=True)),
    )
    assert found.position is not None
    first, second = found.position.coefficients
    (long, product), (_, other) = found.gram
    return _examined(found.model, run) | {
        "scale": found.position.scale,
        "coefficient of intents": first,
        "coefficient of questions": second,
        "cosine of task vectors": product / (long * other) ** 0.5,
    }


def _merge(run: Run, method: str, **options: Any) -> Merged:
    from polyvec.adaptation.merge import merge

    return merge(
        _base(run), _parents(run), method, names=["intents", "questions"], seed=run.seed, **options
    )


def _base(run: Run) -> SentenceTransformer:
    from polyvec.encoders.first_layers import first_layers
    from polyvec.encoders.loading import load

    size = SIZES[run.scale]
    model = first_layers(load("minilm", "cpu"), size.layers, fresh=1, seed=run.seed).to(run.device)
    model.max_seq_length = size.length
    return model


def _parents(run: Run) -> list[SentenceTransformer]:
    """One model a task, trained for half of the steps; six arms of a seed share them."""
    from polyvec.encoders.loading import load, save
    from polyvec.recipes.measuring import code_digest
    from polyvec.recipes.self_positioning_data import material

    place = run.cache / f"{run.scale}-{code_digest()}" / f"seed-{run.seed}"
    found = []
    for task, pairs in material(run.seed).pairs.items():
        folder: Path = place / task.replace(" ", "-")
        if not (folder / "modules.json").exists():
            run.say(f"training on {task}")
            steps = SIZES[run.scale].steps // 2
            columns = [column(pairs) for column in _COLUMNS]
            save(_trained(_base(run), columns, steps, run), folder)
        found.append(load(folder, run.device))
    return found


def _trained(
    model: SentenceTransformer, columns: list[list[Any]], steps: int, run: Run
) -> SentenceTransformer:
    from torch import nn

    from polyvec.objectives.contrastive import Contrastive
    from polyvec.training.equal_budget import EqualBudget, train_equally

    size = SIZES[run.scale]
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            # As in `polyvec.training.fine_tuning`: over so few steps it costs more time than it brings.
            module.p = 0.0
    *texts, labels = columns
    train_equally(
        Contrastive(model, temperature=_TEMPERATURE),
        texts,
        EqualBudget(steps=steps),
        batch=size.batch,
        learning_rate=size.learning_rate,
        seed=run.seed,
        labels=labels,
        say=run.say,
    )
    return model


def _examined(model: SentenceTransformer, run: Run) -> Metrics:
    from polyvec.evaluation.exam import Exam
    from polyvec.recipes.self_positioning_data import intent_accuracy, material

    given = material(run.seed)
    found = {
        ACCURACY: intent_accuracy(model, given.intents),
        NDCG: Exam([given.questions])(model)["ndcg@10"],
    }
    return {SCORE: sum(found.values()) / 2, **found}


def _sources() -> Mapping[str, Source]:
    from polyvec.recipes.self_positioning_data import sources

    return sources()


def judge(values: Values) -> Verdict:
    """Apply the rule.

    Args:
        values: of the arms.
    """
    placed, slerp, joint = (values[arm][SCORE] for arm in (PLACED, SLERP, PROPORTIONAL))
    near = _mostly([mine - other + _NEAR for mine, other in zip(placed, slerp, strict=True)])
    above = _mostly([mine - other for mine, other in zip(placed, joint, strict=True)])
    moved = _rising(values, ACCURACY, (MORE_SECOND, PLACED, MORE_FIRST)) and _rising(
        values, NDCG, (MORE_FIRST, PLACED, MORE_SECOND)
    )
    if near and above and moved:
        return "holds"
    if all(mine < other for mine, other in zip(placed, joint, strict=True)):
        return "contradicted"
    return "holds in part" if near and above else "not seen at this scale"


def _mostly(gains: list[float]) -> bool:
    """Whether they are above 0 in two of three seeds."""
    return 3 * sum(gain > 0 for gain in gains) >= 2 * len(gains)


def _rising(values: Values, metric: str, arms: tuple[str, ...]) -> bool:
    """Whether the mean over seeds does not fall from arm to arm, and rises in all."""
    means = [sum(values[arm][metric]) / len(values[arm][metric]) for arm in arms]
    return all(b >= a for a, b in pairwise(means)) and means[-1] > means[0]


_COLUMNS: tuple[Callable[[Any], list[Any]], ...] = (
    lambda pairs: pairs.anchors,
    lambda pairs: pairs.positives,
    lambda pairs: pairs.labels,
)

RECIPE = Recipe(
    paper=find_paper("self-positioning"),
    claim=(
        "A merge of models of single tasks, placed among them by a small balanced probe, is as good as the best other "
        "merge and better than training on all tasks at once, and its balance follows the probe's."
    ),
    rule=(
        f"The mean of accuracy on unseen intents and nDCG@10 on unseen questions. Self Positioning is at most {_NEAR} "
        "below slerp with equal weights, and above joint training in proportion, each in two of three seeds; and over "
        "probes of 3:1, 1:1 and 1:3 the mean over seeds of each task never falls as its share grows, and rises in all. "
        "Holds: all three. Holds in part: the first two. Contradicted: it is below joint training in every seed. "
        "Otherwise not seen at this scale."
    ),
    arms={
        PROPORTIONAL: partial(_joint, balanced=False),
        BALANCED: partial(_joint, balanced=True),
        FIRST: partial(_single, task=0),
        SECOND: partial(_single, task=1),
        AVERAGE: partial(_merged, method="average"),
        SLERP: partial(_merged, method="slerp"),
        TIES: partial(_merged, method="ties"),
        PLACED: _placed,
        MORE_FIRST: partial(_placed, turns=(3, 1)),
        MORE_SECOND: partial(_placed, turns=(1, 3)),
        START: _start,
    },
    metric=SCORE,
    judge=judge,
    sources=_sources,
    minutes={"cpu": 14, "gpu": 10},
    notes=(
        "Every arm begins with the first layers of MiniLM, the last of them with new weights. A merge is made of two "
        "models that took half of the steps each; joint training takes the steps of placing on top.",
        "Intents: texts of 70 % of the intents of CLINC150 and BANKING77 are learned from, 20 texts of each of the "
        "others examined, against centroids of half of them. Questions: TAT-QA's dev part and 70 % of COVID-QA's "
        "papers are learned from, TAT-QA's test part and the other papers examined.",
        "The probe is drawn from what the models learned from, which the paper allows. Weights and scale learn at a "
        "rate above the paper's, because there are some thirty steps instead of a thousand.",
    ),
)
