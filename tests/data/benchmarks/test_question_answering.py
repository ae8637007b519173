import json

import pytest

from polyvec.data.benchmarks.files import MissingData
from polyvec.data.benchmarks.question_answering import (
    read_cisi_set,
    read_cosqa,
    read_covid_faq,
    read_covid_qa,
    read_cranfield_set,
    read_tat_qa,
    read_trec_qa,
    read_xquad,
    xquad_languages,
)
from polyvec.errors import BadInput

ARTICLE = """\
A Title

---

  Mothers transmit it
to children. It spreads.

Viruses grow fast.
 \t
Mothers transmit it
to children. It spreads."""
GROW = ARTICLE.index("grow")
FAQ = (
    'question,answer,lang\r\n"What\nis it? ","A virus.\n\nNew.",en\r\n'
    "What is it?,A disease.,en\r\nIs it new?,A disease. ,en\r\nWhat is it?,A disease.,en\r\n"
)
TREC = (
    "qtext,label,atext\nWho ?,0,Nobody .\nWho ?,1,He .\nWho ?,1,She .\nWhy ?,0,So .\nOn ?,1,Y .\n"
)


def paragraph(order, text):
    return {"uid": f"p{text}", "order": order, "text": text}


def question(id, text, where, relevant):
    return {
        "uid": id,
        "question": text,
        "answer_from": where,
        "rel_paragraphs": relevant,
    }


def tat_qa(**changed):
    asked = question("q1", "How much?", "text", ["2"]) | changed
    return json.dumps(
        [
            {
                "paragraphs": [paragraph(1, "Notes"), paragraph(2, "It is 5.")],
                "questions": [asked, question("q2", "Which?", "table-text", ["1"])],
            },
            {
                "paragraphs": [{"uid": "copy", "order": 1, "text": "It is 5. "}],
                "questions": [question("q3", "What?", "text", ["1"])],
            },
        ]
    )


def covid_qa(text="grow fast", start=GROW, **changed):
    qas = [
        {"id": 1, "question": "How?\n", "answers": [{"text": text, "answer_start": start}]},
        {"id": 2, "question": "Who?", "answers": [{"text": "It spreads.", "answer_start": 40}]},
    ]
    qas[0] |= changed
    paragraphs = [{"context": ARTICLE, "document_id": 7, "qas": qas}]
    return json.dumps({"data": [{"paragraphs": paragraphs}]})


def xquad(*contexts, ids=("a", "b")):
    paragraphs = [
        {"context": context, "qas": [{"id": id, "question": f"{id} in {context}?"}]}
        for context, id in zip(contexts, ids, strict=True)
    ]
    return json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}], "version": "1"})


def test_tat_qa_keeps_questions_whose_answer_is_in_the_text(put, tmp_path):
    put("tat-qa/test_gold.json.gz", tat_qa())
    found = read_tat_qa(tmp_path, "test")
    assert found.documents == {"pNotes": "Notes", "pIt is 5.": "It is 5.", "copy": "It is 5."}
    assert found.judgements.queries == {"q1": "How much?", "q3": "What?"}
    same = {"pIt is 5.": 1, "copy": 1}
    assert found.judgements.qrels == {"q1": same, "q3": same}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"rel_paragraphs": ["9"]},
            r"\[0\]\.questions\[0\]\.rel_paragraphs\[0\]: there is no para",
        ),
        ({"rel_paragraphs": []}, r"\[0\]\.questions\[0\]: its answer is in the text, but no rel_"),
        ({"uid": "q3"}, r"\[1\]\.questions\[0\]: uid 'q3' is there a second time"),
        ({"question": ""}, r"questions\[0\]\.question: not a string with text in it"),
    ],
)
def test_malformed_tat_qa_is_named(put, tmp_path, changed, reason):
    put("tat-qa/dev.json", tat_qa(**changed))
    with pytest.raises(BadInput, match=rf"dev\.json: {reason}" if reason[0] == "\\" else reason):
        read_tat_qa(tmp_path, "dev")


def test_covid_qa_is_cut_at_blank_lines(put, tmp_path):
    put("covid-qa/200423_covidQA.json", covid_qa())
    found = read_covid_qa(tmp_path)
    repeated = "Mothers transmit it\nto children. It spreads."
    assert found.documents == {
        "7-1": "A Title",
        "7-2": repeated,
        "7-3": "Viruses grow fast.",
        "7-4": repeated,
    }
    assert found.judgements.queries == {"1": "How?", "2": "Who?"}
    assert found.judgements.qrels == {"1": {"7-3": 1}, "2": {"7-2": 1, "7-4": 1}}


