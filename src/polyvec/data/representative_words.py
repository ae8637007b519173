"""Pairs of word sets drawn from a document, of which the one more likely under its language model is preferred.

The training data of PROP: Pre-training with Representative Words Prediction (Ma, Guo, Zhang, Fan, Ji, Cheng 2021,
arXiv:2010.10137) and of B-PROP (Ma, Guo, Zhang, Fan, Li, Cheng 2021, arXiv:2104.09791). No clicks, labels or links are
needed: any collection of texts makes a ranker. Texts go in, `WordSets` come out: two sets of equal length, written as
text, the document they were drawn from, and how much more likely the first is than the second, in nats for PROP.

Where this departs from the authors' code, each time to mend it:

- Words that occur fewer than 100 times are always kept when frequent words are thinned out; the code has no entry for
  them, and loses every document that draws one.
- Two sets of equal score are drawn again; the code makes a pair of them.
- Each document has a random generator of its own, so that its sets depend neither on the order of the documents nor on
  how they are shared out. Drawing a word and rejecting it until it is kept is done as one draw from the product of
  both chances, which is the same distribution.
- Sets that differ by little can be refused (``min_gap``), and words foreign to the document drawn more often
  (``background_share``): most pairs of the published rules differ only by counts of words that both stand in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from polyvec.data.collection_statistics import DocumentLM
from polyvec.errors import BadInput

_ATTEMPTS = 20
"""How often a pair is drawn before it is given up."""
_THINNED_FROM = 100
"""Occurrences from which a word is thinned out; the authors' table of chances begins there."""
_TIE = 1e-9
"""Scores that differ by less are equal: sums of the same logarithms in another order."""


class WordSets(NamedTuple):
    """Two sets of words drawn from one document.

    Attributes:
        positive: the more representative set, words separated by spaces.
        negative: the other, of as many words.
        document: number of the text.
        gap: score of the positive minus that of the negative, above 0.
    """

    positive: str
    negative: str
    document: int
    gap: float


class DocumentTerms(NamedTuple):
    """What is drawn from a document.

    Attributes:
        numbers: of the words, as the source counts them, shape (words,).
        chances: of each word to be drawn, summing to 1, shape (words,).
        scores: of each word; a set's score is their sum, shape (words,).
    """

    numbers: NDArray[np.intp]
    chances: NDArray[np.float64]
    scores: NDArray[np.float64]


class TermSource(Protocol):
    """Distributions over words, one a document: `UnigramTerms`, or anything else that has these three.

    Attributes:
        lengths: of each document, in what the sampler's ``min_length`` counts, shape (documents,).
    """

    lengths: NDArray[np.int64]

    def terms(self, document: int, rng: np.random.Generator) -> DocumentTerms:
        """Words that may be drawn from a document; none of them if it cannot be drawn from."""

    def spell(self, numbers: NDArray[np.intp], rng: np.random.Generator) -> list[str]:
        """Words by their numbers, for people and models to read."""


