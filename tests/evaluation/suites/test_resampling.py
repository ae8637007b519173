"""Replicates recompute exactly the score they redraw."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from polyvec.evaluation.suites.resampling import (
    draw,
    of_average_precision,
    of_entity_f1,
    of_mean,
    of_spearman,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_spearman_is_scipys_with_ties(rng: np.random.Generator) -> None:
    a, b = rng.integers(5, size=50).astype(float), rng.normal(size=50)
    whole = np.arange(50)[None]
    assert of_spearman(a, b)(whole)[0] == pytest.approx(spearmanr(a, b).statistic)
    drawn = rng.integers(50, size=(3, 50))
    expected = [spearmanr(a[rows], b[rows]).statistic for rows in drawn]
    assert of_spearman(a, b)(drawn) == pytest.approx(expected)


def test_spearman_of_a_constant_is_nothing() -> None:
    assert of_spearman(np.ones(4), np.arange(4.0))(np.arange(4)[None])[0] == 0.0


def test_average_precision_is_sklearns(rng: np.random.Generator) -> None:
    labels, scores = rng.integers(2, size=40), rng.normal(size=40)
    value = of_average_precision(labels, scores)(np.arange(40)[None])[0]
    assert value == pytest.approx(average_precision_score(labels, scores))


def test_average_precision_without_a_pair_is_0() -> None:
    assert of_average_precision(np.array([0, 1]), np.array([0.2, 0.1]))(np.array([[0, 0]])) == [0]


def test_entity_f1_by_hand() -> None:
    # Right 3 of 4 found and 5 true: 2 x 3 / 9.
    counts = np.array([[2, 3, 3], [1, 1, 2]])
    assert of_entity_f1(counts)(np.array([[0, 1]]))[0] == pytest.approx(6 / 9)
    assert of_entity_f1(np.zeros((1, 3), int))(np.array([[0]]))[0] == 0.0


def test_equal_seeds_draw_the_same_examples(rng: np.random.Generator) -> None:
    values = rng.normal(size=30)
    assert np.array_equal(draw(30, of_mean(values)), draw(30, of_mean(values)))
    shifted = draw(30, of_mean(values + 1)) - draw(30, of_mean(values))
    assert shifted == pytest.approx(np.ones(1000))


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    values = rng.normal(size=30)
    whole = draw(30, of_mean(values), resamples=50)
    monkeypatch.setattr("polyvec.evaluation.suites.resampling._BLOCK", 90)
    assert np.array_equal(draw(30, of_mean(values), resamples=50), whole)


def test_spread_of_the_mean_is_the_standard_error(rng: np.random.Generator) -> None:
    values = rng.normal(size=400)
    assert draw(400, of_mean(values)).std() == pytest.approx(values.std() / 20, rel=0.1)
