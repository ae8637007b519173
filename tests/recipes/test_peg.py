"""The experiment of PEG: its rule, its data, and that every arm runs, at a size that means nothing."""

from __future__ import annotations

import math
import random

import pytest
import torch

from polyvec.recipes import peg, peg_data, peg_exactness, peg_model
from polyvec.recipes.peg import (
    CLOSED,
    CONSTANT,
    CURRICULAR,
    LARGE,
    MEDIUM,
    METRIC,
    RECIPE,
    REVERSED,
    SCHEDULED,
    SMALL,
    TWICE,
    UNIFORM,
    WEIGHTINGS,
    batch,
    judge,
    noisy,
    picture,
)
from polyvec.recipes.peg_data import Pairs
from polyvec.recipes.recipe import Run

VERBS = [
    "find",
    "build",
    "call",
    "change",
    "close",
    "give",
    "keep",
    "make",
    "move",
    "open",
    "read",
    "sort",
]
THINGS = ["index", "table", "tree", "graph", "vector", "matrix", "node", "path", "page", "query"]


def _values(**changes):
    """An outcome in which all that is claimed is there; changes are (arm, metric) → values."""
    weight = {f"hard weight, {third} third": value for third, value in _weights()}
    found = {
        UNIFORM: 0.40,
        CURRICULAR: 0.41,
        SCHEDULED: 0.42,
        CONSTANT: 0.40,
        REVERSED: 0.40,
        noisy(UNIFORM): 0.30,
        noisy(CURRICULAR): 0.32,
        noisy(SCHEDULED): 0.31,
        noisy(CONSTANT): 0.30,
        noisy(REVERSED): 0.30,
        batch(SMALL): 0.30,
        batch(MEDIUM): 0.35,
        batch(LARGE): 0.36,
    }
    values = {arm: {METRIC: [score] * 3} for arm, score in found.items()}
    for arm in (CURRICULAR, SCHEDULED, REVERSED):
        values[arm] |= {name: [value] * 3 for name, value in weight.items()}
    values[batch(LARGE)] |= {TWICE: [1e-6] * 3, CLOSED: [1e-7] * 3}
    for arm, metrics in changes.items():
        values[arm] |= metrics
    return values


def _weights():
    return [("first", 0.7), ("middle", 0.9), ("last", 1.1)]


def _scored(**scores):
    return _values(**{arm: {METRIC: found} for arm, found in scores.items()})


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (_values(), "holds"),
        (_scored(**{batch(MEDIUM): [0.35, 0.35, 0.29]}), "holds in part"),
        (_scored(**{CURRICULAR: [0.42, 0.42, 0.39]}), "holds in part"),
        (_scored(**{noisy(SCHEDULED): [0.29, 0.29, 0.29]}), "holds in part"),
        # The schedule does not matter where the reversed one does as well.
        (_scored(**{REVERSED: [0.43] * 3}), "holds in part"),
        # No progress, where hard negatives are damped throughout.
        (_values(**{CURRICULAR: {"hard weight, last third": [1.1, 0.9, 1.1]}}), "holds in part"),
        (_scored(**{batch(MEDIUM): [0.29] * 3}), "holds in part"),
        (
            _scored(**{batch(MEDIUM): [0.29] * 3, CURRICULAR: [0.3] * 3, SCHEDULED: [0.41] * 3}),
            "holds in part",
        ),
        (
            _scored(
                **{batch(MEDIUM): [0.29] * 3, CURRICULAR: [0.3] * 3, SCHEDULED: [0.39, 0.39, 0.41]}
            ),
            "not seen at this scale",
        ),
        (
            _scored(**{batch(MEDIUM): [0.29] * 3, CURRICULAR: [0.3] * 3, SCHEDULED: [0.3] * 3}),
            "contradicted",
        ),
        (_values(**{batch(LARGE): {TWICE: [1e-6, 1e-3, 1e-6]}}), "not seen at this scale"),
        (_values(**{batch(LARGE): {CLOSED: [1e-3] * 3}}), "not seen at this scale"),
    ],
)
def test_the_rule_decides(values, verdict) -> None:
    assert judge(values) == verdict


