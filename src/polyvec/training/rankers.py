"""What ranks a corpus for queries: by words, or by vectors on an exact or an approximate index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from polyvec.data.bm25 import BM25
from polyvec.encoders.encoding import encode
from polyvec.errors import BadInput, MissingExtra

Ids = NDArray[np.int64]
Scores = NDArray[np.float32]

_AT_ONCE = 2**26
"""Scores that an exact search holds at a time."""
_LINKS, _WIDTH = 32, 200
"""Of the graph of an approximate index: neighbours of a text, and candidates while it is built."""


class Ranker(Protocol):
    """Ranks the texts that it was built of."""

    def search(self, queries: Sequence[str], depth: int) -> tuple[Ids, Scores]:
        """Numbers of the best texts for each query, best first, and their scores, (queries, at most depth)."""

    def scores(self, queries: Sequence[str], ids: Ids) -> Scores:
        """Scores of given texts for each query, in the shape of ``ids``; minus infinity where an id is below 0."""


class LexicalRanker:
    """BM25.

    Args:
        corpus: the texts.
    """

    def __init__(self, corpus: Sequence[str]) -> None:
        self._index = BM25(corpus)

    def search(self, queries: Sequence[str], depth: int) -> tuple[Ids, Scores]:
        """The best texts; those that share no word with the query have a score of 0."""
        return self._index.search(queries, depth)

    def scores(self, queries: Sequence[str], ids: Ids) -> Scores:
        """Scores of given texts."""
        found = np.full(ids.shape, -np.inf, np.float32)
        for row, (query, wanted) in enumerate(zip(queries, ids, strict=True)):
            known = wanted >= 0
            found[row, known] = self._index.scores(query)[wanted[known]]
        return found


class DenseRanker:
    """Cosines of a model's vectors.

    Args:
        model: embeds queries and texts, each with its prompt where it has any.
        corpus: the texts.
        index: ``flat``, which is exact, or ``hnsw``, which is approximate and faster above some hundred thousand texts
            (needs faiss, of the extra ``ann``).

    Raises:
        BadInput: for another index.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        corpus: Sequence[str],
        index: Literal["flat", "hnsw"] = "flat",
    ) -> None:
        if index not in ("flat", "hnsw"):
            raise BadInput(f"index {index!r}: give flat or hnsw")
        self._model = model
        self._vectors = _unit(encode(model, list(corpus), task="document"))
        self._graph = _graph(self._vectors) if index == "hnsw" else None
        self._last: tuple[tuple[str, ...], Scores] = ((), np.empty((0, 0), np.float32))

    def search(self, queries: Sequence[str], depth: int) -> tuple[Ids, Scores]:
        """The nearest texts."""
        asked, depth = self._asked(queries), min(depth, len(self._vectors))
        if self._graph is not None:
            self._graph.hnsw.efSearch = max(2 * depth, 64)
            found, ids = self._graph.search(asked, depth)
            return ids.astype(np.int64), found.astype(np.float32)
        return _exact(asked, self._vectors, depth)

    def scores(self, queries: Sequence[str], ids: Ids) -> Scores:
        """Cosines of given texts."""
        asked = self._asked(queries)
        found = np.full(ids.shape, -np.inf, np.float32)
        for row, wanted in enumerate(ids):
            known = wanted >= 0
            found[row, known] = self._vectors[wanted[known]] @ asked[row]
        return found

    def _asked(self, queries: Sequence[str]) -> Scores:
        # Who searches asks for scores next, of the same queries.
        if not queries or self._last[0] != tuple(queries):
            self._last = tuple(queries), _unit(encode(self._model, list(queries), task="query"))
        return self._last[1]


def _exact(asked: Scores, vectors: Scores, depth: int) -> tuple[Ids, Scores]:
    """The nearest of all vectors, block by block."""
    columns = torch.from_numpy(vectors).T
    rows = max(1, _AT_ONCE // len(vectors))
    ids, found = [], []
    for block in torch.from_numpy(asked).split(rows):
        best = (block @ columns).topk(depth, dim=1)
        ids.append(best.indices.numpy())
        found.append(best.values.numpy())
    return np.concatenate(ids), np.concatenate(found)


def _graph(vectors: Scores):  # type: ignore[no-untyped-def]
    try:
        import faiss
    except ImportError:
        raise MissingExtra("faiss", "ann") from None
    graph = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = _WIDTH
    graph.add(vectors)
    return graph


def _unit(vectors: NDArray[np.float32]) -> Scores:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Scores = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found
