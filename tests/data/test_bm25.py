from math import log

import pytest

from polyvec.data.bm25 import BM25, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("read_csv", ["read_csv", "read", "csv"]),
        ("ReadCsv", ["readcsv", "read", "csv"]),
        ("parseHTTPResponse", ["parsehttpresponse", "parse", "http", "response"]),
        ("_private", ["_private", "private"]),
        ("__init__", ["__init__", "init"]),
        ("plain word", ["plain", "word"]),
        ("Straße, café!", ["straße", "café"]),
        ("C3PO", ["c3po", "c3", "po"]),
        ("___", ["___"]),
        ("", []),
        ("?! ... --", []),
    ],
)
def test_words_keep_an_identifier_and_add_its_parts(text, found):
    assert words(text) == found


def test_scores_are_lucenes_bm25_worked_by_hand():
    # Lengths 2, 3, 1, so the average is 2; k1 = 1.5, b = 0.75, N = 3.
    index = BM25(["cat dog", "cat cat fish", "bird"])
    # cat: df 2, idf = ln(1 + (3 - 2 + 0.5) / (2 + 0.5)) = ln 1.6.
    once = log(1.6) * 1 / (1 + 1.5 * (0.25 + 0.75 * 2 / 2))
    twice = log(1.6) * 2 / (2 + 1.5 * (0.25 + 0.75 * 3 / 2))
    # fish: df 1, idf = ln(1 + 2.5 / 1.5), once in a text of length 3.
    fish = log(1 + 2.5 / 1.5) * 1 / (1 + 1.5 * (0.25 + 0.75 * 3 / 2))
    positions, scores = index.search(["cat", "fish cat"], k=3)
    assert positions.tolist() == [[1, 0, 2], [1, 0, 2]]
    assert scores[0].tolist() == pytest.approx([twice, once, 0.0], rel=1e-6)
    assert scores[1].tolist() == pytest.approx([twice + fish, once, 0.0], rel=1e-6)


def test_a_word_asked_twice_counts_twice():
    index = BM25(["cat dog", "cat cat fish", "bird"])
    _, scores = index.search(["cat", "cat cat"], k=3)
    assert scores[1].tolist() == pytest.approx((2 * scores[0]).tolist(), rel=1e-6)


def test_words_of_one_stem_match():
    index = BM25(["it barks", "it meows"])
    positions, scores = index.search(["barking"], k=2)
    assert positions[0].tolist() == [0, 1]
    assert scores[0, 0] > scores[0, 1] == 0


@pytest.mark.parametrize("query", ["read", "csv", "read csv", "read_csv"])
def test_an_identifier_is_found_by_its_parts(query):
    index = BM25(["def write_json", "def read_csv", "def ReadCsv"])
    positions, scores = index.search([query], k=3)
    assert set(positions[0, :2].tolist()) == {1, 2}
    assert (scores[0, :2] > 0).all()
    assert scores[0, 2] == 0


@pytest.mark.parametrize("query", ["", "the of and", "?!", "unheard"])
def test_a_query_without_known_words_scores_zero_in_order_of_position(query):
    positions, scores = BM25(["cat", "dog", "cat dog"]).search([query], k=2)
    assert positions.tolist() == [[0, 1]]
    assert scores.tolist() == [[0.0, 0.0]]


def test_texts_of_stop_words_alone_can_be_indexed():
    positions, scores = BM25(["the", "and of", ""]).search(["the", "cat"], k=3)
    assert positions.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert not scores.any()


def test_another_language_keeps_english_stop_words():
    _, english = BM25(["the cat", "dog"]).search(["the"], k=1)
    _, german = BM25(["the cat", "dog"], language="german").search(["the"], k=1)
    assert english[0, 0] == 0
    assert german[0, 0] > 0


def test_k_is_bounded_by_the_number_of_texts():
    positions, scores = BM25(["cat", "dog"]).search(["cat", "dog", "cat"], k=10)
    assert positions.shape == scores.shape == (3, 2)


def test_no_queries_give_no_rows():
    positions, scores = BM25(["cat", "dog"]).search([], k=1)
    assert positions.shape == scores.shape == (0, 1)


def test_ties_keep_the_order_of_the_texts():
    positions, _ = BM25(["dog"] + ["cat"] * 20).search(["cat"], k=5)
    # The 20 equal texts tie; which five are kept is arbitrary, their order is not.
    assert positions[0].tolist() == sorted(positions[0].tolist())
    assert 0 not in positions[0]


def test_the_best_k_are_the_start_of_the_whole_ranking():
    texts = [f"cat {'dog ' * n}" for n in range(30)]
    index = BM25(texts)
    whole, _ = index.search(["cat"], k=30)
    best, _ = index.search(["cat"], k=7)
    assert best[0].tolist() == whole[0, :7].tolist() == list(range(7))
