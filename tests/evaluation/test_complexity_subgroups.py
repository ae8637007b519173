import numpy as np
import pandas as pd
import pytest
from scipy import stats

from polyvec.evaluation.complexity_subgroups import subgroups, tertile_groups
from polyvec.evaluation.domain_gap_data import gap_data


def data(scores, domains, measure, types=None):
    names = [f"d{n}" for n in range(len(scores))]
    results = pd.DataFrame(
        {
            "model": "m",
            "dataset": names,
            "task_type": types or "sts",
            "domain": domains,
            "score": scores,
        }
    )
    complexity = pd.DataFrame({"dataset": names, "fog": measure})
    return gap_data(results, complexity, "general", None, None, ())


def test_tertiles_by_hand():
    assert tertile_groups(np.array([6.0, 1, 2, 3, 4, 5])) == [
        *("high", "low", "low", "medium", "medium", "high")
    ]


def test_a_value_on_a_tertile_belongs_to_the_lower_group():
    assert tertile_groups(np.array([1.0, 2, 3, 4])) == ["low", "low", "medium", "high"]


def test_equal_values_stay_together():
    assert tertile_groups(np.array([1.0, 1, 1, 1, 5, 9])) == [*["low"] * 4, "high", "high"]


def test_cells_by_hand():
    found = subgroups(
        data(
            [0.9, 0.7, 0.4, 0.8, 0.5, 0.3, 0.6, 0.2, 0.1],
            ["general", "general", "finance"] + ["general", "finance", "finance"] * 2,
            [1, 2, 3, 4, 5, 6, 7, 8, 9],
        )
    ).set_index("group")
    assert found["n_reference"].tolist() == [2, 1, 1]
    assert found["mean_reference"].tolist() == pytest.approx([0.8, 0.8, 0.6])
    assert found["mean_target"].tolist() == pytest.approx([0.4, 0.4, 0.15])
    assert found["gap"].tolist() == pytest.approx([-0.4, -0.4, -0.45])
    # Exact: two against one, the one below both: 2 · 1/3.
    assert found["p"].tolist() == pytest.approx([2 / 3] * 3)


def test_benjamini_and_hochberg_by_hand():
    rng = np.random.default_rng(0)
    domains = ["general", "finance"] * 15
    score = rng.uniform(0.4, 0.6, 30) - 0.1 * np.array([0, 1] * 15) * rng.uniform(0, 2, 30)
    found = subgroups(data(score, domains, rng.normal(size=30)))
    p = found["p"].to_numpy()
    first, second, third = np.sort(p)
    adjusted = {
        third: third,
        second: min(second * 3 / 2, third),
        first: min(first * 3, second * 3 / 2, third),
    }
    assert found["p_bh"].tolist() == pytest.approx([adjusted[one] for one in p])


def test_p_is_mann_and_whitney_s():
    rng = np.random.default_rng(1)
    score, domains = rng.uniform(size=36), ["general", "finance"] * 18
    found = subgroups(data(score, domains, np.repeat([1.0, 2, 3], 12)))
    theirs = stats.mannwhitneyu(score[:12][1::2], score[:12][::2]).pvalue
    assert found.loc[0, "p"] == pytest.approx(theirs)


def test_a_cell_without_one_domain_has_no_gap_and_no_part_in_the_correction():
    found = subgroups(
        data(
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
            ["general", "general", "general", "finance", "general", "finance"],
            [1, 2, 3, 4, 5, 6],
        )
    ).set_index("group")
    assert found.loc["low", ["gap", "p", "p_bh"]].isna().all()
    assert found.loc["medium", "p_bh"] == found.loc["medium", "p"] == 1.0


def test_task_types_held_equal_undo_a_mix_that_makes_a_gap():
    # Finance has the hard task type more often; within each type there is no difference at all.
    score = [0.9, 0.9, 0.9, 0.2, 0.2, 0.9] * 3
    types = ["sts", "sts", "sts", "retrieval", "retrieval", "sts"] * 3
    domains = ["general", "general", "general", "general", "finance", "finance"] * 3
    found = subgroups(data(score, domains, np.repeat([1.0, 2, 3], 6), types))
    assert (found["gap"] < -0.1).all()
    assert found["gap_within_task_types"].tolist() == pytest.approx([0, 0, 0], abs=1e-12)
