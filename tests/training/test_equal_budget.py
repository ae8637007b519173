"""Every arm gets the same steps or seconds, and the same rows in the same order."""

from itertools import islice

import numpy as np
import pytest

from polyvec.errors import BadInput
from polyvec.training.equal_budget import EqualBudget, same_order


def test_steps_are_counted() -> None:
    assert list(EqualBudget(steps=4)) == [0.0, 0.25, 0.5, 0.75]


def test_seconds_end_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.0, 1.0, 2.5, 4.0])
    monkeypatch.setattr("polyvec.training.equal_budget.time.monotonic", lambda: next(ticks))
    assert list(EqualBudget(seconds=4)) == [0.0, 0.25, 0.625]


@pytest.mark.parametrize("given", [{}, {"steps": 3, "seconds": 1.0}, {"steps": 0}, {"seconds": -1}])
def test_a_budget_is_one_size_above_0(given: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="give one of them"):
        EqualBudget(**given)  # type: ignore[arg-type]


def test_order_is_the_same_for_every_arm() -> None:
    first, second = (list(islice(same_order(10, 4, seed=3), 20)) for _ in range(2))
    assert np.array_equal(first, second)


def test_each_pass_has_every_row_once() -> None:
    rows = np.concatenate(list(islice(same_order(10, 4, seed=0), 5)))
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))


def test_batches_larger_than_the_data_are_filled() -> None:
    assert sorted(next(same_order(2, 4, seed=0))) == [0, 0, 1, 1]


def test_order_needs_rows() -> None:
    with pytest.raises(BadInput, match="1 or more"):
        next(same_order(0, 4, seed=0))