def test_a_share_of_the_positives_is_permuted_and_none_of_it_stays() -> None:
    functions = [f"f{n}" for n in range(50)]
    found = peg_data.permuted(functions, seed=0)
    assert sorted(found) == sorted(functions)
    moved = [n for n in range(50) if found[n] != functions[n]]
    assert len(moved) == 10
    assert found == peg_data.permuted(functions, seed=0)
    assert found != peg_data.permuted(functions, seed=1)


def test_the_trace_by_thirds_worked_by_hand() -> None:
    # The weight is that of all hard negatives of a third: (0.1 · 0.5 + 0.3 · 0.9) / 0.4.
    steps = [
        {"masked_share": 0.1, "t": 0.0, "hard_share": 0.1, "hard_weight": 0.5},
        {"masked_share": 0.3, "t": 0.2, "hard_share": 0.3, "hard_weight": 0.9},
        {"masked_share": 0.2, "t": 0.4, "hard_share": 0.2, "hard_weight": 1.2},
        {"masked_share": 0.2, "t": 0.6, "hard_share": 0.0, "hard_weight": math.nan},
        {"masked_share": 0.0, "t": 0.8, "hard_share": 0.0, "hard_weight": math.nan},
        {"masked_share": 0.4, "t": 1.0, "hard_share": 0.0, "hard_weight": math.nan},
    ]
    assert peg_model.thirds(steps) == pytest.approx(
        {
            "masked share": 0.2,
            "t, first third": 0.1,
            "t, middle third": 0.5,
            "t, last third": 0.9,
            "hard share, first third": 0.2,
            "hard share, middle third": 0.1,
            "hard share, last third": 0.0,
            "hard weight, first third": 0.8,
            "hard weight, middle third": 1.2,
            "hard weight, last third": 1.0,
        }
    )
    assert peg_model.thirds([{"masked_share": 0.5}] * 3) == {"masked share": 0.5}


