"""Topics of a map: what lies together, and the words that name it."""

from __future__ import annotations

import numpy as np

from polyvec.search.map_topics import MOST_LARGE, find_topics

NOUNS = [
    "apple",
    "boat",
    "cat",
    "dog",
    "engine",
    "fish",
    "garden",
    "harbour",
    "island",
    "jungle",
    "kettle",
    "lamp",
]


def groups(words, size=8, seed=0):
    """Places in groups on a circle, and texts that say the group's word once and others now and then."""
    rng = np.random.default_rng(seed)
    angles = np.repeat(np.arange(len(words)) * 2 * np.pi / len(words), size)
    places = np.stack([np.cos(angles), np.sin(angles)], 1) + 0.01 * rng.normal(
        size=(len(angles), 2)
    )
    texts = [f"The {words[n // size]} is here, and this is nothing." for n in range(len(angles))]
    return places.astype(np.float32), texts


def test_each_group_is_named_by_its_own_word() -> None:
    places, texts = groups(NOUNS[:4])
    topics, of = find_topics(places, texts)
    assert sorted(topic.label for topic in topics) == ["apple", "boat", "cat", "dog"]
    for n, text in enumerate(texts):
        assert topics[of[n]].label in text
    assert [topic.passages for topic in topics] == [8] * 4
    assert [topic.large for topic in topics] == [0, 1, 2, 3]
    assert all(of[topic.place] == n for n, topic in enumerate(topics))


def test_order_of_passages_changes_nothing() -> None:
    places, texts = groups(NOUNS[:4])
    order = np.random.default_rng(1).permutation(len(texts))
    topics, of = find_topics(places, texts)
    shuffled, of_shuffled = find_topics(places[order], [texts[n] for n in order])
    assert [topics[of[n]].label for n in order] == [shuffled[n].label for n in of_shuffled]


def test_many_topics_are_joined_to_a_few_large_ones() -> None:
    places, texts = groups(NOUNS)
    topics, of = find_topics(places, texts)
    large = [n for n, topic in enumerate(topics) if topic.large == n]
    small = [topic for n, topic in enumerate(topics) if topic.large != n]
    assert large == list(range(MOST_LARGE))
    assert sum(topics[n].passages for n in large) == len(texts)
    assert [topics[n].passages for n in large] == sorted(
        (topics[n].passages for n in large), reverse=True
    )
    assert all(topic.large in large for topic in small)
    alone = [n for n in large if not any(topic.large == n for topic in small)]
    assert len(small) + len(alone) == len(NOUNS)
    # A passage belongs to the smallest topic that holds it.
    assert not set(of) & (set(large) - set(alone))


def test_words_are_shown_as_people_write_them() -> None:
    places, _ = groups(NOUNS[:2])
    texts = ["Regular expressions of SQLite. A regular expression."] * 8 + ["Boats, boating."] * 8
    labels = {topic.label for topic in find_topics(places, texts)[0]}
    assert labels == {"regular expression, SQLite", "boating"}


def test_one_passage_that_repeats_a_word_names_nothing() -> None:
    places, texts = groups(NOUNS[:2], size=10)
    texts[0] += " zebra" * 50
    assert find_topics(places, texts)[0][0].label.startswith("apple")


def test_few_passages_and_none_with_words() -> None:
    for size in range(1, 10):
        topics, of = find_topics(np.zeros((size, 2), np.float32), ["?"] * size)
        assert [topic.label for topic in topics] == ["(no words)"]
        assert of.tolist() == [0] * size
    topics, _ = find_topics(np.zeros((3, 2), np.float32), ["A red boat", "a boat", "the boat"])
    assert topics[0].label == "boat, red"
