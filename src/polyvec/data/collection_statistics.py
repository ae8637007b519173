"""How often words occur in a collection, and the smoothed language model of each of its documents.

The query-likelihood view of retrieval (Ponte and Croft 1998): a document is a distribution over words, its own counts
smoothed with those of the collection (Dirichlet smoothing, Zhai and Lafferty 2001). PROP (Ma et al. 2021,
arXiv:2010.10137) draws its training data from it. Texts go in; word counts, and probabilities in [0, 1], come out.

Its authors leave out the stop words of NLTK and INQUERY together; here those of scikit-learn are left out, which is
installed everywhere. Any other list may be given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np
import Stemmer
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from polyvec.errors import BadInput
from polyvec.files import write_bytes

_WORD = re.compile("[a-zA-Z]+")
_COUNTS = ("tf", "df", "lengths", "surface_stem", "surface_tf")
_TEXTS = ("words", "stop", "surfaces")
"""The arrays that a file holds: numbers, and texts."""


class WordCounts(NamedTuple):
    """Words of one text.

    Attributes:
        numbers: of its words in `CollectionStats.words`, ascending, shape (words,).
        counts: how often each occurs, shape (words,).
        length: all its words that are no stop words, those included that the collection does not have.
    """

    numbers: NDArray[np.intp]
    counts: NDArray[np.int64]
    length: int


@dataclass(frozen=True, eq=False, repr=False)
class CollectionStats:
    """Counts of a collection of texts. Made by `build`, or read with `load`.

    Attributes:
        words: the vocabulary, sorted; of a stemmed collection its stems.
        tf: how often each word occurs in the collection, shape (words,).
        df: in how many texts, shape (words,).
        lengths: of each text, in words that are no stop words, shape (texts,).
        stop: words that are not counted.
        surfaces: of a stemmed collection the words that stems were made from, else none.
        surface_stem: number of each surface's stem, ascending, shape (surfaces,).
        surface_tf: how often each surface occurs, shape (surfaces,).

    Example:
        >>> stats = CollectionStats.build(["The cat sat; a cat!", "Dogs and the cat."])
        >>> stats.words, stats.tf.tolist(), stats.df.tolist(), stats.lengths.tolist()
        (('cat', 'dogs', 'sat'), [3, 1, 1], [2, 1, 1], [3, 2])
    """

    words: tuple[str, ...]
    tf: NDArray[np.int64]
    df: NDArray[np.int64]
    lengths: NDArray[np.int64]
    stop: frozenset[str]
    surfaces: tuple[str, ...]
    surface_stem: NDArray[np.int64]
    surface_tf: NDArray[np.int64]

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        *,
        stem: bool = False,
        stop: Collection[str] = ENGLISH_STOP_WORDS,
    ) -> CollectionStats:
        """Count the words of texts: runs of ``a-z`` and ``A-Z``, in lower case, without stop words.

        Args:
            texts: a title and what follows it are one text.
            stem: count Porter stems instead of words; the paper offers both.
            stop: words in lower case that are not counted.

        Raises:
            BadInput: when there are fewer than 2 texts, or no words in them.
        """
        tf: Counter[str] = Counter()
        df: Counter[str] = Counter()
        forms: Counter[tuple[str, str]] = Counter()
        lengths = []
        dropped = frozenset(stop)
        for text in texts:
            written = _written(text, dropped)
            counted = _stems(written) if stem else written
            tf.update(counted)
            df.update(set(counted))
            lengths.append(len(counted))
            if stem:
                forms.update(zip(counted, written, strict=True))
        if len(lengths) < 2:
            raise BadInput(f"a collection of {len(lengths)} texts: statistics need 2 or more")
        if not tf:
            raise BadInput(f"none of the {len(lengths)} texts has a word that is not a stop word")
        words = sorted(tf)
        place = {word: number for number, word in enumerate(words)}
        pairs = sorted(forms)
        return cls(
            words=tuple(words),
            tf=np.array([tf[word] for word in words], np.int64),
            df=np.array([df[word] for word in words], np.int64),
            lengths=np.array(lengths, np.int64),
            stop=dropped,
            surfaces=tuple(form for _, form in pairs),
            surface_stem=np.array([place[of] for of, _ in pairs], np.int64),
            surface_tf=np.array([forms[pair] for pair in pairs], np.int64),
        )

    @property
    def average_length(self) -> float:
        """Mean of `lengths`."""
        return float(self.lengths.mean())

    @cached_property
    def place(self) -> dict[str, int]:
        """Word → its number in `words`."""
        return {word: number for number, word in enumerate(self.words)}

    def count(self, text: str) -> WordCounts:
        """Count the words of a text, which need not be one of the collection."""
        written = _written(text, self.stop)
        counted = _stems(written) if self.surfaces else written
        known = [self.place[word] for word in counted if word in self.place]
        numbers, counts = np.unique(np.array(known, np.intp), return_counts=True)
        return WordCounts(numbers, counts.astype(np.int64), len(counted))

    def spell(self, numbers: NDArray[np.intp], rng: np.random.Generator) -> list[str]:
        """Write words out; a stem as one of the words it was made from, with chances as log(count + 1).

        Args:
            numbers: of words, shape (n,).
            rng: chooses among the words of a stem.
        """
        if not self.surfaces:
            return [self.words[number] for number in numbers]
        ends = np.searchsorted(self.surface_stem, numbers, side="right")
        starts = np.searchsorted(self.surface_stem, numbers, side="left")
        total = np.concatenate([[0.0], np.cumsum(np.log(self.surface_tf + 1))])
        at = total[starts] + rng.random(len(numbers)) * (total[ends] - total[starts])
        chosen = np.clip(np.searchsorted(total, at, side="right") - 1, starts, ends - 1)
        return [self.surfaces[number] for number in chosen]

    def save(self, path: Path) -> None:
        """Write the counts as a NumPy archive (``.npz``) of plain arrays, whole or not at all."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _COUNTS}
        for name, texts in (("words", self.words), ("stop", sorted(self.stop))):
            arrays[name] = np.array(texts, np.str_)
        arrays["surfaces"] = np.array(self.surfaces, np.str_)
        archive = BytesIO()
        np.savez_compressed(archive, **arrays)
        write_bytes(path, archive.getvalue())

    @classmethod
    def load(cls, path: Path) -> CollectionStats:
        """Read what `save` wrote.

        Raises:
            BadInput: when there is no such file, or it holds something else.
        """
        found = _read_arrays(path)
        kinds = dict.fromkeys(_COUNTS, "i") | dict.fromkeys(_TEXTS, "U")
        lacking = [
            name
            for name, kind in kinds.items()
            if name not in found or found[name].dtype.kind != kind
        ]
        if lacking:
            raise BadInput(f"{path}: not collection statistics of polyvec, no {', '.join(lacking)}")
        words, stop, surfaces = (found[name].tolist() for name in _TEXTS)
        counts = {name: found[name] for name in _COUNTS}
        for texts, names in ((words, _COUNTS[:2]), (surfaces, _COUNTS[3:])):
            if any(counts[name].shape != (len(texts),) for name in names):
                raise BadInput(f"{path}: damaged, its {' and '.join(names)} are not one a word")
        return cls(words=tuple(words), stop=frozenset(stop), surfaces=tuple(surfaces), **counts)


