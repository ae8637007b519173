import numpy as np
import pandas as pd
import pytest
from scipy import stats

from polyvec.evaluation.anova import type_two_anova


def table_of(score, models, domains, clusters):
    found = type_two_anova(
        np.array(score), {"model": models, "domain": domains}, np.array(clusters)
    )
    return found.set_index("factor")


def unbalanced():
    rng = np.random.default_rng(0)
    kept = np.ones(36, bool)
    kept[[3, 8, 21]] = False
    return (
        rng.normal(size=36)[kept],
        np.tile(list("abcd"), 9)[kept].tolist(),
        np.repeat(["x", "y"], [16, 20])[kept].tolist(),
        np.repeat(np.arange(9), 4)[kept],
    )


def test_worked_by_hand():
    # Two models on two data sets of each domain. Means: models .5 and .7, domains .7 and .5, all .6, so that each
    # sum of squares is 8 · .1² = .08. What the two means do not explain: four times ±.05 and ±.05.
    scores = [0.65, 0.75, 0.55, 0.85, 0.45, 0.55, 0.35, 0.65]
    found = table_of(scores, ["a", "b"] * 4, ["x"] * 4 + ["y"] * 4, [0, 0, 1, 1, 2, 2, 3, 3])
    assert found.loc["model", "sum_sq"] == pytest.approx(0.08)
    assert found.loc["domain", "sum_sq"] == pytest.approx(0.08)
    assert found.loc["residual", "sum_sq"] == pytest.approx(8 * 0.05**2)
    assert found["df"].tolist() == [1, 1, 5]
    assert found.loc["domain", "F"] == pytest.approx(0.08 / (0.02 / 5))
    assert found.loc["domain", "p"] == pytest.approx(stats.f.sf(20, 1, 5))
    assert found.loc["domain", "partial_eta_sq"] == pytest.approx(0.8)


def test_the_robust_test_of_the_domain_is_that_of_data_set_means():
    rng = np.random.default_rng(1)
    sets = rng.normal(size=10) + np.repeat([0.0, 1.0], 5)
    scores = (sets[:, None] + rng.normal(0, 0.01, size=(10, 6))).ravel()
    found = table_of(
        scores,
        list("abcdef") * 10,
        ["x"] * 30 + ["y"] * 30,
        np.repeat(np.arange(10), 6),
    ).loc["domain"]
    means = scores.reshape(10, 6).mean(axis=1)
    theirs = stats.ttest_ind(means[:5], means[5:])
    assert found["robust_F"] == pytest.approx(theirs.statistic**2)
    assert found["robust_p"] == pytest.approx(theirs.pvalue)
    # The classical test takes 60 scores for 60 witnesses.
    assert found["p"] < found["robust_p"] / 10


def test_more_rows_of_the_same_sets_add_no_robust_evidence():
    scores, models, domains, clusters = unbalanced()
    once = table_of(scores, models, domains, clusters)
    fivefold = table_of(np.tile(scores, 5), models * 5, domains * 5, np.tile(clusters, 5))
    assert fivefold.loc["domain", "F"] > 4 * once.loc["domain", "F"]
    assert fivefold.loc["domain", "robust_F"] == pytest.approx(
        once.loc["domain", "robust_F"], rel=0.1
    )


def test_order_and_names_make_no_difference():
    scores, models, domains, clusters = unbalanced()
    order = np.random.default_rng(2).permutation(len(scores))
    turned = table_of(
        scores[order],
        [f"model {99 - ord(models[n])}" for n in order],
        [domains[n] for n in order],
        clusters[order],
    )
    pd.testing.assert_frame_equal(turned, table_of(scores, models, domains, clusters))


def test_a_perfect_fit_has_no_f():
    found = table_of([0.1, 0.2, 0.3, 0.4], ["a", "b"] * 2, ["x", "x", "y", "y"], [0, 0, 1, 1])
    assert np.isnan(found.loc["domain", "F"])
    assert found.loc["domain", "partial_eta_sq"] == 1.0


def test_one_model_leaves_only_the_domain():
    found = table_of([0.1, 0.2, 0.4, 0.3], ["a"] * 4, ["x", "x", "y", "y"], [0, 1, 2, 3])
    assert found.loc["model", "df"] == 0
    assert np.isnan(found.loc["model", "F"])
    assert found.loc["domain", "F"] == pytest.approx(8.0)


def test_agrees_with_statsmodels():
    formula = pytest.importorskip("statsmodels.formula.api")
    from statsmodels.stats.anova import anova_lm

    scores, models, domains, clusters = unbalanced()
    frame = pd.DataFrame({"score": scores, "model": models, "domain": domains})
    theirs = anova_lm(formula.ols("score ~ C(model) + C(domain)", frame).fit(), typ=2)
    ours = table_of(scores, models, domains, clusters)
    np.testing.assert_allclose(ours[["sum_sq", "df", "F", "p"]].astype(float), theirs)
