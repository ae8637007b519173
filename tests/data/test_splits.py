import pytest

from polyvec.data.documents import Document
from polyvec.data.leak_guard import LeakageError
from polyvec.data.passages import Passage
from polyvec.data.splits import (
    LARGEST_HELD_OUT,
    Split,
    assert_no_leak,
    split_documents,
    without_exam_questions,
    without_near_duplicates,
)
from polyvec.data.structure_pairs import Pair
from polyvec.errors import BadInput


def documents_of(sizes):
    """``sizes[group]`` documents of each group."""
    return [
        Document(f"{group}/{n}", "", group) for group, size in sizes.items() for n in range(size)
    ]


def alone(count):
    """Documents that are a group each."""
    return [Document(f"d{n}", "", f"d{n}") for n in range(count)]


def groups_in(part):
    return {document.partition("/")[0] for document in part}


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_divide_all_documents(seed):
    documents = documents_of({f"g{n}": 1 + n % 7 for n in range(40)})
    split = split_documents(documents, seed)
    parts = [split.train, split.dev, split.test]
    assert sorted(id for part in parts for id in part) == sorted(d.id for d in documents)
    assert split.note == ""


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole(seed):
    split = split_documents(documents_of({f"g{n}": 1 + n % 7 for n in range(40)}), seed)
    assert not groups_in(split.train) & groups_in(split.dev)
    assert not groups_in(split.train) & groups_in(split.test)
    assert not groups_in(split.dev) & groups_in(split.test)


def test_documents_without_groups_are_divided_into_the_shares():
    split = split_documents(alone(100), seed=0)
    assert (len(split.train), len(split.dev), len(split.test)) == (70, 10, 20)
    split = split_documents(alone(100), seed=0, dev=0.25, test=0.5)
    assert (len(split.train), len(split.dev), len(split.test)) == (25, 25, 50)


def test_nothing_is_held_out_for_an_exam_of_share_0():
    split = split_documents(alone(100), seed=0, test=0)
    assert (len(split.train), len(split.dev), len(split.test)) == (90, 10, 0)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_each_part_gets_a_document_even_of_three(count):
    split = split_documents(alone(count), seed=0)
    assert all([split.train, split.dev, split.test])


@pytest.mark.parametrize("seed", range(10))
def test_a_huge_group_is_never_held_out(seed):
    # 60 of 160 documents are 37 %.
    split = split_documents(documents_of({"huge": 60, **{f"g{n}": 5 for n in range(20)}}), seed)
    assert "huge" in groups_in(split.train)
    assert split.dev
    assert split.test


def test_a_group_at_the_limit_may_be_held_out():
    documents = documents_of({f"g{n}": 1 for n in range(9)} | {"quarter": 3})
    assert LARGEST_HELD_OUT * len(documents) == 3
    held = [split_documents(documents, seed) for seed in range(30)]
    assert any("quarter" in groups_in(split.dev | split.test) for split in held)


@pytest.mark.parametrize("seed", range(5))
def test_a_huge_group_beside_little_else_is_divided_and_the_note_says_so(seed):
    # Whole groups for the exam alone, 20 of 104 documents, would take all four small ones.
    split = split_documents(documents_of({"huge": 100, **{f"g{n}": 1 for n in range(4)}}), seed)
    assert "one by one" in split.note
    assert len(split.dev) == 11
    assert len(split.test) == 21


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_groups_are_divided_by_document_and_the_note_says_so(count):
    documents = documents_of({f"g{n}": 25 for n in range(count)})
    split = split_documents(documents, seed=0)
    assert split.note == f"only {count} groups, so their documents were divided one by one"
    assert len(split.test) == pytest.approx(0.2 * len(documents), abs=1)


def test_few_documents_without_groups_need_no_note():
    assert split_documents(alone(4), seed=0).note == ""


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_documents_are_refused_with_their_number(count):
    with pytest.raises(BadInput, match=rf"too few documents .*\({count}\); give at least 3"):
        split_documents(alone(count), seed=0)


