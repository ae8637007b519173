"""A teacher of words and meaning, from whose scores LG-ANNA-Embedding learns (Choi et al. 2025, arXiv:2506.07438).

Its retrieval system, which is in-house, has two stages: BM25 and a dense model each propose texts, and a cross-encoder
scores their union. What the report leaves open is chosen here: how many each proposes (50), and how their scores become
one where there is no cross-encoder,

- ``zscore``: ``weight · z(bm25) + (1 - weight) · z(dense)``, z in standard deviations from the mean of the proposed
  texts;
- ``rrf``: ``1/(60 + rank)`` of both, summed up (Cormack, Clarke and Büttcher 2009).

Both read a text's place among the texts proposed for the query, and nothing else, so that a text has the same score
whatever it is asked together with: mining and soft labels see one teacher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from polyvec.errors import BadInput
from polyvec.objectives.soft_labels import entropy_share
from polyvec.training.rankers import DenseRanker, Ids, LexicalRanker, Scores

Fusion = Literal["zscore", "rrf"]

POOL = 50
"""Texts that each of the two proposes for a query."""
WEIGHT = 0.3
"""Of words, beside meaning."""
CONSTANT = 60
"""Of reciprocal ranks."""
_HALVINGS = 100


class CrossEncoder(Protocol):
    """Reads query and text together; sentence-transformers' ``CrossEncoder`` does."""

    def predict(self, pairs: list[tuple[str, str]], **options: Any) -> Any:
        """A number for each pair."""


class _Proposed(NamedTuple):
    """Scores of the texts proposed for one query: of words, and of meaning."""

    words: NDArray[np.float64]
    meaning: NDArray[np.float64]


