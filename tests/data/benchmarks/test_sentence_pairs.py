import pytest

from polyvec.data.benchmarks.files import MissingData
from polyvec.data.benchmarks.sentence_pairs import (
    read_cosqa_pairs,
    read_covid_question_pairs,
    read_sick,
    read_stsb,
)
from polyvec.errors import BadInput

STSB = (
    'images\tMSRvid\t2012\t0001\t4.250\tA "big" plane. \tA plane.\n'
    "news\theadlines\t2016\t0012\t0\tDrivers back.\tIt rains.\tEurope Media\tEurope Media\n"
)
SICK = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\r\n"
SICK_ROW = "4\tBoys play\tNobody plays\t3.6\tCONTRADICTION\r\n"
PAIRS = 'question_1,question_2,similar\r\n"What, now?",What now? ,1\r\nWhy?,Who?,0\r\n'
COSQA = '[{"idx": "d-0", "doc": " sort list", "code": "def f():\\n  pass", "label": 1}]'


def put_stsb(put, dev=STSB):
    for split in ("train", "dev", "test"):
        put(f"stsb/sts-{split}.csv.gz", dev if split == "dev" else STSB)


def put_sick(put, trial=SICK + SICK_ROW):
    for name in ("train", "trial", "test_annotated"):
        put(f"sick/SICK_{name}.txt", trial if name == "trial" else SICK + SICK_ROW)


def test_stsb_has_quotes_and_sometimes_sources(put, tmp_path):
    put_stsb(put)
    found = read_stsb(tmp_path)
    assert list(found) == ["train", "dev", "test"]
    assert list(found["dev"]) == [
        {"sentence1": 'A "big" plane.', "sentence2": "A plane.", "score": 4.25},
        {"sentence1": "Drivers back.", "sentence2": "It rains.", "score": 0.0},
    ]


def test_sick(put, tmp_path):
    put_sick(put)
    found = read_sick(tmp_path)
    assert list(found) == ["train", "trial", "test"]
    label = found["test"].features["label"]
    assert label.names == ["NEUTRAL", "ENTAILMENT", "CONTRADICTION"]
    row = {"sentence1": "Boys play", "sentence2": "Nobody plays", "score": 3.6, "label": 2}
    assert list(found["test"]) == [row]


def test_pairs_of_questions(put, tmp_path):
    put("covid-faq/eval_question_similarity_en.csv", PAIRS)
    assert list(read_covid_question_pairs(tmp_path)) == [
        {"sentence1": "What, now?", "sentence2": "What now?", "label": 1},
        {"sentence1": "Why?", "sentence2": "Who?", "label": 0},
    ]


def test_cosqa(put, tmp_path):
    put("cosqa/cosqa-dev.json", COSQA)
    pair = {"query": "sort list", "code": "def f():\n  pass", "label": 1}
    assert list(read_cosqa_pairs(tmp_path)) == [pair]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (STSB.replace("4.250", "4,25"), r"sts-dev\.csv\.gz:1: score '4,25'; give a number from 0"),
        (STSB.replace("4.250", "5.2"), r"sts-dev\.csv\.gz:1: score '5\.2'"),
        (STSB.replace("\tIt rains.\tEurope Media\tEurope Media", ""), r":2: 6 fields; a row need"),
        (STSB.replace("It rains.", " "), r":2: sentence2 is empty"),
        ("", r"sts-dev\.csv\.gz: no row in it"),
    ],
)
def test_malformed_stsb_rows_are_named(put, tmp_path, text, reason):
    put_stsb(put, text)
    with pytest.raises(BadInput, match=reason):
        read_stsb(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SICK_ROW, r"SICK_trial\.txt:1: no column 'sentence_A' in the header"),
        (SICK + SICK_ROW.replace("CONTRA", "Contra"), r":2: entailment_judgment 'ContraDICTION'"),
        (SICK + SICK_ROW.replace("3.6", "0.5"), r":2: relatedness_score '0\.5'; .* 1 to 5"),
        (SICK + SICK_ROW.replace("\t3.6", ""), r":2: 4 fields; a row needs 5"),
    ],
)
def test_malformed_sick_rows_are_named(put, tmp_path, text, reason):
    put_sick(put, text)
    with pytest.raises(BadInput, match=reason):
        read_sick(tmp_path)


def test_malformed_pairs_are_named(put, tmp_path):
    put("covid-faq/eval_question_similarity_en.csv", PAIRS.replace(",0", ",2"))
    with pytest.raises(BadInput, match=r"similarity_en\.csv:3: similar '2'; would be one of 0, 1"):
        read_covid_question_pairs(tmp_path)
    put("cosqa/cosqa-dev.json", COSQA.replace('"label": 1', '"label": 2'))
    with pytest.raises(BadInput, match=r"cosqa-dev\.json: \[0\]\.label: 2 is neither 0 nor 1"):
        read_cosqa_pairs(tmp_path)
    put("cosqa/cosqa-dev.json", COSQA.replace("doc", "query"))
    with pytest.raises(BadInput, match=r"cosqa-dev\.json: \[0\]: no 'doc' in it; there is 'idx'"):
        read_cosqa_pairs(tmp_path)


@pytest.mark.parametrize(
    "read", [read_stsb, read_sick, read_covid_question_pairs, read_cosqa_pairs]
)
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(MissingData, match=r"there is no .* in it; set POLYVEC_DATA"):
        read(tmp_path)


def test_the_real_pairs(data):
    sizes = {split: len(rows) for split, rows in read_stsb(data).items()}
    assert sizes == {"train": 5749, "dev": 1500, "test": 1379}
    sick = read_sick(data)
    assert [len(rows) for rows in sick.values()] == [4500, 500, 4927]
    assert sick["test"]["label"][:].count(1) == 1414
    questions = read_covid_question_pairs(data)
    assert (len(questions), sum(questions["label"])) == (488, 244)
    code = read_cosqa_pairs(data)
    assert (len(code), sum(code["label"])) == (604, 313)
