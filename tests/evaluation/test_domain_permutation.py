from itertools import combinations

import numpy as np
import pytest

from polyvec.evaluation.domain_permutation import permutation_test
from polyvec.evaluation.gap_design import nuisance

DRAWS = 4_000


def toy(seed=0, models=2):
    """Six data sets of one task type, a measure that is correlated with the domain."""
    rng = np.random.default_rng(seed)
    labels = np.array([True, True, True, False, False, False])
    measure = labels + rng.normal(size=6)
    clusters = np.repeat(np.arange(6), models)
    score = (-0.3 * labels - 0.2 * measure + rng.normal(0, 0.2, 6))[clusters]
    held = np.column_stack([np.ones(6 * models), measure[clusters]])
    return score + rng.normal(0, 0.05, 6 * models), held, clusters, labels


def slow(score, held, clusters, labels):
    """Coefficient and clustered t of one labelling, by fitting all columns."""
    design = np.column_stack([held, labels[clusters]])
    found, *_ = np.linalg.lstsq(design, score)
    errors = score - design @ found
    bread = np.linalg.inv(design.T @ design)
    meat = sum(
        np.outer(s, s)
        for s in (design[clusters == n].T @ errors[clusters == n] for n in np.unique(clusters))
    )
    return found[-1], found[-1] / np.sqrt((bread @ meat @ bread)[-1, -1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agrees_with_all_labellings(seed):
    score, held, clusters, labels = toy(seed)
    every = np.array(
        [
            slow(score, held, clusters, np.isin(np.arange(6), chosen))
            for chosen in combinations(range(6), 3)
        ]
    )
    real = slow(score, held, clusters, labels)
    exact = (np.abs(every) >= np.abs(real) - 1e-9).mean(axis=0)
    found = permutation_test(score, held, clusters, labels, ["sts"] * 6, DRAWS)
    assert found.estimate == pytest.approx(real[0])
    assert found.p == pytest.approx(exact[0], abs=0.03)
    assert found.p_studentized == pytest.approx(exact[1], abs=0.03)


def test_labels_stay_within_task_types():
    # In each type one of two data sets; a shuffle gives the real labels, or their mirror, a quarter of the time each.
    score = np.array([0.1, 0.9, 0.2, 0.8])
    labels = np.array([True, False, True, False])
    types = ["sts", "sts", "retrieval", "retrieval"]
    found = permutation_test(score, nuisance(4, [types]), np.arange(4), labels, types, DRAWS)
    assert found.estimate == pytest.approx(-0.7)
    assert found.p == pytest.approx(0.5, abs=0.03)


def test_with_one_labelling_only_p_is_one():
    score = np.array([0.1, 0.2, 0.8, 0.9])
    labels = np.array([True, True, False, False])
    found = permutation_test(
        score, np.ones((4, 1)), np.arange(4), labels, ["a", "a", "b", "b"], 100
    )
    assert found.p == found.p_studentized == 1.0


def test_p_is_never_zero():
    rng = np.random.default_rng(3)
    labels = np.arange(40) % 2 == 0
    score = labels + rng.normal(0, 0.01, 40)
    found = permutation_test(score, np.ones((40, 1)), np.arange(40), labels, ["a"] * 40, 1_500)
    assert found.p == found.p_studentized == 1 / 1_501


def test_order_of_rows_makes_no_difference():
    score, held, clusters, labels = toy()
    order = np.random.default_rng(4).permutation(len(score))
    args = (labels, ["sts"] * 6, 500)
    assert permutation_test(score[order], held[order], clusters[order], *args) == pytest.approx(
        permutation_test(score, held, clusters, *args)
    )


def test_the_same_seed_gives_the_same_p():
    score, held, clusters, labels = toy()
    one, two, other = (
        permutation_test(score, held, clusters, labels, ["sts"] * 6, 300, seed)
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other
