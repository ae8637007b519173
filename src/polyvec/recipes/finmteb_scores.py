"""Scores of the finance experiment: every model on every slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyvec.evaluation.retrieval_metrics import measure
from polyvec.recipes.finmteb_models import Encode, Vectors
from polyvec.recipes.finmteb_slices import IntentSlice, RetrievalSlice

Slice = IntentSlice | RetrievalSlice


def scores(models: Mapping[str, Encode], slices: Sequence[Slice]) -> pd.DataFrame:
    """A row for each model and slice.

    Returns:
        Columns ``model``, ``dataset``, ``task_type``, ``domain``, ``score`` (0 to 1): mean average precision of finding
        the other texts of one's own intent, and nDCG@10 of retrieval.
    """
    rows = [
        {
            "model": name,
            "dataset": part.name,
            "task_type": "intents" if isinstance(part, IntentSlice) else "retrieval",
            "domain": part.domain,
            "score": _intents(encode, part)
            if isinstance(part, IntentSlice)
            else _retrieval(encode, part),
        }
        for name, encode in models.items()
        for part in slices
    ]
    return pd.DataFrame(rows)


def leave_one_out_map(vectors: Vectors, labels: Sequence[str]) -> float:
    """Mean average precision of each text's ranking of all others, those with its label relevant.

    Args:
        vectors: of length 1, shape (texts, dimensions).
        labels: one a text, each borne by at least two.

    Example:
        >>> import numpy as np
        >>> leave_one_out_map(np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32), ["a", "a", "b"])
        1.0
    """
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    order = np.argsort(-similar, axis=1, kind="stable")[:, :-1]
    names = np.asarray(labels)
    relevant = names[order] == names[:, None]
    known = relevant.any(axis=1)
    return float(_average_precision(relevant[known]).mean())


def _average_precision(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    found = relevant.cumsum(axis=1)
    precision = found / np.arange(1, relevant.shape[1] + 1)
    total: NDArray[np.float64] = (precision * relevant).sum(axis=1) / relevant.sum(axis=1)
    return total


def _intents(encode: Encode, part: IntentSlice) -> float:
    return leave_one_out_map(encode(part.texts), part.labels)


def _retrieval(encode: Encode, part: RetrievalSlice) -> float:
    data = part.data
    asked = list(data.judgements.queries)
    vectors = encode([*(data.judgements.queries[id] for id in asked), *data.documents.values()])
    ids = list(data.documents)
    order = np.argsort(-(vectors[: len(asked)] @ vectors[len(asked) :].T), axis=1, kind="stable")
    ranked = [[ids[place] for place in row[:100]] for row in order]
    found = measure(ranked, [data.judgements.qrels[id] for id in asked])
    return float(found["ndcg@10"].mean())
