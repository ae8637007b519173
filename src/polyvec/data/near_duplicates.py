"""Near-duplicate texts: MinHash over word 5-shingles, candidates checked exactly.

Broder (1997): On the resemblance and containment of documents, SEQUENCES '97. Two texts are
near-duplicates when the Jaccard similarity of their sets of five consecutive words reaches a
threshold. Min-wise hashes in bands (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets,
chapter 3) find the candidates, whose similarity is then computed exactly, so that a reported pair
is never wrong; a pair at the threshold is missed once in a thousand times at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

WORDS = 5
"""Words of a shingle; a text with fewer is a duplicate only of one that says the same."""
_HASHES = 128
_MOST_MISSED = 1e-3
"""Most probable share of pairs at the threshold that no band makes candidates."""
_LARGE_BUCKET = 64
"""Texts with one key from which not all pairs become candidates, so that time stays linear."""
_CHECKED = 50_000
"""Candidates whose similarity is computed at a time."""

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


def jaccard(first: str, second: str) -> float:
    """Similarity of two texts: shared shingles over all, letter case and white space aside.

    Texts of fewer than five words have similarity 1 when they say the same and 0 otherwise.

    Example:
        >>> jaccard("one two three four five six", "One  two three four five seven")
        0.3333333333333333
    """
    words = first.casefold().split(), second.casefold().split()
    if words[0] == words[1]:
        return 1.0
    sets = [{tuple(w[i : i + WORDS]) for i in range(len(w) - WORDS + 1)} for w in words]
    return len(sets[0] & sets[1]) / max(len(sets[0] | sets[1]), 1)


def near_duplicates(
    texts: Sequence[str], threshold: float = 0.8, seed: int = 0
) -> list[tuple[int, int]]:
    """Find pairs of near-duplicates.

    Args:
        texts: any number; two million words take about five seconds on one processor core.
        threshold: similarity from which texts are near-duplicates, above 0 and up to 1.
        seed: of the hash functions.

    Returns:
        Pairs of indices, the smaller first, sorted. A copy is paired only with the first of its
        like, which stands for it in all other pairs. Of families with more than 64 members not
        every pair is listed, but enough to connect them.

    Raises:
        ValueError: when the threshold is out of range.

    Example:
        >>> near_duplicates(["Tea is hot.", "Ice is cold.", "tea is  hot."])
        [(0, 2)]
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}: a similarity above 0 and up to 1 is needed")
    words = [text.casefold().split() for text in texts]
    first = _first_of_copies(words)
    pairs = [(int(first[i]), i) for i in range(len(words)) if first[i] != i]
    long = [i for i in range(len(words)) if first[i] == i and len(words[i]) >= WORDS]
    if len(long) > 1:
        shingles, starts = _shingles([words[i] for i in long])
        candidates = _candidates(shingles, starts, threshold, seed)
        found = candidates[_similarities(shingles, starts, candidates) >= threshold].tolist()
        pairs.extend((long[i], long[j]) for i, j in found)
    return sorted(pairs)


def duplicate_groups(texts: Sequence[str], threshold: float = 0.8, seed: int = 0) -> Indices:
    """Give each text the smallest index of its group, which pairs of near-duplicates connect.

    Args:
        texts: as for `near_duplicates`, also ``threshold`` and ``seed``.
        threshold: similarity from which texts are near-duplicates.
        seed: of the hash functions.

    Returns:
        An index for each text, its own where nothing before it is in its group.

    Example:
        >>> duplicate_groups(["Tea is hot.", "Ice is cold.", "tea is  hot."]).tolist()
        [0, 1, 0]
    """
    count = len(texts)
    pairs = np.array(near_duplicates(texts, threshold, seed), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    if not count:
        return np.empty(0, dtype=np.int64)
    _, group = connected_components(graph, directed=False)
    _, smallest = np.unique(group, return_index=True)
    return smallest[group].astype(np.int64)


def _first_of_copies(words: Sequence[Sequence[str]]) -> Indices:
    """For each text the index of the first that says the same."""
    seen: dict[str, int] = {}
    firsts = (seen.setdefault(" ".join(text), index) for index, text in enumerate(words))
    return np.fromiter(firsts, dtype=np.int64, count=len(words))


def _shingles(words: Sequence[Sequence[str]]) -> tuple[Hashes, Indices]:
    """The distinct shingles of all texts, hashed, text after text.

    Returns:
        The hashes, and where each text starts in them, with where the last one ends.
    """
    lengths = np.array([len(text) for text in words], dtype=np.int64)
    hashes = _word_hashes(words, int(lengths.sum()))
    rolled = np.zeros(len(hashes) - WORDS + 1, dtype=np.uint64)
    for offset in range(WORDS):
        rolled = rolled * np.uint64(0x9E3779B97F4A7C15) + hashes[offset : offset + len(rolled)]
    text = np.repeat(np.arange(len(words)), lengths)
    inside = text[: len(rolled)] == text[WORDS - 1 :]  # a shingle starts and ends in the same text
    text, rolled = text[: len(rolled)][inside], _mixed(rolled[inside])
    order = np.lexsort((rolled, text))
    text, rolled = text[order], rolled[order]
    new = np.ones(len(text), dtype=bool)
    new[1:] = (text[1:] != text[:-1]) | (rolled[1:] != rolled[:-1])
    starts = np.searchsorted(text[new], np.arange(len(words) + 1))
    return rolled[new], starts.astype(np.int64)


def _word_hashes(words: Sequence[Sequence[str]], total: int) -> Hashes:
    """A hash for each word; the same in every process, unlike Python's own."""
    numbers: dict[str, int] = {}
    each = (numbers.setdefault(word, len(numbers)) for text in words for word in text)
    sequence = np.fromiter(each, dtype=np.int64, count=total)
    encoded = (word.encode("utf-8", "surrogatepass") for word in numbers)
    digests = b"".join(blake2b(word, digest_size=8).digest() for word in encoded)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)[sequence]


