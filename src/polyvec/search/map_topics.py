"""Topics of a map: which passages lie together, and the words that say what they are about.

Small topics are the leaves of HDBSCAN (Campello, Moulavi and Sander 2013, *Density-based clustering based on
hierarchical density estimates*, PAKDD) over the places on the map; a passage between topics belongs to the one of its
nearest neighbour. Ward's method joins neighbouring small topics to a few large ones.

A topic is named by terms in the manner of class-based TF-IDF (Grootendorst 2022, *BERTopic*, arXiv:2203.05794): a term
scores its share of the topic's passages, times the logarithm of how much larger that is than its share of all. The
paper is left in two things: a term counts once a passage, so that one passage which repeats a word names nothing; and
shares stand in the logarithm, not counts, which with few topics would let words win that stand everywhere.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.cluster import HDBSCAN, AgglomerativeClustering
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.neighbors import NearestNeighbors

MOST_LARGE = 8
"""Large topics at most: as many colours are told apart."""

_SMALLEST = 5
"""Passages in a topic, at the least."""
_SHARE = 1 / 200
"""Of all passages in a topic, at the least."""
_RAREST = 0.25
"""Of the passages in the smallest topic, so many share a term that may name one."""
_TERMS = 3
"""In a label."""
_CONSIDERED = 5 * _TERMS
"""Best words of a topic that may name it, alone or in pairs."""
_WITHIN = 0.5
"""Where so many of a word's passages have it within one pair, the pair names the topic rather than the word."""
_LOWER = 0.25
"""A word is shown in lower case where it stands so at least so often: elsewhere it may begin a sentence."""

_STOPWORDS = frozenset(STOPWORDS_EN_PLUS)
_WORDLESS = "(no words)"
_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*\w")
_SENTENCE = re.compile(r"[^\w\s'\u2019-]+")


@dataclass(frozen=True, slots=True)
class Topic:
    """Passages that lie together on a map.

    Attributes:
        label: the terms that tell it from the others, commas between.
        large: number of the large topic that it is a part of; its own number where it is a large one itself.
        passages: how many there are.
        place: the passage in its middle, a number.
    """

    label: str
    large: int
    passages: int
    place: int


def find_topics(
    places: NDArray[np.float32], texts: Sequence[str]
) -> tuple[list[Topic], NDArray[np.int64]]:
    """Find the topics of a map and name them.

    Args:
        places: of passages on the map, shape (passages, 2).
        texts: of the passages, with their headings.

    Returns:
        Topics, the large ones first, then their parts; and the number of the smallest topic of each passage, shape
        (passages,). A large topic with one part only stands alone.

    Example:
        >>> spread = np.linspace(0, 0.1, 6)[:, None]
        >>> places = np.vstack([spread * [1, 1], 5 + spread * [1, -1]])
        >>> topics, of = find_topics(places, ["Green tea, hot"] * 6 + ["A boat at sea"] * 6)
        >>> [topic.label for topic in topics], of.tolist()
        (['Green tea, hot', 'boat, sea'], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    """
    small = _clusters(places)
    large = _joined(places, small)
    large_of_small = [int(large[small == n][0]) for n in range(small.max() + 1)]
    counted = _Terms(texts)
    topics = [
        Topic(label, n, int((large == n).sum()), _middle(places, large == n))
        for n, label in enumerate(counted.labels(large))
    ]
    of = large.copy()
    for n, label in enumerate(counted.labels(small)):
        inside = small == n
        whole = large_of_small[n]
        if large_of_small.count(whole) > 1:
            of[inside] = len(topics)
            topics.append(Topic(label, whole, int(inside.sum()), _middle(places, inside)))
    return topics, of


