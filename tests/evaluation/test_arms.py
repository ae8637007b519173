"""Arms are compared seed by seed."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from polyvec.errors import BadInput
from polyvec.evaluation.arms import compare_arms, spread


def test_difference_and_interval_by_hand() -> None:
    # Differences .1, .1, .2: mean .1333, sd .0577, standard error .0333, t(2, .975) 4.303.
    compared = compare_arms({"plain": [0.5, 0.6, 0.7], "ours": [0.6, 0.7, 0.9]}, "plain")["ours"]
    assert compared.difference == pytest.approx(0.4 / 3)
    assert compared.high - compared.difference == pytest.approx(4.3027 * 0.1 / 3, abs=1e-4)
    assert compared.mean == pytest.approx(2.2 / 3)


def test_p_is_scipys() -> None:
    rng = np.random.default_rng(0)
    values = {arm: rng.normal(size=6).tolist() for arm in ("a", "b")}
    assert compare_arms(values, "a")["b"].p == pytest.approx(
        ttest_rel(values["b"], values["a"]).pvalue
    )


def test_baseline_differs_from_itself_by_nothing() -> None:
    summary = compare_arms({"a": [1.0, 2.0]}, "a")["a"]
    assert (summary.difference, summary.low, summary.high, summary.p) == (0.0, 0.0, 0.0, 1.0)


def test_one_seed_says_nothing_about_spread() -> None:
    summary = compare_arms({"a": [1.0], "b": [2.0]}, "a")["b"]
    assert (summary.sd, summary.difference, summary.high, summary.p) == (0.0, 1.0, np.inf, 1.0)


def test_equal_differences_are_certain() -> None:
    summary = compare_arms({"a": [1.0, 2.0], "b": [2.0, 3.0]}, "a")["b"]
    assert (summary.low, summary.high, summary.p) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "baseline", "message"),
    [
        ({"a": [1.0]}, "b", "no arm is called 'b'"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "a", "'b' has 2 seeds and 'a' 1"),
    ],
)
def test_what_cannot_be_compared(
    values: dict[str, list[float]], baseline: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        compare_arms(values, baseline)


def test_spread_of_many_and_of_one() -> None:
    assert spread([0.5, 0.6, 0.7]) == "0.600 ± 0.100"
    assert spread([0.5]) == "0.500"
