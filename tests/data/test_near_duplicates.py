import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvec.data.near_duplicates import duplicate_groups, jaccard, near_duplicates

TEN = "a b c d e f g h i j"


def test_jaccard_counts_shared_shingles_over_all():
    # abcde bcdef | abcde bcdef cdefg: two of three
    assert jaccard("a b c d e f", "A  b c\nd e f g") == 2 / 3
    assert jaccard(TEN, "a b c d e f g h i x") == 5 / 7
    assert jaccard(TEN, "k l m n o p") == 0


def test_texts_too_short_for_a_shingle_are_compared_whole():
    assert jaccard("Boil water", "boil  WATER") == 1
    assert jaccard("boil water now please", "boil water now") == 0
    assert near_duplicates(["a b c", "a b", "A\tB C", "a b c d"]) == [(0, 2)]


@pytest.mark.parametrize(("threshold", "found"), [(0.72, []), (5 / 7, [(0, 1)]), (0.5, [(0, 1)])])
def test_the_threshold_belongs_to_the_duplicates(threshold, found):
    texts = [TEN, "a b c d e f g h i x", "k l m n o p q r s t"]
    assert near_duplicates(texts, threshold) == found


def test_a_repeated_shingle_counts_once():
    assert jaccard("x x x x x", "x x x x x x x") == 1
    assert near_duplicates(["x x x x x", "x x x x x x x"], 1.0) == [(0, 1)]


def test_groups_are_transitive():
    # neighbours share 6 of 8 shingles, the ends 5 of 9
    chain = ["a b c d e f g h i j k", "b c d e f g h i j k l", "c d e f g h i j k l m"]
    assert near_duplicates(chain, 0.7) == [(0, 1), (1, 2)]
    texts = [chain[2], "something else is written in this one", chain[0], chain[1]]
    assert duplicate_groups(texts, 0.7).tolist() == [0, 1, 0, 0]


def test_copies_are_paired_with_the_first_of_their_like():
    texts = ["q r s t u v", TEN, "Q R S T U V", TEN, "q  r s t u v"]
    assert near_duplicates(texts) == [(0, 2), (0, 4), (1, 3)]
    assert duplicate_groups(texts).tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("texts", [[], [""], [TEN], ["", " ", "a"]])
def test_nothing_to_compare(texts):
    groups = duplicate_groups(texts)
    assert groups.dtype == np.int64
    assert groups.tolist() == [0, 0, 2][: len(texts)]


@pytest.mark.parametrize("threshold", [0, -1, 1.01])
def test_a_threshold_that_is_no_similarity_is_refused(threshold):
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        near_duplicates([TEN], threshold)


def random_texts(seed, count):
    """Texts of 60 words, every third a copy of the one before with a few words changed."""
    rng = random.Random(seed)
    texts = []
    for number in range(count):
        words = texts[-1].split() if number % 3 == 2 else rng.choices("abcdefghijklmnop", k=60)
        for _ in range(rng.randrange(4) if number % 3 == 2 else 0):
            words[rng.randrange(60)] = "changed"
        texts.append(" ".join(words))
    return texts


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.8, 1.0])
def test_what_is_found_is_what_comparing_all_pairs_finds(threshold):
    texts = random_texts(1, 120)
    pairs = [
        (i, j) for i, j in combinations(range(120), 2) if jaccard(texts[i], texts[j]) >= threshold
    ]
    assert pairs
    assert near_duplicates(texts, threshold) == pairs


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(60)))
def test_the_order_of_the_texts_does_not_matter(order):
    texts = random_texts(2, 60)
    plain, shuffled = duplicate_groups(texts), duplicate_groups([texts[i] for i in order])
    expected = {frozenset(np.flatnonzero(plain == group)) for group in plain}
    members = (np.flatnonzero(shuffled == group) for group in shuffled)
    assert {frozenset(order[i] for i in group) for group in members} == expected


def test_a_family_larger_than_a_bucket_is_one_group():
    words = random_texts(3, 1)[0].split()
    family = [" ".join([*words[: n % 60], f"new{n}", *words[n % 60 + 1 :]]) for n in range(200)]
    assert set(duplicate_groups(family).tolist()) == {0}


def test_the_same_seed_gives_the_same_pairs():
    texts = random_texts(4, 60)
    assert near_duplicates(texts, 0.5, seed=7) == near_duplicates(texts, 0.5, seed=7)
