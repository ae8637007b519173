"""The experiment of PROP: its rule, its data, and that every arm runs, at a size that means nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from polyvec.data.beir import Judgements
from polyvec.data.benchmarks.question_answering import RetrievalSet
from polyvec.data.documents import Document, Section
from polyvec.evaluation.exam import Task
from polyvec.evaluation.reranking import FewShots
from polyvec.objectives.own_weights import load_own_weights
from polyvec.objectives.representative_words import RepresentativeWordsPrediction
from polyvec.recipes import prop_data, prop_model
from polyvec.recipes.prop import (
    BM25,
    BPROP,
    FREQUENCY,
    ICT,
    MLM,
    RECIPE,
    ROP,
    SHUFFLED,
    judge,
)
from polyvec.recipes.recipe import Run

WORDS = "cat dog river sea moon bird boat bread stone wind rain storm garden house lake"


def _values(rop=0.4, mlm=0.2, likelihood=0.2, ict=0.3, shuffled=0.2, few=0.05, accuracy=0.6):
    def both(value):
        return {"cranfield ndcg@20": [value] * 3, "cisi ndcg@20": [value] * 3}

    shown = "ndcg@20, 10 queries"
    by = {f"{name} by likelihood": value for name, value in both(likelihood).items()}
    return {
        MLM: {**both(mlm), **by, shown: [0.3] * 3},
        ICT: {"ndcg@20": [ict] * 3},
        ROP: {
            **both(rop),
            "ndcg@20": [rop] * 3,
            shown: [0.3 + few] * 3,
            "pair accuracy": [accuracy] * 3,
        },
        SHUFFLED: {"ndcg@20": [shuffled] * 3},
        FREQUENCY: {"ndcg@20": [0.2] * 3, "pair accuracy": [0.53] * 3},
    }


def _one_seed_lower():
    values = _values()
    values[ROP]["cisi ndcg@20"] = [0.4, 0.4, 0.21]
    return values


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (_values(), "holds"),
        (_values(few=0.0), "holds in part"),
        (_values(ict=0.45), "holds in part"),
        (_one_seed_lower(), "holds in part"),
        (_values(likelihood=0.36), "not seen at this scale"),
        (_values(rop=0.24), "not seen at this scale"),
        (_values(shuffled=0.395), "not seen at this scale"),
        (_values(rop=0.205, mlm=0.1, likelihood=0.1, accuracy=0.535), "not seen at this scale"),
        (_values(rop=0.1, few=-0.01), "contradicted"),
    ],
)
def test_the_rule_decides(values, verdict) -> None:
    assert judge(values) == verdict


def test_texts_are_cut_into_windows_that_hold_all_words() -> None:
    for count in range(40):
        text = " ".join(f"w{number}" for number in range(count))
        found = prop_data.windows(text, 9)
        assert " ".join(found) == text
        assert all(3 <= len(part.split()) <= 11 for part in found) or count < 3


def test_the_lot_turns_about_half_of_the_pairs() -> None:
    columns = [[(f"p{n}", "d") for n in range(1000)], [(f"n{n}", "d") for n in range(1000)]]
    first, second = prop_data.shuffled(columns, seed=0)
    turned = [better[0].startswith("n") for better in first]
    assert 400 < sum(turned) < 600
    for n, (better, worse) in enumerate(zip(first, second, strict=True)):
        assert {better[0], worse[0]} == {f"p{n}", f"n{n}"}


@pytest.fixture
def small(monkeypatch, tiny_model):
    """Tiny sizes, and data made of a few words instead of that on disk."""
    rng = np.random.default_rng(0)

    def text():
        return " ".join(" ".join(rng.choice(WORDS.split(), 6)) + "." for _ in range(5))

    sets = {}
    for name in ("cranfield", "cisi"):
        documents = {f"{name}{n}": text() for n in range(30)}
        queries = {str(n): " ".join(rng.choice(WORDS.split(), 2, replace=False)) for n in range(6)}
        relevant = {query: {f"{name}{n}": 1 for n in range(3)} for query in queries}
        sets[name] = RetrievalSet(documents, Judgements(queries, relevant))
    page = Document("page", "", "page", (Section("", paragraphs=tuple(text() for _ in range(8))),))
    sizes = dataclasses.replace(
        prop_data.SIZES["cpu"],
        length=48,
        words=12,
        documents=4,
        texts=20,
        warm_steps=2,
        warm_batch=4,
        steps=2,
        batch=4,
        held_out=6,
        queries=4,
        shots=(FewShots(queries=2, negatives=2, steps=2, batch=2),),
    )
    monkeypatch.setitem(prop_data.SIZES, "cpu", sizes)
    monkeypatch.setattr(prop_data, "judged_sets", lambda: sets)
    monkeypatch.setattr(
        prop_data,
        "judged_task",
        lambda name: Task(
            name,
            sets[name].judgements.queries,
            sets[name].documents,
            sets[name].judgements.qrels,
        ),
    )
    monkeypatch.setattr(prop_data, "python_documentation", lambda: (page,))
    monkeypatch.setattr(prop_data, "load", lambda name, device: tiny_model())
    _forget()
    yield sets
    _forget()


def _forget() -> None:
    for found in vars(prop_data).values():
        if hasattr(found, "cache_clear"):
            found.cache_clear()


def test_every_arm_runs_and_measures_the_same(small, tmp_path) -> None:
    said: list[str] = []
    run = Run(0, "cpu", "cpu", tmp_path, said.append)
    values = {arm: start(run) for arm, start in RECIPE.arms.items()}
    for arm, found in values.items():
        assert RECIPE.metric in found, arm
        mean = (found["cranfield ndcg@20"] + found["cisi ndcg@20"]) / 2
        assert found["ndcg@20"] == pytest.approx(mean)
        assert all(0 <= value <= 1 for value in found.values())
    for arm in (MLM, ICT, ROP, BPROP, SHUFFLED):
        assert {"ndcg@20 with BM25", "pair accuracy"} <= set(values[arm])
        assert ("ndcg@20, 2 queries" in values[arm]) == (arm in (MLM, ROP))
    assert "ndcg@20 by likelihood" in values[MLM]
    assert set(values[BM25]) < set(values[FREQUENCY])
    assert said.count("warming up by masked language modelling") == 1  # all arms share the start
    assert {name: source.rows for name, source in RECIPE.sources().items()} == {
        "cranfield": 30,
        "cisi": 30,
        "python documentation": 1,
    }


def test_arms_start_from_the_same_ranker_and_language_head(small, tmp_path) -> None:
    run = Run(0, "cpu", "cpu", tmp_path, lambda message: None)
    folder = prop_model.shared_start(run)
    assert prop_model.shared_start(run) == folder
    model = CrossEncoder(str(folder), device="cpu")
    objective = RepresentativeWordsPrediction(model)
    fresh = objective.head.transform[0].predictions.transform.dense.weight.clone()
    assert load_own_weights(objective, folder)
    assert not torch.equal(objective.head.transform[0].predictions.transform.dense.weight, fresh)
    assert model.num_labels == 1
    assert model.max_seq_length == 48
    pair = model.preprocess([("cat", "dog and sea")])
    assert pair["token_type_ids"][0].tolist()[:4] == [0, 0, 0, 1]


def test_held_out_texts_are_not_learned_from(small) -> None:
    learned, held_out = prop_data.divided("cpu")
    assert len(held_out) == 3
    assert not set(learned) & set(held_out)
    rows = prop_data.cloze_columns("cpu", seed=0)
    known = " ".join(learned)
    assert all(sentence in known for sentence, _ in rows[0])
    for (asked, _), (same, other) in zip(*rows, strict=True):
        assert asked == same
        assert asked not in other


def test_the_likelihood_of_a_query_is_that_of_its_hidden_tokens(small, tmp_path) -> None:
    run = Run(0, "cpu", "cpu", tmp_path, lambda message: None)
    pairs = prop_data.unigram_pairs("cpu", 0)
    objective = prop_model.trained(run, prop_data.word_set_columns("cpu", pairs))
    asked = prop_data.judged("cpu", 0)["cisi"]
    scores, others = (prop_model.query_likelihood(objective, asked, size) for size in (1, 7))
    for one, other in zip(scores, others, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    model = objective.model
    query, document = asked.queries[0], asked.candidates.texts[asked.candidates.ids[0][0]]
    ids = model.preprocess([(query, document)])["input_ids"]
    end = ids[0].tolist().index(model.tokenizer.sep_token_id)
    hidden = ids.clone()
    hidden[0, 1:end] = model.tokenizer.mask_token_id
    given = {**model.preprocess([(query, document)]), "input_ids": hidden}
    _, vectors = objective.encode(given)
    logs = objective.head(vectors)[0, 1:end].log_softmax(dim=1)
    wanted = logs[range(end - 1), ids[0, 1:end]].mean().item()
    assert scores[0][0] == pytest.approx(wanted, abs=1e-4)
