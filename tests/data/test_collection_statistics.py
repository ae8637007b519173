from math import log

import numpy as np
import pytest

from polyvec.data.collection_statistics import CollectionStats, DocumentLM
from polyvec.errors import BadInput

TEXTS = ["Cats purr; the cats sleep.", "Dogs bark"]
"""cats 2, purr, sleep, dogs, bark 1; lengths 4 and 2, so 3 on average; every word in one text."""


@pytest.fixture
def stats() -> CollectionStats:
    return CollectionStats.build(TEXTS)


def test_counts_worked_by_hand(stats: CollectionStats) -> None:
    assert stats.words == ("bark", "cats", "dogs", "purr", "sleep")
    assert stats.tf.tolist() == [1, 2, 1, 1, 1]
    assert stats.df.tolist() == [1, 1, 1, 1, 1]
    assert stats.lengths.tolist() == [4, 2]
    assert stats.average_length == 3
    found = stats.count("Cats, dogs and cats; a moon")
    assert found.numbers.tolist() == [1, 2]
    assert found.counts.tolist() == [2, 1]
    assert found.length == 4  # the moon counts though the collection does not have it


def test_words_are_runs_of_ascii_letters() -> None:
    stats = CollectionStats.build(["read_csv2x café", "B-52's"], stop=())
    assert stats.words == ("b", "caf", "csv", "read", "s", "x")


def test_the_order_of_texts_changes_only_their_lengths(stats: CollectionStats) -> None:
    turned = CollectionStats.build(TEXTS[::-1])
    assert turned.words == stats.words
    assert turned.tf.tolist() == stats.tf.tolist()
    assert turned.df.tolist() == stats.df.tolist()
    assert turned.lengths.tolist() == [2, 4]


def test_dirichlet_smoothing_worked_by_hand(stats: CollectionStats) -> None:
    model = DocumentLM(stats, min_tf=1)
    # mu is the average length 3, and each of 5 words a fifth of all document frequencies.
    found = model.probabilities(stats.count(TEXTS[0]), [1, 3, 0])
    assert found.tolist() == pytest.approx([(2 + 0.6) / 7, (1 + 0.6) / 7, 0.6 / 7])
    assert model.log_likelihood(["cats", "cats", "bark"], TEXTS[0]) == pytest.approx(
        2 * log(2.6 / 7) + log(0.6 / 7)
    )
    assert model.log_likelihood([], TEXTS[0]) == 0
    assert model.log_likelihood(["moon"], TEXTS[0]) == float("-inf")


def test_the_background_may_be_collection_frequencies(stats: CollectionStats) -> None:
    model = DocumentLM(stats, mu=6, background="cf", min_tf=1)
    # cats are 2 of 6 words, bark is 1.
    found = model.probabilities(stats.count(TEXTS[1]), [1, 0])
    assert found.tolist() == pytest.approx([(0 + 2) / 8, (1 + 1) / 8])


def test_probabilities_of_all_words_sum_to_one(stats: CollectionStats) -> None:
    for background in ("df", "cf"):
        model = DocumentLM(stats, background=background, min_tf=1)
        found = model.probabilities(stats.count(TEXTS[0]), range(len(stats.words)))
        assert found.sum() == pytest.approx(1)


def test_rare_words_are_not_in_the_background(stats: CollectionStats) -> None:
    model = DocumentLM(stats, min_tf=2)
    assert model.vocabulary.tolist() == [False, True, False, False, False]
    assert model.background.tolist() == [0, 1, 0, 0, 0]
    assert model.log_likelihood(["bark"], TEXTS[0]) == float("-inf")


def test_stems_are_written_out_as_the_words_they_come_from() -> None:
    stats = CollectionStats.build(["running runs; runs", "walks"], stem=True)
    assert stats.words == ("run", "walk")
    assert stats.surfaces == ("running", "runs", "walks")
    assert stats.surface_tf.tolist() == [1, 2, 1]
    assert stats.count("he runs").numbers.tolist() == [0]
    spelt = stats.spell(np.zeros(20_000, np.intp), np.random.default_rng(0))
    # log 2 against log 3
    assert spelt.count("running") / 20_000 == pytest.approx(log(2) / log(6), abs=0.01)
    assert set(stats.spell(np.ones(9, np.intp), np.random.default_rng(0))) == {"walks"}


@pytest.mark.parametrize("stem", [False, True])
def test_what_was_saved_is_read_again(stem: bool, tmp_path) -> None:
    stats = CollectionStats.build(TEXTS, stem=stem, stop={"the"})
    stats.save(tmp_path / "stats.npz")
    found = CollectionStats.load(tmp_path / "stats.npz")
    for name in ("words", "stop", "surfaces"):
        assert getattr(found, name) == getattr(stats, name)
    for name in ("tf", "df", "lengths", "surface_stem", "surface_tf"):
        assert getattr(found, name).tolist() == getattr(stats, name).tolist()
    assert found.count(TEXTS[0])[2] == stats.count(TEXTS[0])[2]


def test_what_cannot_be_counted() -> None:
    with pytest.raises(BadInput, match="a collection of 1 texts: statistics need 2 or more"):
        CollectionStats.build(["alone"])
    with pytest.raises(BadInput, match="none of the 2 texts has a word"):
        CollectionStats.build(["the", "42"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mu": 0}, "mu of 0: give a number above 0"),
        ({"background": "idf"}, "background 'idf': give 'df' or 'cf'"),
        ({"min_tf": 3}, "no word occurs 3 times among 2 texts"),
    ],
)
def test_what_cannot_be_smoothed(stats: CollectionStats, given, message) -> None:
    with pytest.raises(BadInput, match=message):
        DocumentLM(stats, **given)


def test_files_of_another_kind(tmp_path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        CollectionStats.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("words")
    np.savez(tmp_path / "other.npz", words=np.array(["a"]))
    np.savez(tmp_path / "objects.npz", words=np.array([["a"], None], dtype=object))
    with open(tmp_path / "single.npz", "wb") as file:
        np.save(file, np.arange(3))
    for name in ("text", "objects", "single"):
        with pytest.raises(BadInput, match=f"{name}.npz: not collection statistics"):
            CollectionStats.load(tmp_path / f"{name}.npz")
    stats = CollectionStats.build(TEXTS)
    stats.save(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as archive:
        np.savez(tmp_path / "damaged.npz", **{**archive, "tf": archive["tf"][:2]})
    with pytest.raises(BadInput, match="damaged, its tf and df are not one a word"):
        CollectionStats.load(tmp_path / "damaged.npz")
    with pytest.raises(BadInput, match="no tf, df, lengths"):
        CollectionStats.load(tmp_path / "other.npz")