@pytest.mark.parametrize(
    ("text", "start", "found"),
    [
        ("grow fast.", GROW + 1, ["7-3"]),
        ("grow fast.", GROW - 3, ["7-3"]),
        ("A", 3, ["7-1"]),
        ("Title\n\n---\n\n  Mothers", 0, ["7-1", "7-2", "7-4"]),
        ("\n\nViruses ", ARTICLE.index("Viruses") - 2, ["7-3"]),
    ],
)
def test_an_answer_counts_where_it_is_nearest(put, tmp_path, text, start, found):
    put("covid-qa/200423_covidQA.json", covid_qa(text, start))
    assert list(read_covid_qa(tmp_path).judgements.qrels["1"]) == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (covid_qa("nowhere"), r"qas\[0\]\.answers\[0\]: the article does not have this text"),
        (covid_qa(answers=[]), r"data\[0\]\.paragraphs\[0\]\.qas\[0\]: no paragraph has an answer"),
        (covid_qa("---", 9), r"qas\[0\]: no paragraph has an answer"),
        (covid_qa(id=2), r"qas\[1\]: id 2 is there a second time"),
        (covid_qa(start="3"), r"answers\[0\]\.answer_start: not a whole number"),
        ('{"data": []', r"200423_covidQA\.json:1: not JSON"),
    ],
)
def test_malformed_covid_qa_is_named(put, tmp_path, content, reason):
    put("covid-qa/200423_covidQA.json", content)
    with pytest.raises(BadInput, match=reason):
        read_covid_qa(tmp_path)


def test_articles_have_ids_of_their_own(put, tmp_path):
    twice = json.loads(covid_qa())
    twice["data"] *= 2
    put("covid-qa/200423_covidQA.json", json.dumps(twice))
    with pytest.raises(BadInput, match=r"data\[1\]\.paragraphs\[0\]: document_id 7 is there a sec"):
        read_covid_qa(tmp_path)


def test_xquad_within_and_across_languages(put, tmp_path):
    put("xquad/xquad.en.json.gz", xquad("one", "two"))
    put("xquad/xquad.de.json", xquad("eins", "zwei"))
    put("xquad/README.md", "no data")
    assert xquad_languages(tmp_path) == ["de", "en"]
    within = read_xquad(tmp_path)
    assert within.documents == {"1": "one", "2": "two"}
    assert within.judgements.queries == {"a": "a in one?", "b": "b in two?"}
    across = read_xquad(tmp_path, "en", "de")
    assert across.documents == {"1": "eins", "2": "zwei"}
    assert across.judgements.queries == within.judgements.queries
    assert across.judgements.qrels == {"a": {"1": 1}, "b": {"2": 1}}


def test_malformed_xquad_is_named(put, tmp_path):
    with pytest.raises(MissingData, match=r"there is no xquad/xquad\.en\.json"):
        xquad_languages(tmp_path)
    put("xquad/xquad.en.json", xquad("one", "two"))
    put("xquad/xquad.de.json", xquad("eins", "zwei", ids=("a", "c")))
    with pytest.raises(BadInput, match=r"xquad: no language 'fr'; there are de, en"):
        read_xquad(tmp_path, "en", "fr")
    with pytest.raises(BadInput, match=r"xquad\.en\.json: .*qas\[0\]: id 'b' has no paragraph in"):
        read_xquad(tmp_path, "en", "de")
    put("xquad/xquad.de.json", xquad("eins", "zwei", ids=("a", "a")))
    with pytest.raises(BadInput, match=r"xquad\.de\.json: .*id 'a' is there a second time"):
        read_xquad(tmp_path, "de")


def test_the_same_questions_and_answers_are_one(put, tmp_path):
    put("covid-faq/faq_covidbert.csv", FAQ)
    found = read_covid_faq(tmp_path)
    assert found.documents == {"1": "A virus.\n\nNew.", "2": "A disease."}
    assert found.judgements.queries == {"1": "What is it?", "3": "Is it new?"}
    assert found.judgements.qrels == {"1": {"1": 1, "2": 1}, "3": {"2": 1}}
    put("covid-faq/faq_covidbert.csv", FAQ.replace("answer", "reply"))
    with pytest.raises(BadInput, match=r"faq_covidbert\.csv:1: no column 'answer' in the header"):
        read_covid_faq(tmp_path)