class HybridTeacher:
    """Scores texts for queries by words, by meaning, or by reading both together; a `Ranker` like any other.

    Args:
        corpus: the texts, from which BM25 also counts how rare a word is.
        dense: embeds queries and texts, each with its prompt where it has any.
        cross_encoder: where given, its scores before any activation are the teacher's, and the other two only propose.
        fusion: ``zscore`` or ``rrf``.
        weight: of words in ``zscore``, from 0, meaning alone, to 1, words alone.
        pool: texts that each of the two proposes for a query.

    Raises:
        BadInput: for another fusion, a weight outside of 0 to 1, fewer than 2 proposals, or no text.

    Example:
        >>> teacher = HybridTeacher(corpus, load("mpnet"))  # doctest: +SKIP
        >>> teacher.score(["red wine"], [["a glass of red wine", "a red brick"]])  # doctest: +SKIP
        array([[ 2.1, -0.4]], dtype=float32)
        >>> mine_hard_negatives(teacher, queries, positives, corpus)  # doctest: +SKIP
    """

    def __init__(
        self,
        corpus: Sequence[str],
        dense: SentenceTransformer,
        *,
        cross_encoder: CrossEncoder | None = None,
        fusion: Fusion = "zscore",
        weight: float = WEIGHT,
        pool: int = POOL,
    ) -> None:
        if fusion not in ("zscore", "rrf"):
            raise BadInput(f"fusion {fusion!r}: give zscore or rrf")
        if not 0 <= weight <= 1 or pool < 2:
            raise BadInput(
                f"weight {weight} and a pool of {pool}: give a weight from 0 to 1, and 2 texts or more"
            )
        if not corpus:
            raise BadInput("a teacher without texts: give a corpus of one or more")
        self._corpus = list(corpus)
        self._numbers = {text: number for number, text in enumerate(self._corpus)}
        self._words = LexicalRanker(self._corpus)
        self._meaning = DenseRanker(dense, self._corpus)
        self._reader = cross_encoder
        self._fusion = fusion
        self._weight = weight
        self._pool = pool
        self._last: tuple[tuple[str, ...], list[_Proposed]] = ((), [])

    def score(
        self,
        queries: Sequence[str],
        candidates: Sequence[Sequence[str]] | Sequence[Sequence[int]] | Ids,
    ) -> Scores:
        """The teacher's scores of a group of texts for each query, as soft labels want them.

        Args:
            queries: what is asked.
            candidates: for each query its group, say the positive and its negatives: texts of the corpus, or their
                numbers; all groups of one size.

        Returns:
            Shape (queries, group).

        Raises:
            BadInput: when a group is missing or of another size, or a text is not of the corpus.
        """
        if len(queries) != len(candidates):
            raise BadInput(
                f"{len(queries)} queries and {len(candidates)} groups: give one for each"
            )
        ids = np.empty((len(queries), len(candidates[0]) if len(queries) else 0), np.int64)
        for row, group in enumerate(candidates):
            if len(group) != ids.shape[1]:
                raise BadInput(
                    f"group {row} has {len(group)} texts and group 0 has {ids.shape[1]}: give as many to each query"
                )
            ids[row] = [self._number(row, text) for text in group]
        return self.scores(queries, ids)

    def candidates(self, queries: Sequence[str], pool: int | None = None) -> list[Ids]:
        """Numbers of the texts that are proposed for each query: the best by words and the best by meaning.

        Args:
            queries: what is asked.
            pool: how many each of the two proposes; the teacher's own where None.

        Returns:
            For each query from ``pool`` to twice as many numbers, in ascending order.
        """
        pool = pool or self._pool
        by_words = self._words.search(queries, pool)[0]
        by_meaning = self._meaning.search(queries, pool)[0]
        return [np.union1d(*both) for both in zip(by_words, by_meaning, strict=True)]

    def search(self, queries: Sequence[str], depth: int) -> tuple[Ids, Scores]:
        """The best of the texts that are proposed, each of the two proposing ``depth`` where that is more."""
        proposed = self.candidates(queries, max(depth, self._pool))
        ids = _padded(proposed)
        scores = self.scores(queries, ids)
        depth = min(depth, len(self._corpus))
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)

    def scores(self, queries: Sequence[str], ids: Ids) -> Scores:
        """Scores of given texts."""
        found = np.full(ids.shape, -np.inf, np.float32)
        known = ids >= 0
        if self._reader is not None:
            rows, columns = np.nonzero(known)
            pairs = [
                (queries[row], self._corpus[ids[row, column]])
                for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            ]
            found[known] = self._read(pairs)
            return found
        words, meaning = self._words.scores(queries, ids), self._meaning.scores(queries, ids)
        # Who searches asks for scores next, of the same queries.
        if self._last[0] != tuple(queries):
            self._last = tuple(queries), self._proposed(queries)
        for row, proposed in enumerate(self._last[1]):
            at = known[row]
            found[row, at] = self._fused(proposed, words[row, at], meaning[row, at])
        return found

    def _proposed(self, queries: Sequence[str]) -> list[_Proposed]:
        proposed = self.candidates(queries)
        ids = _padded(proposed)
        words, meaning = self._words.scores(queries, ids), self._meaning.scores(queries, ids)
        return [
            _Proposed(words[row, : len(own)].astype(float), meaning[row, : len(own)].astype(float))
            for row, own in enumerate(proposed)
        ]

    def _fused(self, proposed: _Proposed, words: Scores, meaning: Scores) -> NDArray[np.float64]:
        if self._fusion == "rrf":
            ranks = _ranks(proposed.words, words), _ranks(proposed.meaning, meaning)
            found: NDArray[np.float64] = 1 / (CONSTANT + ranks[0]) + 1 / (CONSTANT + ranks[1])
            return found
        return self._weight * _standard(proposed.words, words) + (1 - self._weight) * _standard(
            proposed.meaning, meaning
        )

    def _read(self, pairs: list[tuple[str, str]]) -> Scores:
        assert self._reader is not None
        # A sigmoid would press what is clearly right, and clearly wrong, together.
        scores = np.asarray(
            self._reader.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False),
            np.float32,
        )
        if scores.shape != (len(pairs),):
            raise BadInput(
                f"a cross-encoder with scores of the shape {scores.shape} for {len(pairs)} pairs: give one that has "
                "one output (num_labels=1)"
            )
        return scores

    def _number(self, row: int, text: Any) -> int:
        if isinstance(text, str):
            if text not in self._numbers:
                raise BadInput(
                    f"group {row} has a text that is not of the teacher's corpus: {text[:80]!r}; build the teacher of "
                    "all texts"
                )
            return self._numbers[text]
        if not 0 <= text < len(self._corpus):
            raise BadInput(
                f"group {row} has the number {text}: give numbers from 0 to {len(self._corpus) - 1}"
            )
        return int(text)