def test_the_same_seed_gives_the_same_split_in_any_order():
    documents = alone(50)
    assert split_documents(documents, seed=1) == split_documents(documents[::-1], seed=1)
    assert split_documents(documents, seed=1) != split_documents(documents, seed=2)


def test_a_new_document_moves_hardly_any_other():
    before = split_documents(alone(100), seed=0)
    after = split_documents(alone(101), seed=0)
    assert len(before.test ^ after.test) <= 2
    assert len(before.train ^ after.train) <= 3


LONG = (
    "Sorting networks compare fixed pairs of inputs and swap them when they stand in the wrong "
    "order, whatever the values are, which makes them easy to build in hardware and to run on "
    "vector units, though they need more comparisons than the best sorting algorithms do."
)
OTHER = (
    "A garden pond wants shade in the afternoon, a shallow bank on one side where birds can stand, "
    "and water plants that take up what would otherwise feed algae in the warm months of the year."
)


def piece(name, text, document="d"):
    return Passage(name, document, 0, "text", text)


def test_of_near_duplicates_the_first_part_keeps_its_own():
    exam = [piece("e1", LONG), piece("e2", OTHER)]
    learned = [
        piece("t1", LONG.replace("best", "fastest")),
        piece("t2", "Something else."),
        piece("t3", OTHER),
    ]
    kept_exam, kept_learned = without_near_duplicates(exam, learned)
    assert [p.id for p in kept_exam] == ["e1", "e2"]
    assert [p.id for p in kept_learned] == ["t2"]
    kept_learned, kept_exam = without_near_duplicates(learned, exam)
    assert [p.id for p in kept_learned] == ["t1", "t2", "t3"]
    assert kept_exam == []


def test_of_near_duplicates_within_a_part_the_first_stays():
    (kept,) = without_near_duplicates([piece("a", LONG), piece("b", OTHER), piece("c", LONG)])
    assert [p.id for p in kept] == ["a", "b"]


def test_empty_parts_stay_empty():
    assert without_near_duplicates([], [piece("a", LONG)], []) == [[], [piece("a", LONG)], []]


def pair(query, passage="p", task="t"):
    return Pair(task, query, passage, "answers")


def test_questions_of_the_exam_are_not_learned_in_any_letter_case_or_task():
    learned = [pair("How to sort"), pair("How to pond"), pair("how TO sort", task="other")]
    assert without_exam_questions(learned, [pair("HOW to sort")]) == [pair("How to pond")]
    assert without_exam_questions(learned, []) == learned


SPLIT = Split(frozenset({"train"}), frozenset({"dev"}), frozenset({"test"}))
LEARNED = [piece("l1", "learned", "train")]
TRAINED = [pair("trained", "l1")]
EXAM = [pair("asked", "e1")]


def test_clean_parts_pass():
    assert_no_leak(SPLIT, LEARNED, TRAINED, EXAM)
    assert_no_leak(SPLIT, [], [], [])


@pytest.mark.parametrize(
    ("split", "learned", "pairs", "says"),
    [
        (Split(frozenset("a"), frozenset("a"), frozenset()), [], [], "two parts: 'a'"),
        (Split(frozenset("a"), frozenset(), frozenset("a")), [], [], "two parts"),
        (Split(frozenset(), frozenset("a"), frozenset("a")), [], [], "two parts"),
        (SPLIT, [*LEARNED, piece("l2", "text", "dev")], [], "held-out documents in .*'dev'"),
        (SPLIT, [*LEARNED, piece("l3", "text", "test")], [], "held-out documents in .*'test'"),
        (SPLIT, [piece("l4", "text", "nowhere")], [], "held-out documents"),
        (SPLIT, LEARNED, [*TRAINED, pair("ASKED", "l1")], "questions of an exam.*'asked'"),
        (SPLIT, LEARNED, [*TRAINED, pair("other", "e1")], "passages of an exam.*'e1'"),
    ],
)
def test_each_kind_of_leak_stops_the_run(split, learned, pairs, says):
    with pytest.raises(LeakageError, match=says):
        assert_no_leak(split, learned, pairs, EXAM)
