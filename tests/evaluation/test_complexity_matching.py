import numpy as np
import pandas as pd
import pytest
from scipy import stats

from polyvec.evaluation.complexity_matching import closest_pairs, matched
from polyvec.evaluation.domain_gap_data import gap_data


def data(rows, columns=("fog",)):
    """Rows of (data set, task type, domain, score, measures...)."""
    table = pd.DataFrame(rows, columns=["dataset", "task_type", "domain", "score", *columns])
    complexity = table[["dataset", *columns]].astype(dict.fromkeys(columns, float))
    return gap_data(table.assign(model="m"), complexity, "general", None, None, ())


ROWS = [
    ("g1", "sts", "general", 0.9, 1.0),
    ("g2", "sts", "general", 0.8, 2.0),
    ("g3", "retrieval", "general", 0.6, 1.0),
    ("f1", "sts", "finance", 0.7, 1.1),
    ("f2", "sts", "finance", 0.5, 2.2),
    ("f3", "retrieval", "finance", 0.2, 9.0),
]


def test_pairs_by_hand():
    summary, pairs = matched(data(ROWS))
    assert set(zip(pairs["target"], pairs["reference"], strict=True)) == {
        ("f1", "g1"),
        ("f2", "g2"),
    }
    row = summary.loc[0]
    assert (row["measure"], row["pairs"]) == ("fog", 2)
    assert row["difference"] == pytest.approx(-0.25)
    theirs = stats.ttest_1samp([-0.2, -0.3], 0)
    assert row["p"] == pytest.approx(theirs.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(theirs.confidence_interval()))


def test_the_caliper_is_in_standard_deviations():
    spread = np.std([1, 2, 1, 1.1, 2.2, 9], ddof=1)
    _, pairs = matched(data(ROWS))
    assert pairs["distance"].tolist() == pytest.approx([0.1 / spread, 0.2 / spread])
    assert len(matched(data(ROWS), caliper=0.15 / spread)[1]) == 1
    assert len(matched(data(ROWS), caliper=8.1 / spread)[1]) == 3


def test_no_pair_leaves_no_number():
    summary, pairs = matched(data(ROWS), caliper=1e-6)
    assert pairs.empty
    assert summary.loc[0, "pairs"] == 0
    assert summary.loc[0, ["difference", "low", "p"]].isna().all()


def test_the_order_of_rows_makes_no_difference():
    one, two = matched(data(ROWS)), matched(data(ROWS[::-1]))
    for ours, theirs in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


def test_the_closest_are_paired_first_and_none_twice():
    distances = np.array([[0.3, 0.1, 0.9], [0.2, 0.15, 0.9]])
    assert closest_pairs(distances, caliper=0.5) == [(0, 1), (1, 0)]


def test_several_measures_share_one_caliper():
    rows = [(*row, n % 3) for n, row in enumerate(ROWS)]
    summary, pairs = matched(data(rows, ("fog", "mdd")), caliper=10)
    assert summary["measure"].tolist() == ["fog", "mdd", "all measures"]
    one = pairs[(pairs["measure"] == "all measures") & (pairs["target"] == "f1")].iloc[0]
    spreads = [np.std([row[4] for row in ROWS], ddof=1), np.std([0, 1, 2, 0, 1, 2], ddof=1)]
    apart = np.array([1.1 - 1.0, 0 - 0]) / spreads
    assert one["reference"] == "g1"
    assert one["distance"] == pytest.approx(np.sqrt((apart**2).mean()))