def calibrate_temperature(
    scores: Sequence[Sequence[float]] | NDArray[np.floating], target_entropy: float = 0.5
) -> float:
    """Find the temperature at which a teacher's probabilities are neither hard labels nor none.

    Args:
        scores: the teacher's, of the group of each row, shape (rows, group); best of all that is learned from.
        target_entropy: what the mean entropy of ``softmax(scores / temperature)`` is to be, as a share of the
            greatest, which is the log of the group's size.

    Returns:
        The temperature, for `polyvec.objectives.soft_labels.SoftLabels`.

    Raises:
        BadInput: when the share is not between 0 and 1, a score is missing, a group has one member only, or ties
            leave more entropy than that at any temperature.

    Example:
        >>> import numpy as np
        >>> temperature = calibrate_temperature([[np.log(9), 0.0]], 0.469)  # of 9 to 1: 0.469 bits
        >>> round(temperature, 3)
        1.0
    """
    given = torch.as_tensor(np.asarray(scores, np.float64))
    if not 0 < target_entropy < 1:
        raise BadInput(f"target_entropy {target_entropy}: give a share between 0 and 1, say 0.5")
    if given.ndim != 2 or not len(given) or given.shape[1] < 2:
        raise BadInput(
            f"scores of the shape {tuple(given.shape)}: give a row for each query, with 2 scores or more"
        )
    missing = (~given.isfinite()).nonzero()
    if len(missing):
        row, column = missing[0].tolist()
        raise BadInput(f"the score in row {row}, column {column} is {given[row, column].item()}")
    highest = given.amax(dim=1, keepdim=True)
    given = given - highest
    hard = entropy_share((given == 0).double() / (given == 0).sum(dim=1, keepdim=True))
    if hard >= target_entropy:
        raise BadInput(
            f"ties at the top of the scores leave {hard:.0%} of the greatest entropy at any temperature, and "
            f"{target_entropy:.0%} is wanted: give a higher target, or a teacher that tells texts apart"
        )
    # Entropy rises with the temperature: from the hard labels' to that of probabilities that are all alike.
    gaps = -given[given < 0]
    low, high = math.log(float(gaps.min())) - 10, math.log(float(gaps.max())) + 20
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        share = entropy_share((given / math.exp(middle)).softmax(dim=1))
        low, high = (middle, high) if share < target_entropy else (low, middle)
    return math.exp((low + high) / 2)


def _standard(proposed: NDArray[np.float64], scores: Scores) -> NDArray[np.float64]:
    """Scores in standard deviations from the mean of those that were proposed; 0 where all of these are alike."""
    spread = proposed.std()
    if spread < 1e-9:
        return np.zeros(len(scores))
    found: NDArray[np.float64] = (scores - proposed.mean()) / spread
    return found


def _ranks(proposed: NDArray[np.float64], scores: Scores) -> NDArray[np.float64]:
    """Ranks from 1: how many of those that were proposed score higher, and one."""
    ascending = np.sort(proposed.astype(np.float32))
    higher = len(ascending) - np.searchsorted(ascending, scores, side="right")
    return (1 + higher).astype(np.float64)


def _padded(proposed: Sequence[Ids]) -> Ids:
    """As rows of one length, -1 where there are fewer."""
    ids = np.full((len(proposed), max(map(len, proposed), default=0)), -1, np.int64)
    for row, own in enumerate(proposed):
        ids[row, : len(own)] = own
    return ids
