import json

import pytest

from polyvec.data.benchmarks.files import MissingData
from polyvec.data.benchmarks.sentence_classes import (
    read_ag_news,
    read_banking77,
    read_clinc150,
    read_customer_reviews,
    read_financial_phrasebank,
    read_movie_polarity,
    read_sst2,
    read_trec_questions,
)
from polyvec.errors import BadInput

BANKING = 'text,category\r\n"\nWhere, please?\n",card\r\nWhy?,age\r\n'
CLINC = {
    "train": [["wire money", "transfer"], ["hi", "greeting"]],
    "val": [["send cash", "transfer"]],
    "test": [["hello", "greeting"]],
    "oos_train": [["how tall is he", "oos"]],
    "oos_val": [["who won", "oos"]],
    "oos_test": [["why", "oos"]],
}
DOMAINS = {"banking": ["transfer"], "small_talk": ["greeting", "goodbye"]}


def rows(dataset):
    names = dataset.features["label"].names
    return [(row["text"], names[row["label"]]) for row in dataset]


def put_clinc(put, **changed):
    put("clinc150/data_full.json.gz", json.dumps(CLINC | changed))


def test_banking77(put, tmp_path):
    put("banking77/train.csv", BANKING)
    put("banking77/test.csv", "text,category\nWho?,card\n")
    found = read_banking77(tmp_path)
    assert rows(found["train"]) == [("Where, please?", "card"), ("Why?", "age")]
    assert rows(found["test"]) == [("Who?", "card")]
    assert found["test"].features["label"].names == ["age", "card"]


def test_a_category_that_nothing_was_learned_of_is_named(put, tmp_path):
    put("banking77/train.csv", BANKING)
    put("banking77/test.csv", "text,category\nWho?,cars\n")
    with pytest.raises(BadInput, match=r"test\.csv:2: category 'cars'; would be one of age, card"):
        read_banking77(tmp_path)


def test_clinc150_and_what_is_out_of_scope(put, tmp_path):
    put_clinc(put)
    found = read_clinc150(tmp_path)
    assert list(found) == [
        *("train", "validation", "test"),
        *("oos_train", "oos_validation", "oos_test"),
    ]
    assert rows(found["train"]) == [("wire money", "transfer"), ("hi", "greeting")]
    assert rows(found["validation"]) == [("send cash", "transfer")]
    assert list(found["oos_test"]) == [{"text": "why", "label": -1}]
    assert found["oos_test"].features == found["train"].features


def test_clinc150_with_its_domains(put, tmp_path):
    put_clinc(put)
    put("clinc150/domains.json", json.dumps(DOMAINS))
    found = read_clinc150(tmp_path)
    assert list(found["train"]["domain"]) == ["banking", "small_talk"]
    assert list(found["oos_train"]["domain"]) == ["oos"]
    put("clinc150/domains.json", json.dumps({"banking": ["transfer"]}))
    with pytest.raises(BadInput, match=r"domains\.json: no domain has the intent 'greeting'"):
        read_clinc150(tmp_path)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"test": [["hello", "hullo"]]}, r"json\.gz: test\[0\]: intent 'hullo'; would be an inten"),
        ({"oos_val": [["x", "greeting"]]}, r"oos_val\[0\]: intent 'greeting'; would be 'oos'"),
        ({"oos_val": [["x", "y"]]}, r"oos_val\[0\]: intent 'y'; would be 'oos'"),
        ({"val": [["send cash"]]}, r"val\[0\]: 1 items; would be a text and its intent"),
        ({"val": [["", "transfer"]]}, r"val\[0\]\[0\]: not a string with text in it"),
        ({"val": {}}, r"val: not a list"),
    ],
)
def test_malformed_clinc150_is_named(put, tmp_path, changed, reason):
    put_clinc(put, **changed)
    with pytest.raises(BadInput, match=reason):
        read_clinc150(tmp_path)


def test_polarity_of_movies_is_in_the_encoding_of_windows(put, tmp_path):
    text = "0 dull \x96 clich\xe9s . \n1 the best\n".encode("latin-1")
    put("sentence-classification/rt-polarity.all", text)
    assert rows(read_movie_polarity(tmp_path)["all"]) == [
        ("dull \N{EN DASH} clichés .", "negative"),
        ("the best", "positive"),
    ]


def test_customer_reviews_without_text_are_left_out(put, tmp_path):
    put("sentence-classification/custrev.all", "0 bad\n0 \n1 good\n1 \n")
    found = read_customer_reviews(tmp_path)["all"]
    assert rows(found) == [("bad", "negative"), ("good", "positive")]


