"""The experiment of DupMAE: its rule, its data, and that every arm runs, at a size that means nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from polyvec.data.beir import Judgements
from polyvec.data.benchmarks.question_answering import RetrievalSet
from polyvec.data.documents import Document, Section
from polyvec.encoders.duplex_pooling import DuplexPooling
from polyvec.evaluation.exam import Task
from polyvec.recipes import dupmae, dupmae_data, dupmae_start, learned_texts
from polyvec.recipes.dupmae import (
    CLS_ONLY,
    DUPLEX,
    GAIN,
    MEAN,
    MLM,
    RECALL,
    RECIPE,
    RETRO,
    WORDS,
    WORDS_ONLY,
    judge,
)
from polyvec.recipes.recipe import Run, Values

WORDS_THERE = "cat dog river sea moon bird boat bread stone wind rain storm garden house lake"


def values(mlm: list[float], retro: list[float], duplex: list[float], gain: float = 0.8) -> Values:
    return {
        MLM: {MEAN: mlm},
        RETRO: {MEAN: retro, GAIN: [gain, 1.0, 1.0]},
        CLS_ONLY: {MEAN: retro},
        DUPLEX: {MEAN: duplex},
        WORDS_ONLY: {MEAN: duplex},
        WORDS: {MEAN: [0.5] * 3},
    }


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (values([0.2] * 3, [0.23] * 3, [0.25] * 3), "holds"),
        # Two of three seeds are enough.
        (values([0.2] * 3, [0.23, 0.23, 0.1], [0.25, 0.1, 0.25]), "holds"),
        (values([0.2] * 3, [0.23, 0.21, 0.1], [0.25] * 3), "holds in part"),
        (values([0.2] * 3, [0.23] * 3, [0.23] * 3), "holds in part"),
        (values([0.2] * 3, [0.23] * 3, [0.25] * 3, gain=0.2), "not seen at this scale"),
        (values([0.2] * 3, [0.21] * 3, [0.215] * 3), "not seen at this scale"),
        (values([0.2] * 3, [0.17] * 3, [0.17] * 3), "contradicted"),
        (values([0.2] * 3, [0.17, 0.17, 0.19], [0.17] * 3), "not seen at this scale"),
        (values([0.2] * 3, [0.17] * 3, [0.17] * 3, gain=0.1), "not seen at this scale"),
    ],
)
def test_the_rule(given: Values, verdict: str) -> None:
    assert judge(given) == verdict


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tiny_model):
    """Tiny sizes, and data made of a few words instead of that on disk."""
    rng = np.random.default_rng(0)

    def text() -> str:
        return " ".join(" ".join(rng.choice(WORDS_THERE.split(), 6)) + "." for _ in range(4))

    sets = {}
    for name in ("cranfield", "cisi"):
        documents = {f"{name}{n}": f"title {n} of {name}\n{text()}" for n in range(12)}
        queries = {str(n): " ".join(rng.choice(WORDS_THERE.split(), 2)) for n in range(6)}
        relevant = {query: {f"{name}{n}": 1 for n in range(3)} for query in queries}
        sets[name] = RetrievalSet(documents, Judgements(queries, relevant))
    sections = tuple(Section(f"Heading {n}", paragraphs=(text() * 5,)) for n in range(4))
    page = Document("page", "", "page", sections)
    size = dupmae.SIZES["cpu"]._replace(
        layers=1, length=24, vocabulary=120, warm_up=0.2, pretraining=0.2, probe=0.1,
        batch=4, steps=2, tuning_batch=4,
    )  # fmt: skip
    monkeypatch.setitem(dupmae.SIZES, "cpu", size)
    monkeypatch.setattr(dupmae_start, "load", lambda *_: tiny_model())
    monkeypatch.setattr(dupmae_data, "HELD_OUT", 4)
    monkeypatch.setattr(dupmae_data, "judged_sets", lambda: sets)
    monkeypatch.setattr(dupmae_data, "python_documentation", lambda: (page,))
    monkeypatch.setattr(dupmae_data, "_contexts", lambda: [text() for _ in range(5)])
    monkeypatch.setattr(learned_texts, "judged_sets", lambda: sets)
    dupmae_data.material.cache_clear()
    yield sets
    dupmae_data.material.cache_clear()


def test_what_is_learned_from(small: dict[str, RetrievalSet]) -> None:
    given = dupmae_data.material()
    assert len(given.held_out) == 4
    assert not set(given.held_out) & set(given.texts)
    asked = {query for found in small.values() for query in found.judgements.queries.values()}
    assert not asked & {*given.queries, *given.texts, *given.held_out}
    pairs = dict(zip(given.queries, given.answers, strict=True))
    title, body = small["cisi"].documents["cisi3"].split("\n")
    assert pairs[title] == body
    # A heading's passages are no negatives of one another.
    headings = [n for n, query in enumerate(given.queries) if query == "Heading 2"]
    assert len(headings) > 1
    assert len({given.labels[n] for n in headings}) == 1
    assert len(set(given.labels)) == 4 + 24
    rows = {name: source.rows for name, source in RECIPE.sources().items()}
    assert rows == {
        "texts": len(given.texts) + 4,
        "pairs": 2 * len(given.queries),
        "cranfield queries": 6,
        "cisi queries": 6,
    }


def test_every_arm_runs_and_three_share_their_pre_training(
    small: dict[str, RetrievalSet], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    tested: list[Any] = []
    run = Run(0, "cpu", "cpu", tmp_path, said.append)
    kept = dupmae._tested
    monkeypatch.setattr(
        dupmae, "_tested", lambda model, run: tested.append(model) or kept(model, run)
    )
    found = {arm: start(run) for arm, start in RECIPE.arms.items()}
    for arm, metrics in found.items():
        assert metrics[MEAN] == pytest.approx(
            (metrics[f"cranfield {MEAN}"] + metrics[f"cisi {MEAN}"]) / 2
        ), arm
        assert {"cranfield R@100", "cisi R@100"} <= metrics.keys()
    assert {RECALL} <= found[MLM].keys()
    assert {RECALL, GAIN} <= found[RETRO].keys()
    assert said.count("warming up by masked language modelling") == 1
    assert len(list(tmp_path.rglob("mae_config.json"))) == 1
    # The dense vector of RetroMAE, and the same memory in two halves, or in words alone.
    widths = [model.get_embedding_dimension() for model in tested[:3]]
    assert widths == [32] * 3
    assert all(isinstance(model[1], DuplexPooling) for model in tested[3:])
    assert [(model[1].cls_dim, model[1].ot_topk) for model in tested[3:]] == [(16, 10), (0, 21)]
    assert all(model[1].floats <= 32 for model in tested[3:])


def test_a_probe_leaves_the_model_as_it_is(small: dict[str, RetrievalSet], tmp_path) -> None:
    run = Run(0, "cpu", "cpu", tmp_path, lambda message: None)
    model = dupmae._warm(run)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert 0 <= dupmae._probe(model, run) <= 1
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())


def test_the_exam_asks_judged_queries(small: dict[str, RetrievalSet]) -> None:
    tasks: list[Task] = dupmae._exam().tasks
    assert [task.name for task in tasks] == ["cranfield", "cisi"]
    assert tasks[0].queries == small["cranfield"].judgements.queries
