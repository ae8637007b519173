"""BM25: ranking by shared words, the baseline every retriever has to beat.

It mines hard negatives, stands as a system of its own in every exam, and is one half of hybrid search.
The index is bm25s' (Lù 2024, arXiv 2407.03618) with Lucene's scoring; only the tokeniser is ours: it keeps
an identifier whole and adds its parts, so that ``read_csv`` and ``ReadCsv`` are found by *read* and by *csv*.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_BOUNDARY = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_STOPWORDS = frozenset(bm25s.stopwords.STOPWORDS_EN)


def words(text: str) -> list[str]:
    """Lower-case words of ``text``; an identifier is followed by its parts.

    Example:
        >>> words("Use read_csv or ReadCsv")
        ['use', 'read_csv', 'read', 'csv', 'or', 'readcsv', 'read', 'csv']
    """
    found = []
    for word in _WORD.findall(text):
        found.append(word.lower())
        parts = [part for part in _BOUNDARY.split(word) if part]
        if parts != [word]:
            found.extend(part.lower() for part in parts)
    return found


class BM25:
    """An index over texts that returns the best positions for each query.

    Args:
        texts: what is searched; positions in it are what `search` returns.
        language: stemmer of the Snowball family; stop words are dropped for English only.

    Example:
        >>> index = BM25(["the cat sat", "dogs bark loudly", "a cat and a dog"])
        >>> positions, scores = index.search(["barking dogs"], k=2)
        >>> positions[0].tolist()
        [1, 2]
    """

    def __init__(self, texts: Sequence[str], language: str = "english") -> None:
        self._stem = Stemmer.Stemmer(language).stemWords
        self._stopwords = _STOPWORDS if language == "english" else frozenset()
        self._size = len(texts)
        self._index = bm25s.BM25(method="lucene")
        # A corpus of stop words alone would give bm25s an empty vocabulary, which it cannot index.
        tokens = [self._tokens(text) or [""] for text in texts]
        self._index.index(tokens, show_progress=False)

    def search(
        self, queries: Sequence[str], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``k`` best texts for each query, best first.

        Returns:
            Positions and scores, both of shape ``(len(queries), min(k, len(texts)))``; a text that shares no
            word with the query has score 0.
        """
        k = min(k, self._size)
        positions = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        for row, query in enumerate(queries):
            positions[row], scores[row] = _top(self.scores(query), k)
        return positions, scores

    def scores(self, query: str) -> NDArray[np.float32]:
        """Scores of all texts for a query, shape (texts,)."""
        tokens = self._index.get_tokens_ids(self._tokens(query))
        if not tokens:
            return np.zeros(self._size, dtype=np.float32)
        return np.asarray(self._index.get_scores_from_ids(tokens), dtype=np.float32)

    def _tokens(self, text: str) -> list[str]:
        stemmed: list[str] = self._stem([w for w in words(text) if w not in self._stopwords])
        return stemmed


def _top(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    best = np.argpartition(-scores, k - 1)[:k] if k < len(scores) else np.arange(len(scores))
    # Ties are broken by position so that the same corpus always gives the same ranking.
    best = best[np.lexsort((best, -scores[best]))]
    return best, scores[best]