class UnigramTerms:
    """PROP's distribution: the document's language model over its own words and some of the collection's.

    The own words of a document are joined by words drawn from the background distribution: as many draws as are
    missing to ``vocab_k`` words, or 100 where there are none missing; draws that repeat or are the document's own count
    once.
    A word is drawn with a chance as P(w|D), thinned out by ``sqrt(t/f) + t/f`` (at most 1) where it occurs 100 times or
    more, f being its share of all words (Mikolov et al. 2013). Its score is log P(w|D).

    Args:
        model: of documents.
        texts: what is drawn from.
        vocab_k: words that may be drawn from a document, about; the authors' 500.
        subsample_t: ``t``; the authors' 1e-4.
        background_share: how much of the chances words foreign to the document have together; None leaves them as they
            are, about .27 on Cranfield and CISI.
        lengths: of the texts in word pieces; by default in words separated by white space.

    Raises:
        BadInput: when a size is out of its range, or ``lengths`` are not one a text.
    """

    def __init__(
        self,
        model: DocumentLM,
        texts: Sequence[str],
        *,
        vocab_k: int = 500,
        subsample_t: float = 1e-4,
        background_share: float | None = None,
        lengths: Sequence[int] | None = None,
    ) -> None:
        if vocab_k < 1 or subsample_t <= 0:
            raise BadInput(
                f"a vocabulary of {vocab_k} and a threshold of {subsample_t}: both have to be above 0"
            )
        if background_share is not None and not 0 <= background_share < 1:
            raise BadInput(
                f"a background share of {background_share}: give a number from 0 to below 1"
            )
        if lengths is not None and len(lengths) != len(texts):
            raise BadInput(f"{len(lengths)} lengths for {len(texts)} texts: give one for each")
        self.model = model
        self.texts = texts
        self.vocab_k = vocab_k
        self.background_share = background_share
        self.kept = kept_chances(model.stats.tf, subsample_t)
        self.lengths: NDArray[np.int64] = np.array(
            [len(text.split()) for text in texts] if lengths is None else lengths, np.int64
        )

    def terms(self, document: int, rng: np.random.Generator) -> DocumentTerms:
        """Words that may be drawn, their chances, and log P(w|D) as their scores."""
        counts = self.model.stats.count(self.texts[document])
        own = counts.numbers[self.model.vocabulary[counts.numbers]]
        if not len(own):
            return DocumentTerms(own, np.empty(0), np.empty(0))
        draws = self.vocab_k - len(own) if len(own) < self.vocab_k else 100
        found = np.searchsorted(self._cumulated, rng.random(draws), side="right")
        numbers = np.concatenate([own, np.setdiff1d(found, own)])
        likely = self.model.probabilities(counts, numbers)
        chances = _shared(likely * self.kept[numbers], len(own), self.background_share)
        return DocumentTerms(numbers, chances, np.log(likely))

    def spell(self, numbers: NDArray[np.intp], rng: np.random.Generator) -> list[str]:
        """Words by their numbers in the collection; a stem as one of its words."""
        return self.model.stats.spell(numbers, rng)

    @cached_property
    def _cumulated(self) -> NDArray[np.float64]:
        summed = np.cumsum(self.model.background)
        # A random number just below 1 must not find the place behind the last word.
        summed[np.flatnonzero(self.model.vocabulary)[-1] :] = 1.0
        return summed


@dataclass(slots=True)
class SamplerReport:
    """What a pass over the documents gave.

    Attributes:
        pairs: that were drawn.
        words: in all of their positive sets together.
        gap: of all of them together.
        skipped: reason → documents (or pairs, where it says so) that were passed over.
    """

    pairs: int = 0
    words: int = 0
    gap: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def mean_length(self) -> float:
        """Words in a set."""
        return self.words / max(1, self.pairs)

    @property
    def mean_gap(self) -> float:
        """Of a pair's scores."""
        return self.gap / max(1, self.pairs)


