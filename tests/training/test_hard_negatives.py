from collections import Counter

import pytest

from polyvec.data.structure_pairs import Pair
from polyvec.training.hard_negatives import CANDIDATES, hard_batches, mine


def pair(query, passage, answers=None):
    return Pair("t", query, passage, answers or passage)


TEXTS = {
    "cat": "the cat sat",
    "cats": "cat and cat and mouse",
    "catfish": "cat fish swim",
    "dog": "the dog barked",
    "stone": "stones are hard",
}
PAIRS = [pair("cat", "cat"), pair("two cat", "cats"), pair("fish", "catfish"), pair("dog", "dog")]


def test_mined_are_the_best_wrong_passages_of_bm25_hardest_first():
    # "cat" stands twice in "cats" and once in the longer of the others, nowhere else.
    assert mine(PAIRS, TEXTS, [0, 3]) == {0: [1, 2], 3: []}


def test_only_the_seeds_are_searched_for():
    assert list(mine(PAIRS, TEXTS, [2])) == [2]
    assert mine(PAIRS, TEXTS, []) == {}


def test_a_passage_of_the_same_answer_is_never_mined():
    pairs = [
        pair("cat", "cat", "pets"),
        pair("two cat", "cats", "pets"),
        pair("fish", "catfish", "water"),
    ]
    assert mine(pairs, TEXTS, [0, 1, 2]) == {0: [2], 1: [2], 2: []}


def test_a_passage_with_the_same_text_is_never_mined_whatever_its_letter_case():
    texts = {"a": "the cat sat", "b": "The CAT sat", "c": "a cat stood"}
    pairs = [pair("cat", "a"), pair("dog", "b"), pair("stood", "c")]
    assert mine(pairs, texts, [0]) == {0: [2]}


def test_a_passage_of_several_pairs_is_mined_once_through_one_that_is_wrong():
    pairs = [
        pair("cat", "cat", "mine"),
        pair("sat", "cat", "mine"),
        pair("mouse", "cats", "mine"),
        pair("two cat", "cats", "other"),
        pair("three cat", "cats", "third"),
    ]
    mined = mine(pairs, TEXTS, [0, 1])
    assert len(mined[0]) == 1
    assert mined[0][0] in {3, 4}
    assert mined[1] == []


def test_only_the_first_candidates_are_looked_at():
    texts = {f"p{n}": f"cat {'dog ' * n}" for n in range(CANDIDATES + 20)}
    pairs = [pair(f"cat {n}", passage) for n, passage in enumerate(texts)]
    assert mine(pairs, texts, [0]) == {0: list(range(1, CANDIDATES))}


def families(count, members):
    """Pairs whose passages share a word with those of their own family only."""
    names = [(f"word{f}", n) for f in range(count) for n in range(members)]
    texts = {f"{word}-{n}": f"{word} number{n}" for word, n in names}
    return [pair(f"{word} query{n}", f"{word}-{n}") for word, n in names], texts


@pytest.mark.parametrize(
    ("size", "count", "together"), [(8, 5, 4), (7, 3, 4), (4, 1, 1), (3, 6, 8), (24, 2, 4)]
)
def test_there_are_as_many_batches_of_the_size_as_asked_for(size, count, together):
    pairs, texts = families(6, 4)
    batches = hard_batches(pairs, texts, size, count, seed=0, together=together)
    assert [len(batch) for batch in batches] == [size] * count
    assert all(len(set(batch)) == size for batch in batches)
    assert all(0 <= position < len(pairs) for batch in batches for position in batch)


def test_neighbours_stand_side_by_side():
    pairs, texts = families(6, 4)
    for batch in hard_batches(pairs, texts, size=4, count=10, seed=0):
        assert len({pairs[position].query.split()[0] for position in batch}) == 1
    for batch in hard_batches(pairs, texts, size=8, count=5, seed=0):
        families_in = [pairs[position].query.split()[0] for position in batch]
        assert len(set(families_in[:4])) == 1


def test_no_neighbourhood_holds_an_answer_of_its_first_pair():
    pairs, texts = families(6, 4)
    # The first two of each family answer the same.
    pairs = [
        pair(p.query, p.passage, f"{n // 4}" if n % 4 < 2 else p.passage)
        for n, p in enumerate(pairs)
    ]
    for batch in hard_batches(pairs, texts, size=3, count=8, seed=0, together=3):
        first, *near = [pairs[position] for position in batch]
        assert all(other.answers != first.answers for other in near)
        assert all(other.query.split()[0] == first.query.split()[0] for other in near)


def test_alone_together_gives_random_batches_without_mining():
    pairs, _ = families(6, 4)
    batches = hard_batches(pairs, {}, size=8, count=3, seed=0, together=1)
    assert sorted(position for batch in batches for position in batch) == list(range(24))


def test_pairs_without_neighbours_fill_the_batch():
    texts = {f"p{n}": f"word{n}" for n in range(12)}
    pairs = [pair(f"word{n}", passage) for n, passage in enumerate(texts)]
    batches = hard_batches(pairs, texts, size=4, count=3, seed=0)
    assert sorted(position for batch in batches for position in batch) == list(range(12))


def test_the_least_used_neighbours_are_taken_so_that_all_are_seen():
    pairs, texts = families(1, 13)
    batches = hard_batches(pairs, texts, size=4, count=10, seed=0)
    used = Counter(position for batch in batches for position in batch)
    assert len(used) == 13
    assert max(used.values()) <= 5


def test_the_same_seed_gives_the_same_batches():
    pairs, texts = families(6, 4)
    assert hard_batches(pairs, texts, 8, 5, seed=1) == hard_batches(pairs, texts, 8, 5, seed=1)
    assert hard_batches(pairs, texts, 8, 5, seed=1) != hard_batches(pairs, texts, 8, 5, seed=2)


def test_a_batch_larger_than_the_pairs_is_refused():
    pairs, texts = families(1, 3)
    with pytest.raises(ValueError, match="3 pairs cannot fill a batch of 4"):
        hard_batches(pairs, texts, 4, 1, seed=0)
