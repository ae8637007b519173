from collections import Counter

import pytest

from polyvec.data.structure_pairs import Pair
from polyvec.training.pair_mixture import PASSES, SAME_QUERY, by_task, compose, most_steps


def pairs_of(task, count, **more):
    return [
        Pair(task, f"{task} query {n}", f"{task}-{n}", f"{task}-{n}", **more) for n in range(count)
    ]


def texts_of(tasks):
    return {pair.passage: f"text of {pair.passage}" for pairs in tasks.values() for pair in pairs}


def composed(tasks, size, steps, seed=0, **more):
    return compose(tasks, texts_of(tasks), size, steps, seed, **more)


def batches_of(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def batches_a_task(rows, size):
    return Counter(batch["anchor"][0].split()[0] for batch in batches_of(rows, size))


def test_pairs_are_grouped_by_task_and_small_tasks_left_out():
    pairs = [*pairs_of("b", 5), *pairs_of("a", 4), *pairs_of("c", 3)]
    tasks = by_task(pairs, size=4, seed=0)
    assert {task: len(found) for task, found in tasks.items()} == {"a": 4, "b": 5}
    assert list(tasks) == ["a", "b"]
    assert set(tasks["a"]) == set(pairs_of("a", 4))


def test_a_query_brings_no_more_than_its_share():
    title = [Pair("t", "one title", f"p{n}", "d") for n in range(50)]
    tasks = by_task([*title, *pairs_of("t", 10)], size=4, seed=0)
    assert Counter(pair.query for pair in tasks["t"])["one title"] == SAME_QUERY
    assert len(tasks["t"]) == 10 + SAME_QUERY


def test_which_pairs_of_a_query_stay_is_decided_by_the_seed():
    title = [Pair("t", "one title", f"p{n}", "d") for n in range(50)]
    assert by_task(title, 4, seed=1) == by_task(title, 4, seed=1)
    assert by_task(title, 4, seed=1) != by_task(title, 4, seed=2)


def test_the_same_query_in_two_tasks_counts_for_each():
    pairs = [Pair(task, "one", f"p{n}", "d") for task in "ab" for n in range(4)]
    assert {task: len(found) for task, found in by_task(pairs, 4, seed=0).items()} == {
        "a": 4,
        "b": 4,
    }


def test_most_steps_worked_by_hand():
    # 4 · 10 // 8 = 5 and 4 · 9 // 8 = 4.
    assert most_steps({"a": pairs_of("a", 10), "b": pairs_of("b", 9)}, size=8) == 9
    assert most_steps({}, size=8) == 0


@pytest.mark.parametrize(
    ("counts", "steps", "shares"),
    [
        # Roots of 400, 100, 25 are 20, 10, 5: shares of 4 : 2 : 1.
        ({"a": 400, "b": 100, "c": 25}, 7, {"a": 4, "b": 2, "c": 1}),
        ({"a": 400, "b": 100, "c": 25}, 21, {"a": 12, "b": 6, "c": 3}),
        # 25 pairs allow 25 · 4 / 5 = 20 batches; what is over goes to the others, 2 : 1.
        ({"a": 400, "b": 100, "c": 25}, 170, {"a": 100, "b": 50, "c": 20}),
        ({"a": 36, "b": 36}, 10, {"a": 5, "b": 5}),
        ({"a": 7}, 3, {"a": 3}),
    ],
)
def test_a_tasks_share_grows_with_the_root_of_its_pairs(counts, steps, shares):
    tasks = {task: pairs_of(task, count) for task, count in counts.items()}
    rows = composed(tasks, size=5, steps=steps, together=1)
    assert len(rows) == 5 * steps
    assert batches_a_task(rows, 5) == shares


def test_every_batch_is_of_one_task():
    tasks = {task: pairs_of(task, count) for task, count in {"a": 40, "b": 10, "c": 90}.items()}
    for batch in batches_of(composed(tasks, size=6, steps=20), 6):
        assert len({anchor.split()[0] for anchor in batch["anchor"]}) == 1


def test_tasks_come_in_random_order():
    tasks = {task: pairs_of(task, 40) for task in "ab"}
    rows = composed(tasks, size=4, steps=30, together=1)
    order = "".join(batch["anchor"][0][0] for batch in batches_of(rows, 4))
    assert order.count("a") == 15
    assert "aba" in order
    assert order not in {"a" * 15 + "b" * 15, "ab" * 15}


def test_no_pair_is_seen_more_often_than_the_passes_allow():
    tasks = {"a": pairs_of("a", 10), "b": pairs_of("b", 30)}
    rows = composed(tasks, size=5, steps=1000, together=1)
    assert len(rows) == 5 * most_steps(tasks, 5)
    seen = Counter(rows["anchor"])
    assert set(seen.values()) == {PASSES}
    assert len(seen) == 40


def test_a_row_holds_query_text_and_label_of_its_pair():
    tasks = {"a": pairs_of("a", 8)}
    for row in composed(tasks, size=4, steps=4):
        name = row["anchor"].replace(" query ", "-")
        assert row["positive"] == f"text of {name}"


def test_a_pairs_own_text_stands_for_its_passage():
    tasks = {"a": pairs_of("a", 8, text="the rest")}
    assert set(composed(tasks, size=4, steps=2)["positive"]) == {"the rest"}


def test_labels_are_equal_exactly_where_the_answers_are():
    pairs = [Pair("a", f"query {n}", f"p{n}", f"answers {n // 3}") for n in range(12)]
    rows = composed({"a": pairs, "b": pairs_of("b", 12)}, size=4, steps=12)
    answers = {pair.query: pair.answers for pair in [*pairs, *pairs_of("b", 12)]}
    by_label = {(row["label"], answers[row["anchor"]]) for row in rows}
    assert (
        len(by_label) == len({label for label, _ in by_label}) == len({key for _, key in by_label})
    )
    assert len(by_label) > 4


def test_hard_negatives_stand_in_one_batch():
    names = [f"word{family} own{family}x{n}" for family in range(8) for n in range(4)]
    tasks = {"a": [Pair("a", f"{name} ?", name, name) for name in names]}
    rows = compose(tasks, {name: name for name in names}, size=4, steps=6, seed=0, together=4)
    assert all(len({a.split()[0] for a in b["anchor"]}) == 1 for b in batches_of(rows, 4))


def test_the_same_seed_gives_the_same_rows():
    tasks = {task: pairs_of(task, 20) for task in "ab"}
    first, again, other = (composed(tasks, 4, 10, seed=seed).to_dict() for seed in (1, 1, 2))
    assert first == again
    assert first != other