class RepresentativeWords:
    """Draws `WordSets` from documents, as a stream: nothing is stored.

    The number of words in the sets of a pair is drawn from a Poisson distribution, again while it is 0.

    Args:
        source: what may be drawn from each document; `UnigramTerms` for PROP,
            `polyvec.encoders.attention_terms.AttentionTerms` for B-PROP.
        poisson: mean number of words before zeros are drawn again; the authors' 3. It should be near the mean length of
            the queries that are to be answered.
        pairs_per_doc: the authors store 10 and use 4 or 5 of them an epoch.
        replace: whether a word may stand in a set more than once; PROP yes, B-PROP no.
        min_words: documents with fewer words to draw from are passed over; B-PROP's is 10.
        min_length: shorter documents are passed over by chance; PROP's is 100 word pieces, B-PROP's 200.
        skip_short: the chance; the authors' .8.
        min_gap: a pair whose scores differ by no more is drawn again. 0 is the published rule without its ties; the
            25th percentile of the gaps of a first pass leaves out what hardly differs.
        seed: of everything random.

    Attributes:
        report: of the last pass, or of the present one so far.

    Raises:
        BadInput: when a size is out of its range.

    Example:
        >>> from polyvec.data.collection_statistics import CollectionStats
        >>> texts = ["cats purr, cats sleep", "dogs bark, dogs sleep"]
        >>> model = DocumentLM(CollectionStats.build(texts), min_tf=1)
        >>> sampler = RepresentativeWords(UnigramTerms(model, texts), pairs_per_doc=1, skip_short=0)
        >>> [(sets.document, round(sets.gap, 2)) for sets in sampler.pairs()]
        [(0, 1.39), (1, 1.39)]
    """

    def __init__(
        self,
        source: TermSource,
        *,
        poisson: float = 3.0,
        pairs_per_doc: int = 5,
        replace: bool = True,
        min_words: int = 1,
        min_length: int = 100,
        skip_short: float = 0.8,
        min_gap: float = 0.0,
        seed: int = 0,
    ) -> None:
        if poisson <= 0:
            raise BadInput(f"a Poisson mean of {poisson}: it has to be above 0")
        if pairs_per_doc < 1 or min_words < 1 or min_gap < 0:
            raise BadInput(
                f"{pairs_per_doc} pairs a document, of {min_words} words or more, {min_gap} apart: "
                "give 1 or more, 1 or more, and 0 or more"
            )
        if not 0 <= skip_short <= 1:
            raise BadInput(f"a chance of {skip_short} to skip short documents: give 0 to 1")
        self.source = source
        self.poisson = poisson
        self.pairs_per_doc = pairs_per_doc
        self.replace = replace
        self.min_words = min_words
        self.min_length = min_length
        self.skip_short = skip_short
        self.min_gap = min_gap
        self.seed = seed
        self.report = SamplerReport()

    def pairs(self, epoch: int = 0) -> Iterator[WordSets]:
        """The pairs of all documents, in their order; another epoch draws others.

        Args:
            epoch: number of the pass.
        """
        self.report = SamplerReport()
        for document in range(len(self.source.lengths)):
            yield from self.of_document(document, epoch)

    def of_document(self, document: int, epoch: int = 0) -> list[WordSets]:
        """The pairs of one document: the same whatever was drawn before; none where it is passed over."""
        rng = np.random.default_rng([self.seed, epoch, document])
        if self.source.lengths[document] < self.min_length and rng.random() < self.skip_short:
            return self._skip(f"shorter than {self.min_length}")
        terms = self.source.terms(document, rng)
        if len(terms.numbers) < self.min_words:
            return self._skip(f"fewer than {self.min_words} words to draw from")
        lengths = _poisson(self.poisson, self.pairs_per_doc, rng)
        if not self.replace:
            lengths = np.minimum(lengths, np.count_nonzero(terms.chances))
        found = self._different(terms, lengths, rng)
        if missing := sum(sets is None for sets in found):
            self.report.skipped["pairs of equal score"] += missing
        return [self._made(document, terms, sets, rng) for sets in found if sets is not None]

    def inspect(self, document: int) -> str:
        """Lines for people: the document's likeliest words, and a pair drawn from it.

        Args:
            document: its number.
        """
        rng = np.random.default_rng([self.seed, 0, document])
        terms = self.source.terms(document, rng)
        best = np.argsort(-terms.chances, kind="stable")[:10]
        spelt = self.source.spell(terms.numbers[best], rng)
        lines = [f"document {document}: {len(terms.numbers)} words to draw from"]
        lines += [
            f"  {terms.chances[at]:.4f}  {word}" for at, word in zip(best, spelt, strict=True)
        ]
        before, self.report = self.report, SamplerReport()
        for sets in self.of_document(document)[:1]:
            lines.append(f"{sets.positive!r} above {sets.negative!r} by {sets.gap:.3f}")
        lines += [f"skipped: {reason}" for reason in self.report.skipped]
        self.report = before
        return "\n".join(lines)

    def _different(
        self, terms: DocumentTerms, lengths: NDArray[np.int64], rng: np.random.Generator
    ) -> list[NDArray[np.intp] | None]:
        """For each length two sets of it whose scores differ, places of shape (2, length), or None."""
        made: list[NDArray[np.intp] | None] = [None] * len(lengths)
        for _ in range(_ATTEMPTS):
            open_pairs = [number for number, sets in enumerate(made) if sets is None]
            if not open_pairs:
                break
            drawn = _drawn(terms.chances, lengths[open_pairs], self.replace, rng)
            for number, sets in zip(open_pairs, drawn, strict=True):
                first, second = terms.scores[sets].sum(axis=1)
                if abs(first - second) > max(self.min_gap, _TIE):
                    made[number] = sets if first > second else sets[::-1]
        return made

    def _made(
        self,
        document: int,
        terms: DocumentTerms,
        sets: NDArray[np.intp],
        rng: np.random.Generator,
    ) -> WordSets:
        first, second = terms.scores[sets].sum(axis=1)
        spelt = self.source.spell(terms.numbers[sets.ravel()], rng)
        self.report.pairs += 1
        self.report.words += sets.shape[1]
        self.report.gap += float(first - second)
        positive, negative = (
            " ".join(spelt[: sets.shape[1]]),
            " ".join(spelt[sets.shape[1] :]),
        )
        return WordSets(positive, negative, document, float(first - second))

    def _skip(self, reason: str) -> list[WordSets]:
        self.report.skipped[reason] += 1
        return []