def _mixed(hashes: Hashes) -> Hashes:
    """Spread every bit over all others (the finaliser of splitmix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _rows_in_band(threshold: float) -> int:
    """Most hashes in a band at which pairs at the threshold are missed rarely enough."""
    fitting = (r for r in range(_HASHES, 0, -1) if _missed(threshold, r) <= _MOST_MISSED)
    return next(fitting, 1)


def _missed(similarity: float, rows: int) -> float:
    return float((1 - similarity**rows) ** (_HASHES // rows))


def _candidates(shingles: Hashes, starts: Indices, threshold: float, seed: int) -> Indices:
    """Pairs of texts that agree in all hashes of at least one band, a row each."""
    rows = _rows_in_band(threshold)
    random = np.random.default_rng(seed)
    count = len(starts) - 1
    found = np.empty(0, dtype=np.int64)
    for _ in range(_HASHES // rows):
        keys = np.zeros(count, dtype=np.uint64)
        for factor in random.integers(2**63, size=rows, dtype=np.uint64):
            # An odd factor makes the product a permutation of all 64-bit numbers.
            permuted = (shingles ^ factor) * (factor | np.uint64(1))
            keys = _mixed(keys ^ np.minimum.reduceat(permuted, starts[:-1]))
        found = np.union1d(found, _pairs_of_equal(keys))
    return np.stack([found // count, found % count], axis=1)


def _pairs_of_equal(keys: Hashes) -> Indices:
    """Pairs of positions with one key, each as ``first * len(keys) + second``."""
    order = np.argsort(keys, kind="stable")
    changes = np.flatnonzero(np.diff(keys[order])) + 1
    edges = np.concatenate([[0], changes, [len(keys)]])
    buckets = (order[edges[i] : edges[i + 1]] for i in np.flatnonzero(np.diff(edges) > 1))
    pairs = [first * len(keys) + second for bucket in buckets for first, second in _pairs(bucket)]
    return np.concatenate(pairs) if pairs else np.empty(0, dtype=np.int64)


def _pairs(bucket: Indices) -> Iterator[tuple[Any, Any]]:
    """First and second members: all pairs, or if large each with the first and its neighbour."""
    if len(bucket) <= _LARGE_BUCKET:
        first, second = np.triu_indices(len(bucket), 1)
        yield bucket[first], bucket[second]
    else:
        yield np.full(len(bucket) - 1, bucket[0]), bucket[1:]
        yield bucket[:-1], bucket[1:]


def _similarities(shingles: Hashes, starts: Indices, pairs: Indices) -> NDArray[np.float64]:
    """Exact Jaccard similarity of each pair."""
    distinct, columns = np.unique(shingles, return_inverse=True)
    ones = np.ones(len(shingles), dtype=np.int32)
    texts = csr_array((ones, columns, starts), shape=(len(starts) - 1, len(distinct)))
    sizes = np.diff(starts)
    shared: list[NDArray[np.int32]] = [
        texts[part[:, 0]].multiply(texts[part[:, 1]]).sum(axis=1)
        for part in np.array_split(pairs, len(pairs) // _CHECKED + 1)
    ]
    common = np.concatenate(shared).astype(np.float64)
    similarities: NDArray[np.float64] = common / (sizes[pairs].sum(axis=1) - common)
    return similarities
