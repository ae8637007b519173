import numpy as np
import pytest
from scipy import stats

from polyvec.evaluation.bootstrap import RESAMPLES, Interval, paired_bootstrap


@pytest.mark.parametrize("difference", [0.25, -0.5])
def test_without_variance_the_interval_is_a_point_and_p_the_smallest_possible(difference):
    found = paired_bootstrap([np.full(40, difference)])
    assert (found.value, found.low, found.high) == (difference, difference, difference)
    assert found.p == 2 / (RESAMPLES + 1)


def test_no_difference_at_all_has_p_one():
    assert paired_bootstrap([np.zeros(40)]) == Interval(0.0, 0.0, 0.0, 1.0)


def test_one_query_has_no_variance():
    assert paired_bootstrap([np.array([0.5])]).low == 0.5


def test_two_queries_worked_by_hand():
    # Resampling {-1, 1} gives -1, 0, 0, 1 with a quarter each: the quantiles are the ends,
    # and both tails, zero included, hold three quarters, so that p is cut at 1.
    found = paired_bootstrap([np.array([-1.0, 1.0])])
    assert found == Interval(0.0, -1.0, 1.0, 1.0)


def test_p_of_three_queries_worked_by_hand():
    # {-1, 2, 2}: a mean is <= 0 if at least two of three draws are -1 (-1 -1 2 sums to 0):
    # 3 · (1/3)² · (2/3) + (1/3)³ = 7/27, two-sided 14/27.
    found = paired_bootstrap([np.array([-1.0, 2.0, 2.0])])
    assert found.p == pytest.approx(14 / 27, abs=0.02)


def test_every_task_weighs_the_same_whatever_its_queries():
    few, many = np.array([1.0, 1.0]), np.zeros(1000)
    found = paired_bootstrap([few, many])
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_agrees_with_scipy_on_one_task():
    values = np.random.default_rng(3).normal(0.1, 0.5, size=80)
    found = paired_bootstrap([values])
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=0, n_resamples=10_000)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_agrees_with_the_normal_interval_over_several_tasks():
    rng = np.random.default_rng(4)
    tasks = [rng.normal(0, 1, 200), rng.normal(1, 2, 300), rng.normal(0.5, 1, 100)]
    found = paired_bootstrap(tasks)
    # The variance of a mean of independent means: the sum of their variances over 3².
    error = np.sqrt(sum(task.var() / len(task) for task in tasks)) / 3
    mean = np.mean([task.mean() for task in tasks])
    assert found.low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)


def test_turning_every_sign_mirrors_the_interval_and_keeps_p():
    values = np.random.default_rng(5).normal(0.1, 0.5, size=60)
    found, mirrored = paired_bootstrap([values]), paired_bootstrap([-values])
    assert mirrored.value == pytest.approx(-found.value)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    assert mirrored.p == found.p


def test_the_order_of_queries_and_tasks_hardly_matters():
    rng = np.random.default_rng(6)
    tasks = [rng.normal(0.1, 0.5, size=n) for n in (50, 90)]
    turned = paired_bootstrap([tasks[1][::-1], tasks[0][::-1]])
    found = paired_bootstrap(tasks)
    assert turned.value == pytest.approx(found.value)
    assert (turned.low, turned.high) == pytest.approx((found.low, found.high), abs=0.01)


def test_the_same_seed_gives_the_same_interval():
    values = [np.random.default_rng(7).normal(size=30)]
    assert paired_bootstrap(values, seed=1) == paired_bootstrap(values, seed=1)
    assert paired_bootstrap(values, seed=1) != paired_bootstrap(values, seed=2)


def test_more_queries_than_a_block_holds_give_an_interval_too():
    values = np.random.default_rng(8).normal(size=30_000)
    found = paired_bootstrap([values], resamples=100)
    error = values.std() / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.3)


def test_an_interval_is_plain_json():
    assert Interval(0.1, 0.0, 0.2, 0.05).to_dict() == {
        "value": 0.1,
        "low": 0.0,
        "high": 0.2,
        "p": 0.05,
    }