def test_known_texts_are_looked_up() -> None:
    module = peg_model.KnownTexts(["a", "b"], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    features = module(module.preprocess(["b", "a", "b"], prompt=None))
    assert features["sentence_embedding"].tolist() == [[3, 4], [1, 2], [3, 4]]
    assert not list(module.parameters())


@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_is_the_gradient(seed, monkeypatch) -> None:
    assert peg_exactness.closed_form_difference(seed) < 1e-5
    right = peg_exactness._written_out
    monkeypatch.setattr(peg_exactness, "_written_out", lambda *given: 1.01 * right(*given))
    assert peg_exactness.closed_form_difference(seed) > 1e-3


@pytest.fixture
def small(monkeypatch, tiny_model):
    """Tiny sizes, and pairs made of a few words instead of those of packages."""

    def pairs(packages):
        words = [(verb, thing) for verb in VERBS for thing in THINGS]
        random.Random(0).shuffle(words)
        half = words[:60] if packages == peg_data.LEARNED else words[60:]
        queries = [f"{verb} the {thing} of a list" for verb, thing in half]
        return Pairs(queries, [f"def {verb}_{thing}(list): return" for verb, thing in half])

    size = peg_model.Size(40, 24, 6, 30, 40, 16, 3, 1e-3, whole=False)
    monkeypatch.setitem(peg_model.SIZES, "cpu", size)
    monkeypatch.setitem(peg_exactness.LARGER, "cpu", 12)
    monkeypatch.setattr(peg_exactness, "ROWS", 8)
    monkeypatch.setattr(peg_data, "pairs", pairs)
    monkeypatch.setattr(peg_data, "RANKS", (2, 12))
    monkeypatch.setattr(peg_model, "LAYERS", 2)
    monkeypatch.setattr(peg_model, "load", lambda name, device: tiny_model())
    _forget()
    yield
    _forget()


def _forget() -> None:
    for found in vars(peg_data).values():
        if hasattr(found, "cache_clear"):
            found.cache_clear()


@pytest.fixture
def run(tmp_path):
    said: list[str] = []
    return Run(0, "cpu", "cpu", tmp_path, said.append)


def test_every_row_has_five_negatives_that_are_not_its_positive(small) -> None:
    anchors, positives, *negatives = peg_data.columns(40)
    assert len(negatives) == 5
    assert {len(column) for column in (anchors, positives, *negatives)} == {40}
    for row, others in enumerate(zip(*negatives, strict=True)):
        assert positives[row] not in others
        assert len(set(others)) == 5
        assert set(others) <= set(positives)


def test_nothing_that_is_asked_was_learned_from(small) -> None:
    learned, asked = peg_data.learned(40), peg_data.asked(6, 30)
    assert not {*learned.queries, *learned.functions} & {
        *asked.queries.values(),
        *asked.passages.values(),
    }
    assert not set(peg_data.LEARNED) & set(peg_data.ASKED)
    assert all(query in asked.passages for query in asked.queries)


def test_every_arm_runs_and_measures_the_same(small, run, monkeypatch, tmp_path) -> None:
    values = {}
    for arm, start in RECIPE.arms.items():
        with monkeypatch.context() as smaller:
            smaller.setattr(peg, "LARGE", 10)
            # In float64: vectors of a model that has learned nothing are nearly one, and float32 rounds sums of them.
            smaller.setattr(
                peg_exactness, "whole_encoder", lambda run: peg_model.whole_encoder(run).double()
            )
            fewer = {"rows": 8} if "rows" in getattr(start, "keywords", {}) else {}
            values[arm] = start(run, **fewer)
    for arm, found in values.items():
        assert 0 <= found[METRIC] <= 1, arm
        assert 0 <= found["masked share"] <= 1, arm
    for weighting in WEIGHTINGS[1:]:
        assert "hard weight, last third" in values[weighting]
        assert ("t, last third" in values[weighting]) == (weighting == CURRICULAR)
    assert values[SCHEDULED]["beta, first third"] < values[SCHEDULED]["beta, last third"]
    assert values[REVERSED]["beta, first third"] > values[REVERSED]["beta, last third"]
    assert values[CONSTANT]["beta, first third"] == values[CONSTANT]["beta, last third"] == 5
    exact = values[batch(LARGE)]
    assert exact[TWICE] < 1e-9
    assert exact[CLOSED] < 1e-5
    assert exact["MB of a step of 12 rows, kept"] > -100
    evidence = {"arms": _three_times(values), "verdict": judge(_three_times(values))}
    picture(evidence, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
    assert {source.rows for source in RECIPE.sources().values()} == {60}


def _three_times(values):
    return {
        arm: {name: [value] * 3 for name, value in found.items()} for arm, found in values.items()
    }


def test_arms_of_a_seed_start_alike_and_texts_are_read_once(small, run, monkeypatch) -> None:
    one, other = peg_model.start(run), peg_model.start(run)
    monkeypatch.setattr(peg_model, "encode", None)
    third = peg_model.start(run)
    for model in (other, third):
        for mine, theirs in zip(
            one.state_dict().values(), model.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    texts = peg_data.learned(40).queries[:2]
    assert one.preprocess(texts)["input_ids"].tolist() == [[0], [1]]


def test_all_layers_are_trained_where_there_is_time(small, run, monkeypatch) -> None:
    size = peg_model.SIZES["cpu"]._replace(whole=True)
    monkeypatch.setitem(peg_model.SIZES, "cpu", size)
    model = peg_model.start(run)
    assert len(model[0].auto_model.encoder.layer) == 2
    assert model.max_seq_length == 24
    found = peg_model.learn(run, CURRICULAR, noisy=True)
    assert 0 <= found[METRIC] <= 1
