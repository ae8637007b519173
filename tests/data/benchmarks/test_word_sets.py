import pytest

from polyvec.data.benchmarks.files import MissingData
from polyvec.data.benchmarks.word_sets import (
    read_analogies,
    read_chinese_word_similarity,
    read_word_similarity,
)
from polyvec.errors import BadInput

SIZES = {
    "EN-MC-30": 30,
    "EN-MEN-TR-3k": 3000,
    "EN-MTurk-287": 287,
    "EN-MTurk-771": 771,
    "EN-RG-65": 65,
    "EN-RW-STANFORD": 2034,
    "EN-SIMLEX-999": 999,
    "EN-SimVerb-3500": 3500,
    "EN-VERB-143": 144,  # in spite of its name
    "EN-WS-353-ALL": 353,
    "EN-WS-353-REL": 252,
    "EN-WS-353-SIM": 203,
    "EN-YP-130": 130,
}
ANALOGIES = ": capitals\r\nAthens Greece Baghdad Iraq\r\n: family\r\nboy girl man woman\r\n"


def put_english(put, **changed):
    for name in SIZES:
        put(f"word-similarity/{name}.txt", changed.get(name[3:5], "sun\tmoon\t0.9\n"))


def test_english_pairs(put, tmp_path):
    put_english(put, MC="car\tautomobile\t3.92\r\ncar\tmoon\t0")
    found = read_word_similarity(tmp_path)
    assert list(found) == list(SIZES)
    assert list(found["EN-MC-30"]) == [
        {"word1": "car", "word2": "automobile", "score": 3.92},
        {"word1": "car", "word2": "moon", "score": 0.0},
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("car\tauto\t3.9\ncar auto 3.9\n", r"EN-MC-30\.txt:2: 1 fields; a row needs 3: word1"),
        ("car\tauto\tmuch\n", r"EN-MC-30\.txt:1: score 'much'; give a number from 0 to 4"),
        ("car\t \t3.9\n", r"EN-MC-30\.txt:1: word2 is empty"),
        ("\n", r"EN-MC-30\.txt: no row in it"),
    ],
)
def test_malformed_pairs_are_named(put, tmp_path, text, reason):
    put_english(put, MC=text)
    with pytest.raises(BadInput, match=reason):
        read_word_similarity(tmp_path)


def test_chinese_pairs(put, tmp_path):
    put("cwe-chinese/240.txt", "李白\t诗\t9.2\r\n")
    put("cwe-chinese/297.txt", "钱\t 现金\t4.58\n")
    found = read_chinese_word_similarity(tmp_path)
    assert list(found["240"]) == [{"word1": "李白", "word2": "诗", "score": 9.2}]
    assert list(found["297"]) == [{"word1": "钱", "word2": "现金", "score": 4.58}]


def test_analogies(put, tmp_path):
    put("hungarian/questions-words-hu.txt.gz", ANALOGIES)
    assert [tuple(row.values()) for row in read_analogies(tmp_path, "hu")] == [
        ("capitals", "Athens", "Greece", "Baghdad", "Iraq"),
        ("family", "boy", "girl", "man", "woman"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a b c d\n", r"analogy\.txt:1: no category yet; a line ': name' comes first"),
        (": x\na b c\n", r"analogy\.txt:2: 3 words; a question has four"),
        (": x\n", r"analogy\.txt: no question in it"),
        (b": x\n\xff\xfe\xff \xff \xff \xff\n", r"analogy\.txt:2: not utf-8 text"),
    ],
)
def test_malformed_questions_are_named(put, tmp_path, text, reason):
    put("cwe-chinese/analogy.txt", text)
    with pytest.raises(BadInput, match=reason):
        read_analogies(tmp_path, "zh")


def test_other_languages_and_missing_files_are_named(tmp_path):
    with pytest.raises(BadInput, match="no analogies in language 'de'; give en, hu, zh"):
        read_analogies(tmp_path, "de")
    with pytest.raises(MissingData, match=r"word-analogy/questions-words\.txt"):
        read_analogies(tmp_path, "en")


def test_the_real_pairs(data):
    assert {name: len(rows) for name, rows in read_word_similarity(data).items()} == SIZES
    chinese = read_chinese_word_similarity(data)
    assert {name: len(rows) for name, rows in chinese.items()} == {"240": 240, "297": 297}


@pytest.mark.parametrize(
    ("language", "questions", "categories"), [("en", 19544, 14), ("hu", 21396, 14), ("zh", 953, 3)]
)
def test_the_real_analogies(data, language, questions, categories):
    found = read_analogies(data, language)
    assert (len(found), len(set(found["category"]))) == (questions, categories)
    repeated = sum(len({row[place] for place in "abcd"}) < 4 for row in found)
    assert repeated == (615 if language == "hu" else 0)