def kept_chances(tf: NDArray[np.int64], t: float) -> NDArray[np.float64]:
    """How likely a drawn word is kept: 1 below 100 occurrences, else ``sqrt(t/f) + t/f``, at most 1.

    Args:
        tf: occurrences of each word, shape (words,); ``f`` is its share of their sum.
        t: shares below it are all kept.

    Returns:
        Shape (words,).

    Example:
        >>> kept_chances(np.array([99, 9_901]), 0.25 * 0.9901).round(2)
        array([1.  , 0.75])
    """
    ratio = t * tf.sum() / tf
    return np.where(tf < _THINNED_FROM, 1.0, np.minimum(np.sqrt(ratio) + ratio, 1.0))


def _shared(weights: NDArray[np.float64], own: int, share: float | None) -> NDArray[np.float64]:
    """Chances that sum to 1, those from the place ``own`` on to ``share``, where one is given."""
    foreign = weights[own:].sum()
    if share is not None and foreign > 0:
        parts = weights[:own] * (1 - share) / weights[:own].sum(), weights[own:] * share / foreign
        weights = np.concatenate(parts)
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances


def _poisson(mean: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of a Poisson distribution drawn again while they are 0: its inverse above the share of 0."""
    zeros = np.exp(-mean)
    found = poisson.ppf(zeros + rng.random(count) * (1 - zeros), mean)
    lengths: NDArray[np.int64] = np.maximum(found, 1).astype(np.int64)
    return lengths


def _drawn(
    chances: NDArray[np.float64],
    lengths: NDArray[np.int64],
    replace: bool,
    rng: np.random.Generator,
) -> list[NDArray[np.intp]]:
    """Two sets of places for each length, shape (2, length) each."""
    if replace:
        summed = np.cumsum(chances)
        drawn = rng.random(2 * int(lengths.sum())) * summed[-1]
        places = np.minimum(np.searchsorted(summed, drawn, side="right"), len(chances) - 1)
        return [part.reshape(2, -1) for part in np.split(places, 2 * np.cumsum(lengths)[:-1])]
    # The largest of log chance + Gumbel noise are a draw without replacement (Efraimidis and Spirakis 2006).
    with np.errstate(divide="ignore"):
        keys = np.log(chances) + rng.gumbel(size=(len(lengths), 2, len(chances)))
    order = np.argsort(-keys, axis=2)
    return [of[:, :length] for of, length in zip(order, lengths, strict=True)]
