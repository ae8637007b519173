"""Analogies by 3CosAdd."""

import numpy as np
import pytest

from polyvec.evaluation.suites.analogies import solve


def test_the_nearest_word_but_the_given_ones() -> None:
    # Unit vectors on a circle: man 0°, king 30°, woman 90°, queen 120°; another word at 200°.
    degrees = np.deg2rad([0, 30, 90, 120, 200])
    words = np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)
    right = np.array([[0], [1], [2], [3]])
    wrong = np.array([[0], [1], [2], [4]])
    assert solve(words, right).tolist() == [1.0]
    assert solve(words, wrong).tolist() == [0.0]


def test_given_words_are_never_the_answer() -> None:
    words = np.eye(3, dtype=np.float32)
    # b - a + c is nearest to b and c, which are given; the only word left is a's neighbour.
    asked = np.array([[0], [1], [1], [2]])
    assert solve(words, asked).tolist() == [1.0]


def test_lengths_of_vectors_change_nothing() -> None:
    rng = np.random.default_rng(0)
    words = rng.normal(size=(30, 8)).astype(np.float32)
    asked = rng.integers(30, size=(4, 50))
    scaled = words * rng.uniform(0.1, 10, size=(30, 1)).astype(np.float32)
    assert np.array_equal(solve(words, asked), solve(scaled, asked))


def test_a_word_without_a_vector_is_no_error() -> None:
    words = np.zeros((4, 2), np.float32)
    assert solve(words, np.array([[0], [1], [2], [3]])).tolist() == [1.0]


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    words, asked = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(20, size=(4, 33))
    whole = solve(words, asked)
    monkeypatch.setattr("polyvec.evaluation.suites.analogies._BLOCK", block)
    assert np.array_equal(solve(words, asked), whole)
