import random
from math import log2

import pytest
import pytrec_eval

from polyvec.evaluation.retrieval_metrics import METRICS, first_hit, measure


def one(ranking, grades):
    return {metric: values[0] for metric, values in measure([ranking], [grades]).items()}


def test_values_worked_by_hand():
    found = one(["x", "a", "y", "b"], {"a": 1, "b": 3, "c": 2})
    # Gains at ranks 2 and 4 are 1 and 3; the ideal order has 3, 2, 1 at ranks 1, 2, 3.
    dcg = 1 / log2(3) + 3 / log2(5)
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert found["ndcg@10"] == pytest.approx(dcg / ideal)
    assert found["mrr@10"] == 1 / 2
    assert found["recall@10"] == found["recall@100"] == pytest.approx(2 / 3)


def test_cutoffs_fall_after_rank_10_and_rank_100():
    fillers = [f"x{n}" for n in range(200)]
    at_10, at_11 = [*fillers[:9], "a"], [*fillers[:10], "a"]
    assert one(at_10, {"a": 1})["mrr@10"] == 1 / 10
    assert one(at_10, {"a": 1})["recall@10"] == 1
    assert one(at_10, {"a": 1})["ndcg@10"] == pytest.approx(1 / log2(11))
    late = one(at_11, {"a": 1})
    assert (late["ndcg@10"], late["mrr@10"], late["recall@10"], late["recall@100"]) == (0, 0, 0, 1)
    assert one([*fillers[:99], "a"], {"a": 1})["recall@100"] == 1
    assert one([*fillers[:100], "a"], {"a": 1})["recall@100"] == 0


def test_the_perfect_ranking_scores_one_even_with_more_than_ten_relevant():
    grades = {f"p{n}": 1 + n % 3 for n in range(15)}
    best_first = sorted(grades, key=lambda p: -grades[p])
    found = one(best_first, grades)
    assert found["ndcg@10"] == pytest.approx(1)
    assert found["recall@10"] == pytest.approx(10 / 15)
    assert found["recall@100"] == 1


def test_an_empty_ranking_scores_zero():
    assert set(one([], {"a": 1}).values()) == {0.0}


def test_no_queries_give_empty_arrays():
    assert {metric: len(values) for metric, values in measure([], []).items()} == dict.fromkeys(
        METRICS, 0
    )


def test_more_rankings_than_judgements_are_refused():
    with pytest.raises(ValueError, match="zip"):
        measure([["a"], ["a"]], [{"a": 1}])


@pytest.mark.parametrize(
    ("ranking", "rank"),
    [(["a", "b"], 1), (["x", "zero", "b"], 3), (["x", "zero"], None), ([], None)],
)
def test_first_hit_is_the_first_passage_with_a_grade_above_zero(ranking, rank):
    assert first_hit(ranking, {"a": 1, "b": 2, "zero": 0}) == rank


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lowest", [1, 0, -2])
def test_agrees_with_pytrec_eval_on_random_rankings(seed, lowest):
    rng = random.Random(seed)
    passages = [f"p{n}" for n in range(150)]
    rankings, relevant = [], []
    for _ in range(40):
        rankings.append(rng.sample(passages, rng.choice([3, 10, 50, 100])))
        judged = rng.sample(passages, rng.choice([1, 5, 20, 120]))
        grades = {passage: rng.randint(lowest, 3) for passage in judged}
        relevant.append({**grades, rng.choice(judged): 2})

    ours = measure(rankings, relevant)
    qrels = {str(q): grades for q, grades in enumerate(relevant)}
    theirs = _pytrec(qrels, rankings, {"ndcg_cut_10", "recall_10", "recall_100"})
    theirs_at_10 = _pytrec(qrels, [ranking[:10] for ranking in rankings], {"recip_rank"})

    for name, values in [
        ("ndcg@10", theirs["ndcg_cut_10"]),
        ("recall@10", theirs["recall_10"]),
        ("recall@100", theirs["recall_100"]),
        ("mrr@10", theirs_at_10["recip_rank"]),
    ]:
        assert ours[name].tolist() == pytest.approx(values, abs=1e-9)


def _pytrec(qrels, rankings, measures):
    runs = {
        str(q): {p: -float(r) for r, p in enumerate(ranking)} for q, ranking in enumerate(rankings)
    }
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(runs)
    return {m: [found[str(q)][m] for q in range(len(rankings))] for m in measures}
