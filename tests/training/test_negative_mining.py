import json

import numpy as np
import pytest

from polyvec.errors import BadInput
from polyvec.training.negative_mining import NONE, mine_hard_negatives
from polyvec.training.rankers import DenseRanker, LexicalRanker

CORPUS = ["right", "near", "hard", "easy", "far", "RIGHT "]
SCORES = np.array([[1.0, 0.97, 0.9, 0.5, 0.1, 0.99], [0.2, 0.4, 0.8, 0.1, 0.0, 0.3]], np.float32)


class Fixed:
    """A ranker with these scores."""

    def __init__(self, scores=SCORES):
        self.table = np.asarray(scores, np.float32)

    def search(self, queries, depth):
        ids = np.argsort(-self.table, axis=1, kind="stable")[:, :depth].astype(np.int64)
        return ids, np.take_along_axis(self.table, ids, axis=1)

    def scores(self, queries, ids):
        found = np.take_along_axis(self.table, np.maximum(ids, 0), axis=1)
        return np.where(ids >= 0, found, -np.inf).astype(np.float32)


def mine(positives=([0], [2]), scores=SCORES, corpus=CORPUS, **options):
    queries = [f"query {number}" for number in range(len(positives))]
    given = {"ranks": (0, 6), "n": 2, "fill": None, **options}
    return mine_hard_negatives(Fixed(scores), queries, list(positives), corpus, **given)


def names(found):
    return [[CORPUS[number] if number >= 0 else None for number in row] for row in found.negatives]


def test_by_hand():
    found = mine()
    # Below 0.95 of the positive; its copy in other letters is right, "near" too near.
    assert names(found) == [["hard", "easy"], ["near", "RIGHT "]]
    assert found.scores[0].tolist() == pytest.approx([0.9, 0.5])
    assert found.positive_scores.tolist() == pytest.approx([1.0, 0.8])
    report = found.report
    assert (report.candidates, report.right, report.above_threshold) == (12, 3, 1)
    assert (report.mined, report.filled, report.missing, report.inconsistent) == (4, 0, 0, 0)
    assert sum(report.thresholds["counts"]) == 2
    assert json.loads(json.dumps(report.to_dict()))["mined"] == 4


def test_a_band_of_ranks():
    assert names(mine(ranks=(3, 5))) == [["hard", "easy"], ["right", "easy"]]


def test_rules():
    assert names(mine(rule=None))[0] == ["near", "hard"]
    assert names(mine(rule="margin", value=0.3))[0] == ["easy", "far"]
    # A positive of -0.4: below -0.4 - 0.05 * 0.4, not below 0.95 * -0.4.
    found = mine([[0]], [[-0.4, -0.41, -0.43, -0.9, -1.0, -0.4]])
    assert names(found) == [["hard", "easy"]]


def test_of_several_positives_one_decides():
    both = [[0, 3], [2]]
    assert names(mine(both))[0] == ["far", None]
    assert names(mine(both, positives_by="max"))[0] == ["hard", "far"]


def test_ranking_consistency_leaves_a_query_out():
    found = mine([[0], [0]], consistency_topk=2)
    assert found.kept.tolist() == [True, False]
    assert found.negatives[1].tolist() == [NONE, NONE]
    assert found.report.inconsistent == 1
    assert mine([[0], [1]], consistency_topk=2).kept.all()


def test_empty_places_are_filled_at_random():
    # Only the two best are looked at, so that two places stay empty.
    found = mine([[2], [2]], SCORES[[1, 1]], ranks=(0, 2), n=3, fill="random")
    assert found.report.filled == 4
    assert found.report.missing == 0
    assert (found.negatives[:, 0] == 1).all()
    assert all(2 not in row and len(set(row)) == 3 for row in found.negatives.tolist())
    assert np.isfinite(found.scores).all()
    again = mine([[2], [2]], SCORES[[1, 1]], ranks=(0, 2), n=3, fill="random")
    assert np.array_equal(found.negatives, again.negatives)


def test_what_is_too_near_fills_no_place():
    found = mine(n=5, fill="random")
    assert found.negatives[0].tolist() == [2, 3, 4, NONE, NONE]
    assert (found.report.filled, found.report.missing) == (0, 2)


def test_at_random_from_the_band():
    drawn = {tuple(mine(n=1, choose="random", seed=seed).negatives[0]) for seed in range(20)}
    assert drawn == {(2,), (3,), (4,)}


def test_the_order_of_queries_does_not_matter():
    forward, back = mine(), mine([[2], [0]], SCORES[::-1])
    assert np.array_equal(forward.negatives, back.negatives[::-1])


def test_bm25_and_vectors_rank(tiny_model):
    corpus = ["red wine in a glass", "white wine", "a red house", "the blue sea", "bread and fish"]
    for ranker in (LexicalRanker(corpus), DenseRanker(tiny_model(), corpus)):
        ids, scores = ranker.search(["red wine", "fish"], 5)
        assert (np.diff(scores, axis=1) <= 0).all()
        assert np.allclose(ranker.scores(["red wine", "fish"], ids), scores, atol=1e-5)
        assert np.isneginf(ranker.scores(["fish"], np.array([[NONE]]))).all()
    found = mine_hard_negatives(
        LexicalRanker(corpus), ["red wine"], [[0]], corpus, ranks=(0, 5), n=2, fill=None
    )
    assert set(found.negatives[0].tolist()) <= {1, 2, 3, 4}


def test_an_approximate_index_finds_the_same(tiny_model):
    pytest.importorskip("faiss")
    corpus = [
        f"{colour} {thing}"
        for colour in ["red", "blue", "green", "white"]
        for thing in ["sea", "house", "cat"]
    ]
    exact, graph = (DenseRanker(tiny_model(), corpus, index) for index in ("flat", "hnsw"))
    wanted, found = (ranker.search(["red cat"], 4) for ranker in (exact, graph))
    assert np.allclose(wanted[1], found[1], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"positives": ([0],)}, None),
        ({"positives": ([0], [])}, "query 1 has the positives"),
        ({"positives": ([0], [9])}, "numbers of texts from 0 to 5"),
        ({"ranks": (5, 5)}, "give a band"),
        ({"n": 0}, "1 negative or more"),
        ({"rule": "share"}, "give ratio, margin or none"),
        ({"value": 1.5}, "give a ratio in"),
        ({"rule": "margin", "value": -1}, "a margin of 0 or more"),
        ({"rule": "margin", "value": 5}, "2 of 2 queries keep no candidate"),
    ],
)
def test_bad_input(options, sentence):
    if sentence is None:
        with pytest.raises(BadInput, match="2 queries and 1 lists"):
            mine_hard_negatives(Fixed(), ["a", "b"], [[0]], CORPUS)
        return
    with pytest.raises(BadInput, match=sentence):
        mine(**options)


def test_another_index_is_refused(tiny_model):
    with pytest.raises(BadInput, match="index 'tree': give flat or hnsw"):
        DenseRanker(tiny_model(), ["a"], "tree")
