import numpy as np
import pandas as pd
import pytest

from polyvec.errors import BadInput
from polyvec.evaluation.borda import borda_rank


def table(rows, models="abcd"):
    return pd.DataFrame(rows, index=list(models), columns=["one", "two", "three"], dtype=float)


def test_by_hand():
    # Ranks of task one: 1, 2.5, 2.5, 4; of two: 4, 1, 2, 3; of three, where c is missing: 2, 1, -, 3.
    found = borda_rank(table([[9, 1, 2], [5, 9, 3], [5, 8, np.nan], [1, 5, 1]]))
    assert found.loc[list("abcd"), "points"].tolist() == [
        3 + 0 + 2,
        1.5 + 3 + 3,
        1.5 + 2,
        0 + 1 + 1,
    ]
    assert found.index.tolist() == ["b", "a", "c", "d"]
    assert found["rank"].tolist() == [1, 2, 3, 4]


def test_equal_points_share_the_better_rank():
    found = borda_rank(table([[2, 1, 1], [1, 2, 1], [0, 0, 0]], "abc"))
    assert found["points"].tolist() == [2 + 1 + 1.5, 1 + 2 + 1.5, 0]
    assert found["rank"].tolist() == [1, 1, 3]


def test_the_order_of_rows_does_not_matter():
    scores = table(np.random.default_rng(0).normal(size=(4, 3)))
    first, other = borda_rank(scores), borda_rank(scores.iloc[::-1])
    assert first.loc[other.index].equals(other)


def test_it_is_mtebs():
    tables = pytest.importorskip("mteb.benchmarks._create_table")
    if not hasattr(tables, "_borda_rank_from_long"):
        pytest.skip("this mteb has it elsewhere")
    polars = pytest.importorskip("polars")
    draw = np.random.default_rng(1)
    scores = pd.DataFrame(
        draw.integers(0, 6, size=(12, 7)).astype(float),
        index=[f"model {n}" for n in range(12)],
        columns=[f"task {n}" for n in range(7)],
    ).mask(draw.random((12, 7)) < 0.2)
    rows = [
        {"model_name": model, "task_name": task, "score": score}
        for model, own in scores.iterrows()
        for task, score in own.items()
        if not np.isnan(score)
    ]
    theirs = tables._borda_rank_from_long(polars.DataFrame(rows), n_models=12)
    expected = dict(theirs.iter_rows())
    assert borda_rank(scores)["rank"].to_dict() == expected


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (pd.DataFrame(), "without scores"),
        (table([[1, 2, 3], [3, 2, 1]], "aa"), "two rows of 'a'"),
        (table([[1, 2, 3], [np.nan] * 3], "ab"), "'b' has no score"),
    ],
)
def test_bad_tables(scores, message):
    with pytest.raises(BadInput, match=message):
        borda_rank(scores)
