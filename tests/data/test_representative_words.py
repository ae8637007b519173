from collections import Counter
from math import exp, sqrt

import numpy as np
import pytest

from polyvec.data.collection_statistics import CollectionStats, DocumentLM
from polyvec.data.representative_words import (
    DocumentTerms,
    RepresentativeWords,
    UnigramTerms,
    kept_chances,
)
from polyvec.errors import BadInput

TEXTS = [
    "cats purr and cats sleep on the warm stone",
    "dogs bark and dogs sleep in the garden",
    "the moon shines on the garden, the stone and the sea",
]


class Given:
    """A source whose chances and scores are those given."""

    def __init__(self, chances, scores, documents=1):
        self.lengths = np.full(documents, 1000)
        self.found = DocumentTerms(np.arange(len(chances)), np.array(chances), np.array(scores))

    def terms(self, document, rng):
        return self.found

    def spell(self, numbers, rng):
        return [f"w{number}" for number in numbers]


@pytest.fixture
def model() -> DocumentLM:
    return DocumentLM(CollectionStats.build(TEXTS), min_tf=1)


def sampler(model, texts=TEXTS, **options):
    source = {
        name: options.pop(name)
        for name in ("vocab_k", "subsample_t", "background_share", "lengths")
        if name in options
    }
    given = {"min_length": 0, **options}
    return RepresentativeWords(UnigramTerms(model, texts, **source), **given)


def test_gaps_are_differences_of_log_likelihood(model) -> None:
    found = list(sampler(model, pairs_per_doc=20).pairs())
    assert len(found) == 60
    for sets in found:
        likely, less = (
            model.log_likelihood(words.split(), TEXTS[sets.document])
            for words in (sets.positive, sets.negative)
        )
        assert sets.gap == pytest.approx(likely - less)
        assert sets.gap > 0


def test_the_sets_of_a_pair_have_equal_length(model) -> None:
    for replace in (True, False):
        for sets in sampler(model, pairs_per_doc=30, replace=replace).pairs():
            assert len(sets.positive.split()) == len(sets.negative.split()) > 0


def test_chances_worked_by_hand() -> None:
    # Of cats alone: c(cats) 2 of length 3, mu = avgdl = 3, background of 4 words .25 each.
    texts = ["cats cats purr", "dogs bark dogs"]
    model = DocumentLM(CollectionStats.build(texts), min_tf=1)
    source = UnigramTerms(model, texts, vocab_k=1000)
    terms = source.terms(0, np.random.default_rng(0))
    words = source.spell(terms.numbers, np.random.default_rng(0))
    assert words == ["cats", "purr", "bark", "dogs"]  # its own, then those drawn
    expected = np.array([2.75, 1.75, 0.75, 0.75]) / 6
    assert terms.chances.tolist() == pytest.approx((expected / expected.sum()).tolist())
    assert terms.scores.tolist() == pytest.approx(np.log(expected).tolist())


def test_words_are_drawn_as_often_as_their_chances_say() -> None:
    source = Given([0.5, 0.3, 0.2], [1.0, 2.0, 4.0])
    found = RepresentativeWords(source, pairs_per_doc=20_000, poisson=1e-9).of_document(0)
    # Single words; pairs of the same word are drawn again, which leaves 1 - (.25 + .09 + .04) of all.
    counts = Counter(word for sets in found for word in (sets.positive, sets.negative))
    expected = [p * (1 - p) / 0.62 for p in (0.5, 0.3, 0.2)]
    shares = [counts[f"w{number}"] / 40_000 for number in range(3)]
    assert shares == pytest.approx(expected, abs=0.01)


def test_frequent_words_are_thinned_out_and_rare_ones_never() -> None:
    tf = np.array([10, 99, 100, 9_791])  # of 10,000
    ratio = 0.001 * 10_000 / tf
    found = kept_chances(tf, 0.001)
    assert found.tolist() == pytest.approx(
        [1, 1, sqrt(ratio[2]) + ratio[2], sqrt(ratio[3]) + ratio[3]]
    )
    assert found[2] == pytest.approx(sqrt(0.1) + 0.1)
    assert kept_chances(np.array([500, 500]), 0.9).tolist() == [1, 1]


def test_thinning_out_changes_chances_by_its_factor() -> None:
    texts = ["cats " * 300 + "purr", "dogs " * 300 + "purr"]
    model = DocumentLM(CollectionStats.build(texts), min_tf=1)
    plain, thinned = (
        UnigramTerms(model, texts, vocab_k=100, subsample_t=t).terms(0, np.random.default_rng(0))
        for t in (10.0, 0.001)
    )
    kept = kept_chances(model.stats.tf, 0.001)[plain.numbers]
    expected = plain.chances * kept
    assert thinned.chances.tolist() == pytest.approx((expected / expected.sum()).tolist())


def test_equal_scores_are_drawn_again_and_given_up_where_there_are_no_others() -> None:
    tied = RepresentativeWords(Given([0.5, 0.5], [3.0, 3.0]), pairs_per_doc=4)
    assert tied.of_document(0) == []
    assert tied.report.skipped == {"pairs of equal score": 4}
    nearly = RepresentativeWords(Given([0.5, 0.5], [3.0, 2.0]), pairs_per_doc=50, poisson=1e-9)
    found = nearly.of_document(0)
    assert {(sets.positive, sets.negative, sets.gap) for sets in found} == {("w0", "w1", 1.0)}
    assert len(found) == 50