class DocumentLM:
    """Language model of a document with Dirichlet smoothing: P(w|D) = (c(w,D) + μ P(w|C)) / (|D| + μ).

    Args:
        stats: of the collection.
        mu: weight of the collection in words; ``avgdl`` is the documents' average length, as in the authors' code.
        background: P(w|C) is a word's share of all document frequencies (``df``, the authors' code) or of all
            occurrences (``cf``, the textbook).
        min_tf: rarer words have P(w|C) = 0 and are not in `vocabulary`; the authors' 10.

    Attributes:
        mu: in words.
        background: P(w|C), shape (words,).
        vocabulary: which words occur at least ``min_tf`` times, shape (words,).

    Raises:
        BadInput: when ``mu`` is not above 0, ``background`` is unknown, or no word is frequent enough.

    Example:
        >>> stats = CollectionStats.build(["cat cat dog", "dog"])
        >>> model = DocumentLM(stats, mu=2, background="cf", min_tf=1)
        >>> model.probabilities(stats.count("cat cat dog"), [0, 1])  # (2 + 2/2) / 5, (1 + 2/2) / 5
        array([0.6, 0.4])
    """

    def __init__(
        self,
        stats: CollectionStats,
        mu: float | Literal["avgdl"] = "avgdl",
        background: Literal["df", "cf"] = "df",
        min_tf: int = 10,
    ) -> None:
        if background not in ("df", "cf"):
            raise BadInput(f"background {background!r}: give 'df' or 'cf'")
        self.mu = stats.average_length if mu == "avgdl" else float(mu)
        if self.mu <= 0:
            raise BadInput(f"a smoothing weight mu of {mu}: give a number above 0, or 'avgdl'")
        self.stats = stats
        self.vocabulary: NDArray[np.bool_] = stats.tf >= min_tf
        if not self.vocabulary.any():
            raise BadInput(
                f"no word occurs {min_tf} times among {len(stats.lengths)} texts; give a lower min_tf or more texts"
            )
        counted = np.where(self.vocabulary, stats.df if background == "df" else stats.tf, 0)
        self.background: NDArray[np.float64] = counted / counted.sum()

    def probabilities(
        self, counts: WordCounts, numbers: NDArray[np.intp] | Sequence[int]
    ) -> NDArray[np.float64]:
        """P(w|D) of words.

        Args:
            counts: of the document.
            numbers: of words, shape (n,).

        Returns:
            Shape (n,).
        """
        asked = np.asarray(numbers, np.intp)
        own = np.zeros(len(self.stats.words))
        own[counts.numbers] = counts.counts
        smoothed: NDArray[np.float64] = own[asked] + self.mu * self.background[asked]
        return smoothed / (counts.length + self.mu)

    def log_likelihood(self, words: Sequence[str], document: str) -> float:
        """Sum of log P(w|D), in nats; minus infinity when a word is neither in the document nor in the vocabulary.

        Args:
            words: in the form of `CollectionStats.words`; one that stands there twice counts twice.
            document: its text.
        """
        place = self.stats.place
        if any(word not in place for word in words):
            return float("-inf")
        with np.errstate(divide="ignore"):
            logs = np.log(
                self.probabilities(self.stats.count(document), [place[word] for word in words])
            )
        return float(logs.sum())


def _written(text: str, stop: frozenset[str]) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in stop]


def _stems(words: list[str]) -> list[str]:
    stems: list[str] = Stemmer.Stemmer("porter").stemWords(words)
    return stems


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    # What is no archive, a broken one, a single array, and an array of objects (a pickle, which is not opened).
    except (OSError, EOFError, BadZipFile, AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not collection statistics of polyvec ({error})") from None
