import numpy as np
import pytest
from scipy import stats
from scipy.linalg import sqrtm

from polyvec.evaluation.cluster_robust import cluster_robust


def ragged(seed=0):
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(7), [1, 4, 2, 3, 5, 2, 4])
    design = np.column_stack([np.ones(21), rng.normal(size=(21, 2)), rng.normal(size=7)[clusters]])
    return design, rng.normal(size=21), clusters


def slow_cr2(design, outcome, clusters):
    """CR2 and its degrees of freedom straight from the definition, with all matrices written out."""
    bread = np.linalg.inv(design.T @ design)
    hat = design @ bread @ design.T
    keep = np.eye(len(design)) - hat
    residuals = keep @ outcome
    meat = np.zeros_like(bread)
    pulls = []
    for number in range(clusters.max() + 1):
        rows = clusters == number
        root = np.linalg.inv(np.real(sqrtm(keep[np.ix_(rows, rows)])))
        score = design[rows].T @ root @ residuals[rows]
        meat += np.outer(score, score)
        pulls.append(keep[:, rows] @ root @ design[rows] @ bread)
    pulls = np.array(pulls)
    df = []
    for column in range(design.shape[1]):
        values = np.linalg.eigvalsh(pulls[:, :, column] @ pulls[:, :, column].T)
        df.append(values.sum() ** 2 / (values**2).sum())
    return bread @ meat @ bread, df


def test_agrees_with_the_definition_written_out():
    design, outcome, clusters = ragged()
    found = cluster_robust(design, outcome, clusters)
    covariance, df = slow_cr2(design, outcome, clusters)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(found.df, df)
    np.testing.assert_allclose(found.estimates, np.linalg.lstsq(design, outcome)[0])


def test_two_groups_are_welch_with_the_degrees_of_freedom_of_bell_and_mccaffrey():
    rng = np.random.default_rng(1)
    few, many = rng.normal(0, 3, size=4), rng.normal(1, 1, size=9)
    design = np.column_stack([np.ones(13), np.repeat([0.0, 1.0], [4, 9])])
    found = cluster_robust(design, np.concatenate([few, many]), np.arange(13)).coefficient(1)
    assert found.estimate == pytest.approx(many.mean() - few.mean())
    assert found.se**2 == pytest.approx(few.var(ddof=1) / 4 + many.var(ddof=1) / 9)
    # Imbens and Kolesár 2016, section 3.
    assert found.df == pytest.approx(13**2 * 3 * 8 / (9**2 * 8 + 4**2 * 3))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.t), found.df))


def test_equal_clusters_are_as_good_as_their_means():
    rng = np.random.default_rng(2)
    means = rng.normal(size=8)
    outcome = np.repeat(means, 3) + np.tile([-0.1, 0.0, 0.1], 8)
    group = np.repeat([0.0, 1.0], [3, 5])
    whole = cluster_robust(
        np.column_stack([np.ones(24), np.repeat(group, 3)]), outcome, np.repeat(np.arange(8), 3)
    ).coefficient(1)
    averaged = cluster_robust(np.column_stack([np.ones(8), group]), means, np.arange(8))
    assert whole == pytest.approx(averaged.coefficient(1))


def test_balanced_repeated_measures_are_hotelling_s_t_squared():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(9, 3)) + rng.normal(size=(9, 1)) + [0.0, 0.5, 1.0]
    design = np.column_stack([np.ones(27), np.tile(np.eye(3)[:, 1:], (9, 1))])
    found = cluster_robust(design, scores.ravel(), np.repeat(np.arange(9), 3)).wald(
        np.array([1, 2])
    )
    contrasts = scores[:, 1:] - scores[:, :1]
    mean = contrasts.mean(axis=0)
    squared = 9 * mean @ np.linalg.solve(np.cov(contrasts.T), mean)
    assert found.statistic == pytest.approx((9 - 2) / (8 * 2) * squared)
    assert (found.df1, found.df2) == (2, 7)
    assert found.p == pytest.approx(stats.f.sf(found.statistic, 2, 7))


def test_too_few_clusters_for_a_joint_test_give_no_number():
    scores = np.random.default_rng(4).normal(size=(3, 4))
    design = np.column_stack([np.ones(12), np.tile(np.eye(4)[:, 1:], (3, 1))])
    found = cluster_robust(design, scores.ravel(), np.repeat(np.arange(3), 4))
    assert np.isnan(found.wald(np.array([1, 2, 3])).p)


def test_the_order_of_rows_and_clusters_makes_no_difference():
    design, outcome, clusters = ragged()
    order = np.random.default_rng(5).permutation(21)
    renamed = np.array([3, 6, 0, 5, 1, 2, 4])[clusters]
    turned = cluster_robust(design[order], outcome[order], renamed[order])
    found = cluster_robust(design, outcome, clusters)
    np.testing.assert_allclose(turned.covariance, found.covariance, atol=1e-12)
    np.testing.assert_allclose(turned.df, found.df)


def test_a_coefficient_that_rests_on_one_cluster_has_no_error():
    column = np.array([1.0, 0, 0, 0, 0])
    found = cluster_robust(
        np.column_stack([np.ones(5), column]), np.array([1.0, 2, 3, 4, 6]), np.arange(5)
    ).coefficient(1)
    assert found.estimate == pytest.approx(1 - 3.75)
    assert np.isnan([found.se, found.p, found.low]).all()


def test_a_cluster_that_an_effect_absorbs_leaves_the_others_alone():
    rng = np.random.default_rng(6)
    outcome, column = rng.normal(size=9), rng.normal(size=9)
    alone = (np.arange(9) == 8).astype(float)
    whole = cluster_robust(np.column_stack([np.ones(9), alone, column]), outcome, np.arange(9))
    rest = cluster_robust(
        np.column_stack([np.ones(8), column[:8]]), outcome[:8], np.arange(8)
    ).coefficient(1)
    assert whole.coefficient(2) == pytest.approx(rest)


def test_intervals_hold_the_truth_with_few_clusters():
    rng = np.random.default_rng(7)
    group = np.repeat([0.0, 1.0], [4, 4])
    clusters = np.repeat(np.arange(8), 5)
    design = np.column_stack([np.ones(40), group[clusters]])
    held = 0
    for _ in range(1_000):
        outcome = rng.normal(size=8)[clusters] + rng.normal(0, 0.5, size=40)
        found = cluster_robust(design, outcome, clusters).coefficient(1)
        held += found.low <= 0 <= found.high
    assert held / 1_000 == pytest.approx(0.95, abs=0.02)


def test_agrees_with_statsmodels_where_every_row_is_a_cluster():
    regression = pytest.importorskip("statsmodels.api")
    design, outcome, _ = ragged()
    theirs = regression.OLS(outcome, design).fit(cov_type="HC2")
    found = cluster_robust(design, outcome, np.arange(21))
    np.testing.assert_allclose(found.covariance, theirs.cov_params(), atol=1e-12)