def test_pairs_that_differ_by_too_little_are_drawn_again(model) -> None:
    found = list(sampler(model, pairs_per_doc=10, min_gap=1.5).pairs())
    assert found
    assert min(sets.gap for sets in found) > 1.5


def test_lengths_are_poisson_drawn_again_while_they_are_zero() -> None:
    source = Given([0.25] * 4, [0.1, 1.2, 2.3, 3.4])
    drawer = RepresentativeWords(source, pairs_per_doc=5000, poisson=1.0)
    lengths = Counter(len(sets.positive.split()) for sets in drawer.of_document(0))
    assert 0 not in lengths
    total = sum(lengths.values())
    for size, chance in ((1, exp(-1)), (2, exp(-1) / 2), (3, exp(-1) / 6)):
        assert lengths[size] / total == pytest.approx(chance / (1 - exp(-1)), abs=0.025)
    assert drawer.report.mean_length == pytest.approx(1 / (1 - exp(-1)), abs=0.05)


def test_without_replacement_no_word_stands_twice_in_a_set() -> None:
    source = Given([0.4, 0.3, 0.2, 0.1, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0])
    drawer = RepresentativeWords(source, pairs_per_doc=300, replace=False, poisson=2.0)
    found = drawer.of_document(0)
    assert found
    for sets in found:
        for words in (sets.positive.split(), sets.negative.split()):
            assert len(set(words)) == len(words) <= 4
            assert "w4" not in words
    with_replacement = RepresentativeWords(source, pairs_per_doc=300).of_document(0)
    assert any(
        len(set(sets.positive.split())) < len(sets.positive.split()) for sets in with_replacement
    )


def test_the_same_seed_draws_the_same_whatever_was_drawn_before(model) -> None:
    first = list(sampler(model, seed=3).pairs())
    again = sampler(model, seed=3)
    assert list(again.pairs()) == first
    assert [s for document in (2, 0, 1) for s in again.of_document(document)] == sorted(
        first, key=lambda sets: (2, 0, 1).index(sets.document)
    )
    assert list(sampler(model, seed=4).pairs()) != first
    assert list(again.pairs(epoch=1)) != first


def test_foreign_words_have_the_share_they_are_given(model) -> None:
    source = UnigramTerms(model, TEXTS, background_share=0.5)
    terms = source.terms(0, np.random.default_rng(0))
    own = np.isin(terms.numbers, model.stats.count(TEXTS[0]).numbers)
    assert terms.chances[own].sum() == pytest.approx(0.5)
    assert terms.chances.sum() == pytest.approx(1)


def test_about_as_many_words_as_asked_for_may_be_drawn() -> None:
    texts = [" ".join(f"q{chr(97 + a)}{chr(97 + b)}" for b in range(26)) for a in range(26)]
    model = DocumentLM(CollectionStats.build(texts), min_tf=1)
    rng = np.random.default_rng(0)
    sizes = [len(UnigramTerms(model, texts, vocab_k=k).terms(0, rng).numbers) for k in (26, 60)]
    assert 26 + 80 < sizes[0] <= 26 + 100  # 100 draws where nothing is missing
    assert 50 < sizes[1] <= 60


def test_documents_passed_over_are_counted(model) -> None:
    texts = [*TEXTS, "zebra", "cats purr"]
    found = sampler(model, texts, min_length=3, skip_short=1.0)
    assert {sets.document for sets in found.pairs()} == {0, 1, 2}
    assert found.report.skipped == {"shorter than 3": 2}
    found = sampler(model, texts)
    assert {sets.document for sets in found.pairs()} == {0, 1, 2, 4}
    assert found.report.skipped == {"fewer than 1 words to draw from": 1}
    assert found.report.pairs == 20
    assert found.report.mean_gap > 0


def test_short_documents_are_passed_over_by_chance(model) -> None:
    texts = TEXTS[:1] * 500
    drawer = sampler(model, texts, min_length=100, skip_short=0.8, pairs_per_doc=1)
    assert len(list(drawer.pairs())) == pytest.approx(100, abs=30)
    told = sampler(model, texts, min_length=100, pairs_per_doc=1, lengths=[100] * 500)
    assert len(list(told.pairs())) == 500


def test_people_can_look_at_a_document(model) -> None:
    drawer = sampler(model)
    list(drawer.pairs())
    before = drawer.report
    lines = drawer.inspect(0).splitlines()
    assert lines[0].startswith("document 0: ")
    assert "cats" in lines[1]
    assert "above" in lines[-1]
    assert drawer.report is before
    assert "skipped: shorter than 50" in sampler(model, min_length=50, skip_short=1.0).inspect(0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"poisson": 0}, "a Poisson mean of 0: it has to be above 0"),
        ({"pairs_per_doc": 0}, "0 pairs a document"),
        ({"min_gap": -1}, "-1 apart"),
        ({"skip_short": 2}, "a chance of 2 to skip"),
        ({"vocab_k": 0}, "a vocabulary of 0"),
        ({"background_share": 1.0}, "a background share of 1.0"),
        ({"lengths": [1]}, "1 lengths for 3 texts"),
    ],
)
def test_sizes_out_of_range(model, given, message) -> None:
    with pytest.raises(BadInput, match=message):
        sampler(model, **given)