def _clusters(places: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of each passage's small topic, counted from the largest on."""
    smallest = _smallest(len(places))
    if len(places) < 2 * smallest:
        return np.zeros(len(places), np.int64)
    found = HDBSCAN(
        min_cluster_size=smallest,
        min_samples=_SMALLEST,
        cluster_selection_method="leaf",
        copy=True,
    ).fit_predict(places)
    inside = found >= 0
    if not inside.any():
        return np.zeros(len(places), np.int64)
    nearest = NearestNeighbors(n_neighbors=1).fit(places[inside])
    found = found[inside][nearest.kneighbors(places, return_distance=False)[:, 0]]
    return _by_size(found)


def _smallest(passages: int) -> int:
    return max(_SMALLEST, round(_SHARE * passages))


def _joined(places: NDArray[np.float32], small: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each passage's large topic, counted from the largest on."""
    centres = np.array([places[small == n].mean(0) for n in range(small.max() + 1)])
    if len(centres) <= MOST_LARGE:
        return small
    joining = AgglomerativeClustering(n_clusters=MOST_LARGE, linkage="ward")
    return _by_size(joining.fit_predict(centres)[small])


def _by_size(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same parts, numbered from the largest on."""
    names, counts = np.unique(numbers, return_counts=True)
    order = names[np.argsort(-counts, kind="stable")]
    rank = {int(name): place for place, name in enumerate(order)}
    return np.array([rank[int(number)] for number in numbers], np.int64)


def _middle(places: NDArray[np.float32], inside: NDArray[np.bool_]) -> int:
    """The passage nearest to the median of a topic: it lies inside, whatever shape the topic has."""
    own = np.flatnonzero(inside)
    away = ((places[own] - np.median(places[own], axis=0)) ** 2).sum(1)
    return int(own[away.argmin()])


class _Terms:
    """Which passages have which terms: stemmed words and pairs of them, and how people write these."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._stem = Stemmer.Stemmer("english").stemWords
        self._forms: dict[str, Counter[str]] = defaultdict(Counter)
        rarest = max(1, round(_RAREST * _smallest(len(texts))))
        counting = CountVectorizer(analyzer=self._terms, binary=True, min_df=rarest)
        try:
            self._counts = csr_matrix(counting.fit_transform(texts), dtype=np.float64)
        except ValueError:  # there are no words, or each is rarer
            self._counts = csr_matrix((len(texts), 0))
            self._names: list[str] = []
            return
        self._names = counting.get_feature_names_out().tolist()

    def labels(self, classes: NDArray[np.int64]) -> list[str]:
        """A label for each class."""
        members = csr_matrix(
            (np.ones(len(classes)), (classes, np.arange(len(classes)))),
            shape=(int(classes.max()) + 1, len(classes)),
        )
        inside = (members @ self._counts).toarray()
        shares = inside / np.bincount(classes)[:, None]
        everywhere = inside.sum(0) / len(classes)
        found = inside > 0
        ratio = np.divide(shares, everywhere, out=np.ones_like(shares), where=found)
        scores = shares * (np.log(ratio) if len(inside) > 1 else 1)
        return [self._label(score, count) for score, count in zip(scores, inside, strict=True)]

    def _label(self, scores: NDArray[np.float64], counts: NDArray[np.float64]) -> str:
        order = [int(n) for n in np.argsort(-scores, kind="stable") if scores[n] > 0]
        words = [n for n in order if " " not in self._names[n]][:_CONSIDERED]
        known = {self._names[n] for n in words}
        pairs = [n for n in order if known.issuperset(self._names[n].split()) and n not in words]
        chosen: list[int] = []
        for term in words:
            fuller = [p for p in pairs if self._names[term] in self._names[p].split()]
            fuller = [p for p in fuller if counts[p] >= _WITHIN * counts[term]]
            said = {word for n in chosen for word in self._names[n].split()}
            for one in (max(fuller, key=lambda p: counts[p], default=term), term):
                if said.isdisjoint(self._names[one].split()):
                    chosen.append(one)
                    break
            if len(chosen) == _TERMS:
                break
        return ", ".join(self._written(self._names[n]) for n in chosen) or _WORDLESS

    def _written(self, name: str) -> str:
        forms = self._forms[name]
        lower = Counter({form: count for form, count in forms.items() if form == form.lower()})
        often = lower.total() >= _LOWER * forms.total()
        return max(sorted(lower if often else forms), key=lambda form: forms[form])

    def _terms(self, text: str) -> list[str]:
        found = []
        for sentence in _SENTENCE.split(text):
            said = _WORD.findall(sentence)
            stems = self._stem([word.lower() for word in said])
            kept = [word.lower() not in _STOPWORDS for word in said]
            for (word, stem), keep in zip(zip(said, stems, strict=True), kept, strict=True):
                if keep:
                    self._forms[stem][word] += 1
                    found.append(stem)
            for (a, b), both in zip(pairwise(range(len(said))), pairwise(kept), strict=True):
                if all(both) and stems[a] != stems[b]:
                    pair = f"{stems[a]} {stems[b]}"
                    self._forms[pair][f"{said[a]} {said[b]}"] += 1
                    found.append(pair)
        return found
