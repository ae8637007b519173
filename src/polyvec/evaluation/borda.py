"""Borda's count over tasks: models ranked by how many others they beat, as MTEB's leaderboard ranks them.

Each task is a voter (de Borda 1781; for benchmarks Colombo et al. 2022, arXiv:2202.03799). A mean over tasks adds
scores of different scales; a count of places does not, and prefers what does well everywhere.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from polyvec.errors import BadInput


def borda_rank(table: pd.DataFrame) -> pd.DataFrame:
    """Rank models by Borda's count.

    Args:
        table: scores, a row a model and a column a task; higher is better. Where a model has no score in a task it is
            NaN, and it gets no points there.

    Returns:
        A row a model, best first: ``points``, the sum over tasks of the number of models less the model's rank, equal
        scores sharing the mean of their ranks; and ``rank``, from 1, equal points sharing the better rank.

    Raises:
        BadInput: when the table is empty or names a model twice, or a model has no score at all.

    Example:
        >>> scores = pd.DataFrame({"sts": [0.8, 0.7, 0.6], "retrieval": [0.5, 0.5, 0.4]}, index=["a", "b", "c"])
        >>> borda_rank(scores)
           points  rank
        a     3.5     1
        b     2.5     2
        c     0.0     3
    """
    if table.empty:
        raise BadInput(
            "a table without scores: give a row for each model and a column for each task"
        )
    twice = table.index[table.index.duplicated()]
    if len(twice):
        raise BadInput(f"the table has two rows of {twice[0]!r}: give one for each model")
    nowhere = table.index[table.isna().all(axis=1)]
    if len(nowhere):
        raise BadInput(
            f"{nowhere[0]!r} has no score in any task, and would count as beaten: leave it out"
        )
    points = (len(table) - table.rank(ascending=False, method="average")).sum(axis=1)
    found = pd.DataFrame({"points": points, "rank": points.rank(ascending=False, method="min")})
    found = found.astype({"points": np.float64, "rank": np.int64})
    return found.sort_values("rank", kind="stable")
