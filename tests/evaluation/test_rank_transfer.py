import numpy as np
import pandas as pd
import pytest
from scipy import stats

from polyvec.evaluation.domain_gap_data import gap_data
from polyvec.evaluation.rank_correlation import kendall, spearman
from polyvec.evaluation.rank_transfer import rank_transfer


def data(general, finance, task_type="sts"):
    """Scores of shape (data sets, models) on each side."""
    rows = [
        {
            "model": f"m{model}",
            "dataset": f"{domain} {number}",
            "task_type": task_type,
            "domain": domain,
            "score": score,
        }
        for domain, side in (("general", general), ("finance", finance))
        for number, own in enumerate(side)
        for model, score in enumerate(own)
        if np.isfinite(score)
    ]
    results = pd.DataFrame(rows)
    names = results["dataset"].unique()
    complexity = pd.DataFrame({"dataset": names, "fog": np.arange(len(names), dtype=float)})
    return gap_data(results, complexity, "general", None, None, ())


def test_correlations_agree_with_scipy():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (20, 7)).astype(float), rng.normal(size=(20, 7))
    for row in range(20):
        a, b = first[row], second[row]
        assert spearman(first, second)[row] == pytest.approx(stats.spearmanr(a, b).statistic)
        assert kendall(first, second)[row] == pytest.approx(stats.kendalltau(a, b).statistic)


def test_a_constant_row_has_no_correlation():
    assert np.isnan(spearman(np.ones((1, 4)), np.arange(4.0)[None, :])[0])
    assert np.isnan(kendall(np.ones((1, 4)), np.arange(4.0)[None, :])[0])


def test_the_same_order_holds_whatever_is_redrawn():
    order = np.linspace(0.2, 0.8, 7)
    found = rank_transfer(data([order, order + 0.1], [order - 0.1, order - 0.2])).loc[0]
    assert found[["spearman", "spearman_low", "spearman_high", "kendall"]].tolist() == [1, 1, 1, 1]
    assert found["verdict"] == "order holds"
    assert found["models"] == 7


def test_the_other_way_round():
    order = np.linspace(0.2, 0.8, 5)
    assert rank_transfer(data([order], [order[::-1]])).loc[0, "verdict"] == "order turns round"


def test_a_weak_correlation_cannot_tell():
    found = rank_transfer(data([[0.1, 0.2, 0.3, 0.4]], [[0.2, 0.1, 0.4, 0.3]])).loc[0]
    assert found["spearman"] == pytest.approx(0.6)
    assert found["verdict"] == "cannot tell"


def test_the_interval_shows_how_data_sets_disagree():
    rng = np.random.default_rng(1)
    quality = np.linspace(0.3, 0.7, 7)
    sides = [quality + rng.normal(0, 0.15, (6, 7)) for _ in range(2)]
    found = rank_transfer(data(*np.clip(sides, -1, 1))).loc[0]
    assert found["spearman_low"] < found["spearman"] < found["spearman_high"]
    assert -1 <= found["kendall_low"] < found["kendall_high"] <= 1


def test_models_without_all_scores_take_no_part():
    general = [[0.1, 0.2, 0.3, np.nan], [0.1, 0.2, 0.3, 0.9]]
    found = rank_transfer(data(general, [[0.1, 0.2, 0.3, 0.0]])).loc[0]
    assert found["models"] == 3
    assert found["spearman"] == 1.0


def test_two_models_cannot_tell():
    found = rank_transfer(data([[0.1, 0.2]], [[0.1, 0.2]])).loc[0]
    assert found["verdict"] == "cannot tell"
    assert np.isnan(found["spearman"])
