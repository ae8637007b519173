from itertools import islice

import numpy as np
import pytest

from polyvec.errors import BadInput
from polyvec.training.batch_order import ORDERS, homogeneous, semi_homogeneous, size_scaled

TASKS = ["a"] * 9 + ["b"] * 7


def of_tasks(batches, count):
    return [{TASKS[row] for row in batch} for batch in islice(batches, count)]


def test_batches_are_of_one_task_and_leftovers_make_mixed_ones():
    # 9 = 2 whole batches and 1 row, 7 = 1 batch and 3 rows: the fourth batch is of the rows left over.
    found = of_tasks(homogeneous(TASKS, 4), 4)
    assert sorted(len(tasks) for tasks in found) == [1, 1, 1, 2]


def test_half_of_each_batch_stays_with_its_task():
    tasks = ["a"] * 40 + ["b"] * 40
    shares = []
    for batch in islice(semi_homogeneous(tasks, 8, ratio=0.75), 10):
        of_b = int((batch >= 40).sum())
        shares.append(min(of_b, 8 - of_b))
    # 2 of 8 are dealt out, so that at most 2 can be of the other task.
    assert max(shares) in (1, 2)
    mixed = [int((b >= 40).sum()) for b in islice(semi_homogeneous(tasks, 8, ratio=0.0), 10)]
    assert set(mixed) - {0, 8}


@pytest.mark.parametrize("name", ["random", "homogeneous", "semi-homogeneous"])
def test_a_pass_takes_every_row_once(name):
    rows = np.concatenate(list(islice(ORDERS[name](TASKS, 4, 3), 4)))
    assert sorted(rows) == list(range(16))


@pytest.mark.parametrize("name", list(ORDERS))
def test_the_same_seed_gives_the_same_order_and_passes_differ(name):
    first, again = (list(islice(ORDERS[name](TASKS, 4, 1), 8)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    other = list(islice(ORDERS[name](TASKS, 4, 2), 8))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    assert any((a != b).any() for a, b in zip(first[:4], first[4:], strict=True))


def test_tasks_are_drawn_by_the_power_of_their_size():
    tasks = ["a"] * 900 + ["b"] * 100
    for power, expected in ((1.0, 0.1), (0.5, 0.25), (0.0, 0.5)):
        drawn = [batch[0] >= 900 for batch in islice(size_scaled(tasks, 4, power=power), 2000)]
        assert np.mean(drawn) == pytest.approx(expected, abs=0.04)


def test_a_task_goes_through_all_of_its_rows_and_a_small_one_repeats():
    seen = np.concatenate([b for b in islice(size_scaled(TASKS, 3, power=0), 60) if b[0] < 9][:3])
    assert sorted(seen) == list(range(9))
    alone = next(size_scaled(["a"] * 2 + ["b"] * 9, 5, seed=3, power=0.0))
    assert len(alone) == 5


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: homogeneous(TASKS, 17), "batches of 17 of 16 rows"),
        (lambda: homogeneous(TASKS, 0), "batches of 0 of 16 rows"),
        (lambda: semi_homogeneous(TASKS, 4, ratio=1.2), "a ratio of 1.2"),
        (lambda: size_scaled(TASKS, 4, power=-1), "a power of -1"),
    ],
)
def test_bad_input_gets_a_sentence(make, sentence):
    with pytest.raises(BadInput, match=sentence):
        make()