def test_sst2(put, tmp_path):
    for split in ("train", "dev", "test"):
        put(f"sentence-classification/stsa.binary.{split}", f"1 a {split} brûlée\n")
    found = read_sst2(tmp_path)
    assert {split: rows(part) for split, part in found.items()} == {
        split: [(f"a {split} brûlée", "positive")] for split in ("train", "dev", "test")
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2 fine\n", r"stsa\.binary\.dev:1: label '2'; would be one of 0, 1"),
        ("1 fine\n1\n", r"stsa\.binary\.dev:2: 1 fields; a row needs 2: label, text"),
        ("1 fine\n1 \n", r"stsa\.binary\.dev:2: text is empty"),
        (b"1 caf\xe9\n", r"stsa\.binary\.dev:1: not utf-8 text"),
    ],
)
def test_malformed_lines_are_named(put, tmp_path, text, reason):
    for split in ("train", "dev", "test"):
        put(f"sentence-classification/stsa.binary.{split}", text if split == "dev" else "1 a\n")
    with pytest.raises(BadInput, match=reason):
        read_sst2(tmp_path)


def test_trec_questions_have_coarse_kinds(put, tmp_path):
    put("sentence-classification/TREC.train", b"NUM:dist How far ?\nLOC:city Sister\xf0city ?\n")
    put("sentence-classification/TREC.test", "HUM:desc Who ?\n")
    found = read_trec_questions(tmp_path)
    assert rows(found["train"]) == [("How far ?", "NUM"), ("Sisterðcity ?", "LOC")]
    put("sentence-classification/TREC.test", "HUMAN:desc Who ?\n")
    with pytest.raises(BadInput, match=r"TREC\.test:1: kind 'HUMAN'; would be one of ABBR, DESC"):
        read_trec_questions(tmp_path)


def test_ag_news(put, tmp_path):
    put("ag-news/test.csv", '"3","Fears ""grow""","A second\\team."\n"4","Space","Rockets"\n')
    assert rows(read_ag_news(tmp_path)["test"]) == [
        ('Fears "grow" A second\\team.', "Business"),
        ("Space Rockets", "Sci/Tech"),
    ]
    put("ag-news/test.csv", '"0","Fears","A"\n')
    with pytest.raises(BadInput, match=r"test\.csv:1: class '0'; would be one of 1, 2, 3, 4"):
        read_ag_news(tmp_path)


def test_financial_phrasebank_is_latin1_with_the_label_after_the_last_at(put, tmp_path):
    text = "Caf\xe9 @ 5 % .@positive\r\nSales fell .@negative\r\n"
    path = put("financial-phrasebank/Sentences_50Agree.txt.gz", text.encode("latin-1"))
    assert rows(read_financial_phrasebank(tmp_path)["all"]) == [
        ("Café @ 5 % .", "positive"),
        ("Sales fell .", "negative"),
    ]
    path.unlink()
    put("financial-phrasebank/Sentences_50Agree.txt", "Sales fell .\n")
    with pytest.raises(BadInput, match=r"50Agree\.txt:1: 1 fields; a row needs 2: text, label"):
        read_financial_phrasebank(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingData, match=r"there is no banking77/train\.csv or"):
        read_banking77(tmp_path)


# The four lines of custrev.all that have no text are not among its 3,775.
SIZES = [
    (read_banking77, {"train": 10003, "test": 3080}, 77),
    (read_movie_polarity, {"all": 10662}, 2),
    (read_customer_reviews, {"all": 3775 - 4}, 2),
    (read_sst2, {"train": 6920, "dev": 872, "test": 1821}, 2),
    (read_trec_questions, {"train": 5452, "test": 500}, 6),
    (read_ag_news, {"test": 7600}, 4),
    (read_financial_phrasebank, {"all": 4846}, 3),
    (
        read_clinc150,
        {
            "train": 15000,
            "validation": 3000,
            "test": 4500,
            "oos_train": 100,
            "oos_validation": 100,
            "oos_test": 1000,
        },
        150,
    ),
]


@pytest.mark.parametrize(("read", "sizes", "classes"), SIZES)
def test_the_real_classes(data, read, sizes, classes):
    found = read(data)
    assert {split: len(part) for split, part in found.items()} == sizes
    for split, part in found.items():
        assert part.features["label"].num_classes == classes
        assert len(set(part["label"])) == (1 if split.startswith("oos") else classes)


def test_the_real_sentences_are_in_the_right_encoding(data):
    movies = read_movie_polarity(data)["all"]["text"]
    assert sum("\N{EN DASH}" in text or "…" in text for text in movies) > 20
    assert not any("\x80" <= c <= "\x9f" for text in movies for c in text)
    assert any("Ñ" in text for text in read_financial_phrasebank(data)["all"]["text"])