def test_cosqa_searches_all_functions_for_queries_that_one_answers(put, tmp_path):
    pairs = [
        ("d0", "sort", "def f()", 0),
        ("d1", "sort  up", "def g()", 1),
        ("d2", "g", "def f()", 1),
    ]
    names = ("idx", "doc", "code", "label")
    content = json.dumps([dict(zip(names, pair, strict=True)) for pair in pairs])
    put("cosqa/cosqa-dev.json", content)
    found = read_cosqa(tmp_path)
    assert found.documents == {"d0": "def f()", "d1": "def g()"}
    assert found.judgements.queries == {"d1": "sort up", "d2": "g"}
    assert found.judgements.qrels == {"d1": {"d1": 1}, "d2": {"d0": 1}}
    put("cosqa/cosqa-dev.json", content.replace("d1", "d0"))
    with pytest.raises(BadInput, match=r"cosqa-dev\.json: \[1\]: idx 'd0' is there a second time"):
        read_cosqa(tmp_path)


def test_trec_qa_keeps_questions_with_right_and_wrong_sentences(put, tmp_path):
    put("trec-qa/dev.csv.gz", TREC)
    assert list(read_trec_qa(tmp_path, "dev")) == [
        {"query": "Who ?", "positive": ["He .", "She ."], "negative": ["Nobody ."]}
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TREC.replace("0,Nobody", "no,Nobody"), r"dev\.csv:2: label 'no'; would be one of 0, 1"),
        (TREC.replace("0,Nobody", "1,Nobody"), r"dev\.csv: no question with both a right and a wr"),
        (TREC.replace("Nobody .", ""), r"dev\.csv:2: atext is empty"),
    ],
)
def test_malformed_trec_qa_is_named(put, tmp_path, text, reason):
    put("trec-qa/dev.csv", text)
    with pytest.raises(BadInput, match=reason):
        read_trec_qa(tmp_path, "dev")


def test_other_splits_and_missing_files_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"TAT-QA has no split 'train' here; give dev or test"):
        read_tat_qa(tmp_path, "train")
    with pytest.raises(BadInput, match=r"TREC-QA has no split 'all'; give train, dev, test"):
        read_trec_qa(tmp_path, "all")
    for read in (read_cranfield_set, read_cisi_set, read_covid_qa, read_covid_faq, read_cosqa):
        with pytest.raises(MissingData, match="set POLYVEC_DATA"):
            read(tmp_path)


def test_titles_are_the_first_line(put, tmp_path):
    put("cranfield/cran.all.1400", ".I 1\n.T\nflow .\n.W\nflow .\nit flows .\n.I 2\n.T\n.W\nno .\n")
    put("cranfield/cran.qry", ".I 001\n.W\nwhat flows ?\n")
    put("cranfield/cranqrel", "1 1 2\n")
    found = read_cranfield_set(tmp_path)
    assert found.documents == {"1": "flow\nit flows .", "2": "no ."}
    assert found.judgements.qrels == {"1": {"1": 3}}


@pytest.mark.parametrize(
    ("read", "documents", "queries", "judged", "judgements"),
    [
        (read_cranfield_set, 1398, 225, 225, 1836),
        (read_cisi_set, 1460, 112, 76, 3114),
        # 770 questions and 2,635 paragraphs in both parts, as in papers/26-finmteb.md.
        (lambda root: read_tat_qa(root, "dev"), 1356, 389, 389, 399),
        (lambda root: read_tat_qa(root, "test"), 1279, 381, 381, 396),
        (read_covid_qa, 3085, 1380, 1380, 1384),
        (read_covid_faq, 210, 209, 209, 210),
        (read_cosqa, 552, 313, 313, 313),
    ],
)
def test_the_real_sets(data, read, documents, queries, judged, judgements):
    found = read(data)
    asked, qrels = found.judgements.queries, found.judgements.qrels
    assert (len(found.documents), len(asked), len(qrels)) == (documents, queries, judged)
    assert sum(map(len, qrels.values())) == judgements
    assert qrels.keys() <= asked.keys()
    assert {id for grades in qrels.values() for id in grades} <= found.documents.keys()


def test_the_real_xquad(data):
    assert xquad_languages(data) == ["de", "en", "es", "tr", "vi", "zh"]
    qrels = read_xquad(data).judgements.qrels
    for language in xquad_languages(data):
        found = read_xquad(data, language, "en")
        assert (len(found.documents), len(found.judgements.queries)) == (240, 1190)
        assert found.judgements.qrels == qrels
        assert read_xquad(data, "en", language).judgements.qrels == qrels


@pytest.mark.parametrize(
    ("split", "questions", "right", "wrong"),
    [("train", 78, 342, 4277), ("dev", 65, 205, 912), ("test", 68, 248, 1194)],
)
def test_the_real_trec_qa(data, split, questions, right, wrong):
    found = read_trec_qa(data, split)
    assert len(found) == questions
    assert sum(map(len, found["positive"])) == right
    assert sum(map(len, found["negative"])) == wrong
