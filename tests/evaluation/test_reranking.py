from math import log2

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from torch import nn

from polyvec.errors import BadInput
from polyvec.evaluation.exam import Task
from polyvec.evaluation.reranking import (
    Candidates,
    FewShots,
    bm25_candidates,
    choose_weight,
    few_shot_scores,
    folds,
    interpolate_by_folds,
    mixed,
    ndcg,
    pair_scores,
    rerank,
    training_groups,
)
from polyvec.evaluation.retrieval_metrics import measure

PASSAGES = {
    "a": "the cat sleeps in the garden",
    "b": "a dog and a cat",
    "c": "the river and the sea",
    "d": "the garden by the river",
    "e": "a storm at sea",
}
QUERIES = {"1": "cat", "2": "river", "3": "garden", "4": "sea"}
RELEVANT = {"1": {"a": 1}, "2": {"d": 2, "c": 1}, "3": {"d": 1}, "4": {"e": 1}}
TASK = Task("pets", QUERIES, PASSAGES, RELEVANT)


@pytest.fixture(scope="module")
def ranker(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("body")
    tiny_model()[0].save(str(folder))
    torch.manual_seed(0)
    return CrossEncoder(str(folder), num_labels=1, device="cpu").eval()


@pytest.fixture
def candidates() -> Candidates:
    return bm25_candidates(TASK)


def given(*scores: list[float]) -> Candidates:
    ids = [[f"{n}{letter}" for letter in "abcdef"[: len(row)]] for n, row in enumerate(scores)]
    return Candidates(ids, [np.array(row) for row in scores], {})


def test_candidates_are_passages_that_share_a_word(candidates) -> None:
    assert [set(ids) for ids in candidates.ids] == [{"a", "b"}, {"c", "d"}, {"a", "d"}, {"c", "e"}]
    for scores in candidates.scores:
        assert (np.diff(scores) <= 0).all()
        assert (scores > 0).all()
    assert [len(ids) for ids in bm25_candidates(TASK, depth=1).ids] == [1, 1, 1, 1]


def test_ndcg_worked_by_hand() -> None:
    # Gains 0, 2, 1 against 2, 1; the third relevant passage is not found.
    found = ndcg([["x", "p", "q"]], [{"p": 2, "q": 1, "r": 1}])
    ideal = 2 + 1 / log2(3) + 1 / 2
    assert found.tolist() == pytest.approx([(2 / log2(3) + 1 / 2) / ideal])
    assert ndcg([["x", "p"]], [{"p": 1}], depth=1).tolist() == [0]
    assert ndcg([[]], [{"p": 1}]).tolist() == [0]


def test_ndcg_agrees_with_the_exams() -> None:
    rankings = [["d", "a", "c"], ["b", "e"]]
    relevant = [{"c": 2, "d": 1, "b": 3}, {"e": 1, "a": 0}]
    expected = measure(rankings, relevant)["ndcg@10"]
    assert ndcg(rankings, relevant, depth=10).tolist() == pytest.approx(expected.tolist())


def test_mixing_worked_by_hand() -> None:
    # Standardised, the first stage is 1.34, .45, -.45, -1.34 and the model -1, 1, -1, 1.
    found = given([4.0, 3.0, 2.0, 1.0])
    ours = [np.array([0.0, 10.0, 0.0, 10.0])]
    assert mixed(ours, found, 0.0) == [["0b", "0d", "0a", "0c"]]
    assert mixed(ours, found, 0.5) == [["0b", "0a", "0d", "0c"]]
    assert mixed(ours, found, 1.0) == [["0a", "0b", "0c", "0d"]]


def test_units_of_scores_do_not_matter() -> None:
    found = given([5.0, 2.0, 1.0], [3.0])
    ours = [np.array([0.1, 0.3, 0.2]), np.array([2.0])]
    scaled = [100 * scores - 7 for scores in ours]
    for weight in (0.0, 0.3, 0.7, 1.0):
        assert mixed(ours, found, weight) == mixed(scaled, found, weight)


def test_scores_that_say_nothing_keep_the_first_stages_order() -> None:
    found = given([5.0, 2.0, 1.0], [])
    assert mixed([np.zeros(3), np.empty(0)], found, 0.0) == [["0a", "0b", "0c"], []]


def test_reranking_orders_by_the_models_scores(ranker, candidates) -> None:
    queries = list(QUERIES.values())
    scores = pair_scores(ranker, queries, candidates)
    for query, ids, row in zip(queries, candidates.ids, scores, strict=True):
        pairs = [(query, PASSAGES[id]) for id in ids]
        assert row == pytest.approx(ranker.predict(pairs, activation_fn=nn.Identity()), abs=1e-6)
    expected = [
        [id for _, id in sorted(zip(-row, ids, strict=True))]
        for row, ids in zip(scores, candidates.ids, strict=True)
    ]
    assert rerank(ranker, queries, candidates) == expected
    assert rerank(ranker, queries, candidates, batch=1) == expected
    assert rerank(ranker, queries, candidates, interpolate_bm25=1.0) == candidates.ids


def test_no_candidates_at_all(ranker) -> None:
    nothing = Candidates([[], []], [np.empty(0), np.empty(0)], {})
    assert rerank(ranker, ["a", "b"], nothing) == [[], []]


def test_the_weight_is_that_with_the_best_ndcg() -> None:
    # The first stage is right for the first query and the model for the second, but less surely.
    found = given([9.0, 1.0, 0.0], [2.0, 1.9, -9.0])
    ours = [np.array([0.0, 0.1, 0.0]), np.array([0.0, 1.0, 0.0])]
    relevant = [{"0a": 1}, {"1b": 1}]
    weight = choose_weight(ours, found, relevant)
    assert ndcg(mixed(ours, found, weight), relevant).tolist() == [1, 1]
    assert choose_weight(ours[:1], found.of([0]), relevant[:1]) == 1.0
    assert choose_weight(ours[1:], found.of([1]), [{"1b": 1}]) < 1.0


def test_each_folds_weight_comes_from_the_others() -> None:
    # Where the model is right on one half and wrong on the other, each half gets the other's weight.
    found = given(*[[2.0, 1.0]] * 4)
    ours = [np.array([0.0, 1.0])] * 4
    relevant = [{"0a": 1}, {"1a": 1}, {"2b": 1}, {"3b": 1}]
    parts = [np.array([0, 1]), np.array([2, 3])]
    rankings = interpolate_by_folds(ours, found, relevant, parts)
    assert [ranking[0] for ranking in rankings] == ["0b", "1b", "2a", "3a"]


def test_folds_share_out_every_query_once() -> None:
    parts = folds(11, 3, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(11))
    assert [p.tolist() for p in parts] == [p.tolist() for p in folds(11, 3, seed=0)]
    assert [p.tolist() for p in parts] != [p.tolist() for p in folds(11, 3, seed=1)]


def test_groups_are_a_relevant_passage_and_candidates_that_are_not(candidates) -> None:
    rng = np.random.default_rng(0)
    relevant = list(RELEVANT.values())
    columns = training_groups(list(QUERIES.values()), candidates, relevant, [0, 2], 3, rng)
    assert len(columns) == 4
    assert columns[0] == [("cat", PASSAGES["a"]), ("garden", PASSAGES["d"])]
    for column in columns[1:]:
        assert column == [("cat", PASSAGES["b"]), ("garden", PASSAGES["a"])]
    # River has two relevant passages and no other candidate.
    with pytest.raises(BadInput, match="no query has both a relevant passage and a candidate"):
        training_groups(list(QUERIES.values()), candidates, relevant, [1], 3, rng)


def test_a_few_queries_teach_without_changing_the_model(ranker) -> None:
    # The second of two candidates is always right, and always the one with "stone" in it.
    words = ["cat", "dog", "river", "sea", "moon", "bird", "boat", "bread"]
    texts = {f"{w}0": f"{w} queen" for w in words} | {f"{w}1": f"{w} stone" for w in words}
    found = Candidates(
        [[f"{w}0", f"{w}1"] for w in words], [np.array([2.0, 1.0])] * len(words), texts
    )
    relevant = [{f"{w}1": 1} for w in words]
    parts = folds(len(words), 2, seed=0)
    how = FewShots(queries=4, negatives=1, steps=20, batch=4, learning_rate=3e-3)
    before = pair_scores(ranker, words, found)
    scores = few_shot_scores(ranker, words, found, relevant, parts, how, seed=0)
    assert ndcg(mixed(scores, found, 0.0), relevant).mean() == 1
    again = few_shot_scores(ranker, words, found, relevant, parts, how, seed=0)
    for one, other, old, now in zip(
        scores, again, before, pair_scores(ranker, words, found), strict=True
    ):
        assert one.tolist() == other.tolist()
        assert old.tolist() == now.tolist()


def test_what_makes_no_sense(ranker, candidates) -> None:
    with pytest.raises(BadInput, match="1 queries and 4 lists of candidates"):
        rerank(ranker, ["cat"], candidates)
    with pytest.raises(BadInput, match=r"a weight of 2\.0 for the first stage: give 0 to 1"):
        rerank(ranker, list(QUERIES.values()), candidates, interpolate_bm25=2.0)
    for parts in (1, 5):
        with pytest.raises(BadInput, match=f"{parts} folds of 4 queries"):
            folds(4, parts, seed=0)
    with pytest.raises(BadInput, match="3 queries to learn from, and 2 outside of a fold"):
        few_shot_scores(
            ranker,
            list(QUERIES.values()),
            candidates,
            list(RELEVANT.values()),
            folds(4, 2, seed=0),
            FewShots(queries=3),
            seed=0,
        )
