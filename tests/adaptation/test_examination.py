from math import log2

import pytest

from polyvec.adaptation.examination import SNIPPET, examples, retention_summary, summary
from polyvec.evaluation.bootstrap import paired_bootstrap
from polyvec.evaluation.exam import Exam, Task
from polyvec.evaluation.retrieval_metrics import METRICS

PASSAGES = {"a": "apple", "b": "bird " * 200, "c": "cat", "d": "dog"}
FIRST = Task("first", {"q1": "one", "q2": "two"}, PASSAGES, {"q1": {"a": 1}, "q2": {"b": 1}})
SECOND = Task("second", {"q1": "three"}, PASSAGES, {"q1": {"c": 0, "d": 2}})
EXAM = Exam([FIRST, SECOND])

RANKINGS = {
    "bm25": {"first": [[], ["b"]], "second": [["c", "d"]]},
    "base": {"first": [["b", "a"], ["b", "a"]], "second": [["a", "b", "d", "c"]]},
    "adapted": {"first": [["a", "b"], ["a", "b"]], "second": [["d", "c", "b", "a"]]},
}
SECOND_PLACE, THIRD_PLACE = 1 / log2(3), 1 / 2


@pytest.fixture(scope="module")
def found():
    return summary(EXAM, RANKINGS, seed=0)


def test_means_worked_by_hand(found):
    assert list(found["mean"]) == ["bm25", "base", "adapted"]
    assert set(found["mean"]["base"]) == set(METRICS)
    # A task is the mean of its queries, the whole is the mean of the tasks.
    base_first, adapted_first = (SECOND_PLACE + 1) / 2, (1 + SECOND_PLACE) / 2
    assert found["tasks"]["first"]["base"]["ndcg@10"] == pytest.approx(base_first)
    assert found["tasks"]["second"]["base"]["ndcg@10"] == pytest.approx(THIRD_PLACE)
    assert found["mean"]["base"]["ndcg@10"] == pytest.approx((base_first + THIRD_PLACE) / 2)
    assert found["mean"]["adapted"]["ndcg@10"] == pytest.approx((adapted_first + 1) / 2)
    assert found["mean"]["bm25"]["ndcg@10"] == pytest.approx((1 / 2 + SECOND_PLACE) / 2)
    assert found["mean"]["base"]["mrr@10"] == pytest.approx((3 / 4 + 1 / 3) / 2)


def test_gains_are_differences_of_the_means(found):
    mean = {system: values["ndcg@10"] for system, values in found["mean"].items()}
    assert found["gain"]["value"] == pytest.approx(mean["adapted"] - mean["base"])
    assert found["gain_over_bm25"]["value"] == pytest.approx(mean["adapted"] - mean["bm25"])
    assert set(found["gain"]) == {"value", "low", "high", "p"}


def test_intervals_are_told_for_every_task_and_the_mean(found):
    assert list(found["intervals"]) == ["first", "second", "mean"]
    for name, interval in found["intervals"].items():
        values = found["mean"] if name == "mean" else found["tasks"][name]
        for system, bounds in interval["systems"].items():
            assert bounds["value"] == pytest.approx(values[system]["ndcg@10"])
            assert bounds["low"] - 1e-9 <= bounds["value"] <= bounds["high"] + 1e-9
    assert found["intervals"]["mean"]["over_base"] == found["gain"]
    assert found["intervals"]["mean"]["over_bm25"] == found["gain_over_bm25"]


def test_the_interval_of_a_gain_is_that_of_the_paired_differences(found):
    scores = {system: EXAM.score(RANKINGS[system]) for system in ("base", "adapted")}
    differences = [
        scores["adapted"][task]["ndcg@10"] - scores["base"][task]["ndcg@10"]
        for task in ("first", "second")
    ]
    assert found["gain"] == paired_bootstrap(differences, seed=0).to_dict()


def test_sizes(found):
    assert found["sizes"] == {
        "first": {"queries": 2, "passages": 4},
        "second": {"queries": 1, "passages": 4},
    }


def test_examples_are_ordered_by_change_and_leave_out_what_did_not_change_that_way(found):
    # q1 of first rose by 0.37, that of second by 0.5; q2 of first fell by 0.37.
    assert [example["query"] for example in found["examples"]["better"]] == ["three", "one"]
    assert [example["query"] for example in found["examples"]["worse"]] == ["two"]


def test_an_example_tells_what_was_wanted_and_what_each_found(found):
    assert found["examples"]["better"][0] == {
        "task": "second",
        "query": "three",
        "wanted_id": "d",
        "wanted": "dog",
        "base_rank": 3,
        "base_found_id": "a",
        "base_found": "apple",
        "adapted_rank": 1,
        "adapted_found_id": "d",
        "adapted_found": "dog",
    }
    (worse,) = found["examples"]["worse"]
    assert worse["wanted"] == ("bird " * 200)[:SNIPPET]
    assert (worse["base_rank"], worse["adapted_rank"]) == (1, 2)


def test_no_more_examples_than_asked_for():
    scores = {system: EXAM.score(RANKINGS[system]) for system in ("base", "adapted")}
    found = examples(EXAM, RANKINGS["base"], RANKINGS["adapted"], scores, most=1)
    assert [example["query"] for example in found["better"]] == ["three"]
    assert len(found["worse"]) == 1


def test_a_wanted_passage_that_was_not_found_has_no_rank():
    queries = {"q": "query"}
    task = Task("t", queries, {f"p{n}": "text" for n in range(3)}, {"q": {"p2": 1}})
    exam = Exam([task])
    rankings = {"base": {"t": [["p0", "p1"]]}, "adapted": {"t": [["p2"]]}}
    scores = {system: exam.score(ranked) for system, ranked in rankings.items()}
    (example,) = examples(exam, rankings["base"], rankings["adapted"], scores)["better"]
    assert (example["base_rank"], example["adapted_rank"]) == (None, 1)


def test_a_wanted_passage_outside_the_corpus_is_not_shown():
    task = Task("t", {"q": "query"}, {"p0": "zero", "p1": "one"}, {"q": {"gone": 1, "p1": 1}})
    exam = Exam([task])
    rankings = {"base": {"t": [["p0", "p1"]]}, "adapted": {"t": [["p1", "p0"]]}}
    scores = {system: exam.score(ranked) for system, ranked in rankings.items()}
    (example,) = examples(exam, rankings["base"], rankings["adapted"], scores)["better"]
    assert (example["wanted_id"], example["wanted"]) == ("p1", "one")


def test_identical_systems_have_no_examples_and_no_gain():
    same = {**RANKINGS, "adapted": RANKINGS["base"]}
    found = summary(EXAM, same, seed=0)
    assert found["examples"] == {"better": [], "worse": []}
    assert found["gain"] == {"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


def test_retention_worked_by_hand():
    base, adapted = (EXAM.score(RANKINGS[system]) for system in ("base", "adapted"))
    found = retention_summary(EXAM, base, adapted)
    first = (1 + SECOND_PLACE) / 2
    assert found["base"] == pytest.approx((first + THIRD_PLACE) / 2)
    assert found["adapted"] == pytest.approx((first + 1) / 2)
    assert found["change"] == pytest.approx((1 - THIRD_PLACE) / 2)
    assert found["tasks"]["second"] == {"base": THIRD_PLACE, "adapted": 1.0, "queries": 1}
    assert found["tasks"]["first"]["queries"] == 2
