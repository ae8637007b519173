"""Questions and where their answers stand: retrieval sets and one for reranking.

Every loader raises `MissingData` when a file is not there, and `BadInput` that names file and line
(or the place in a JSON file) when something in it is malformed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, Features, List, Value

from polyvec.data.beir import Judgements
from polyvec.data.benchmarks.files import stored
from polyvec.data.benchmarks.json_values import JsonValue, read_json_value
from polyvec.data.benchmarks.rows import csv_rows
from polyvec.data.documents import Reading
from polyvec.data.smart import read_cisi, read_cranfield
from polyvec.errors import BadInput

_TAT_QA = {"dev": "dev", "test": "test_gold"}
_TREC_QA = ("train", "dev", "test")
_XQUAD, _XQUAD_END = "xquad.", ".json"


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Documents, queries, and which documents answer which query.

    Attributes:
        documents: id → text; a title, where there is one, is the first line.
        judgements: queries, and for each the ids of relevant documents with a grade.
    """

    documents: dict[str, str]
    judgements: Judgements


def read_cranfield_set(root: Path) -> RetrievalSet:
    """Cranfield: 225 engineers' questions to 1,398 abstracts about aerodynamics, grades 1 to 4.

    Args:
        root: holds ``cranfield/``; see `polyvec.data.smart.read_cranfield`.
    """
    for name in ("cran.all.1400", "cran.qry", "cranqrel"):
        stored(root, f"cranfield/{name}")
    return _titled(*read_cranfield(root / "cranfield"))


def read_cisi_set(root: Path) -> RetrievalSet:
    """CISI: 112 queries, 76 of them judged, to 1,460 abstracts about information science, grade 1.

    Args:
        root: holds ``cisi/``; see `polyvec.data.smart.read_cisi`.
    """
    for name in ("CISI.ALL", "CISI.QRY", "CISI.REL"):
        stored(root, f"cisi/{name}")
    return _titled(*read_cisi(root / "cisi"))


def read_tat_qa(root: Path, split: str) -> RetrievalSet:
    """TAT-QA: questions to paragraphs of financial reports, of all reports in the split.

    Zhu, Lei, Huang, Wang, Zhang, Lv, Feng, Chua (2021): TAT-QA: A Question Answering Benchmark on a
    Hybrid of Tabular and Textual Content in Finance, arXiv:2105.07624. Questions are those whose
    answer comes from the text alone (``answer_from`` is ``text``); their ``rel_paragraphs`` are
    relevant, and so is every paragraph that says the same word for word. Some questions do not
    name the report that they are about: "What does the table show?" is asked 17 times.

    Args:
        root: holds ``tat-qa/dev.json`` and ``test_gold.json``.
        split: ``dev`` (389 questions, 1,356 paragraphs) or ``test`` (381 and 1,279).
    """
    if split not in _TAT_QA:
        raise BadInput(f"TAT-QA has no split {split!r} here; give {' or '.join(_TAT_QA)}")
    documents: dict[str, str] = {}
    queries: dict[str, str] = {}
    relevant: dict[str, list[str]] = {}
    for report in read_json_value(stored(root, f"tat-qa/{_TAT_QA[split]}.json")).items():
        order = {}
        for paragraph in report.items("paragraphs"):
            order[str(paragraph.whole("order"))] = id = _new_id(paragraph, "uid", documents)
            documents[id] = paragraph.text("text").strip()
        for question in report.items("questions"):
            if question.text("answer_from") == "text":
                id = _new_id(question, "uid", queries)
                queries[id] = _one_line(question.text("question"))
                relevant[id] = [_known(one, order) for one in question.items("rel_paragraphs")]
                if not relevant[id]:
                    raise question.wrong(
                        "its answer is in the text, but no rel_paragraphs say where"
                    )
    return RetrievalSet(documents, _judged(queries, relevant, documents))


def read_covid_qa(root: Path) -> RetrievalSet:
    """COVID-QA: 1,380 questions to the 3,085 paragraphs of 98 scientific articles.

    Möller, Reina, Jayakumar, Pietsch (2020): COVID-QA, ACL Workshop on NLP for COVID-19, in an
    earlier cut than the published 2,019 questions.

    Articles are cut at blank lines; a piece without a letter or digit is left out. Half of the
    pieces have up to 90 words; article 188, read from PDF, hardly has a blank line, and one of its
    pieces has 3,613. A paragraph is relevant if the answer stands in it, wholly or in part (three
    answers reach over more than one), and so is every paragraph that says the same word for word.
    Where an answer does not stand where the file says (234 are up to three characters off), its
    nearest occurrence counts. Some questions ask about "this report" and do not name it.

    Args:
        root: holds ``covid-qa/200423_covidQA.json``.
    """
    documents: dict[str, str] = {}
    queries: dict[str, str] = {}
    relevant: dict[str, list[str]] = {}
    whole = read_json_value(stored(root, "covid-qa/200423_covidQA.json"))
    for article in (one for entry in whole.items("data") for one in entry.items("paragraphs")):
        text, name = article.text("context"), article.whole("document_id")
        pieces = {f"{name}-{number}": span for number, span in enumerate(_paragraphs(text), 1)}
        if not documents.keys().isdisjoint(pieces):
            raise article.wrong(f"document_id {name} is there a second time")
        documents |= {id: text[start:end] for id, (start, end) in pieces.items()}
        for question in article.items("qas"):
            id = str(question.whole("id"))
            if id in queries:
                raise question.wrong(f"id {id} is there a second time")
            queries[id] = _one_line(question.text("question"))
            answers = [_located(answer, text) for answer in question.items("answers")]
            relevant[id] = [
                piece
                for piece, (start, end) in pieces.items()
                if any(first < end and start < last for first, last in answers)
            ]
            if not relevant[id]:
                raise question.wrong("no paragraph has an answer to it")
    return RetrievalSet(documents, _judged(queries, relevant, documents))


def xquad_languages(root: Path) -> list[str]:
    """Languages of XQuAD that are there, ``["de", "en", …]``.

    Raises:
        MissingData: when there is none.
    """
    names = {path.name.removesuffix(".gz") for path in (root / "xquad").glob(f"{_XQUAD}*")}
    found = sorted(
        name.removeprefix(_XQUAD).removesuffix(_XQUAD_END)
        for name in names
        if name.endswith(_XQUAD_END)
    )
    if not found:
        stored(root, f"xquad/{_XQUAD}en{_XQUAD_END}")
    return found


def read_xquad(
    root: Path, query_language: str = "en", document_language: str | None = None
) -> RetrievalSet:
    """XQuAD: 1,190 questions to 240 paragraphs of Wikipedia, the same in each language.

    Artetxe, Ruder, Yogatama (2020): On the Cross-lingual Transferability of Monolingual
    Representations, arXiv:1910.11856. Titles are left out, as they are English in all languages.

    Args:
        root: holds ``xquad/xquad.en.json`` and the other languages.
        query_language: of the questions.
        document_language: of the paragraphs; that of the questions if None.
    """
    asked = query_language
    searched = document_language or query_language
    there = xquad_languages(root)
    for language in (asked, searched):
        if language not in there:
            raise BadInput(
                f"{root / 'xquad'}: no language {language!r}; there are {', '.join(there)}"
            )
    documents: dict[str, str] = {}
    answered: dict[str, str] = {}
    for number, paragraph in enumerate(_xquad(root, searched), 1):
        documents[f"{number}"] = paragraph.text("context").strip()
        for question in paragraph.items("qas"):
            answered[_new_id(question, "id", answered)] = f"{number}"
    queries: dict[str, str] = {}
    for question in (one for paragraph in _xquad(root, asked) for one in paragraph.items("qas")):
        id = _new_id(question, "id", queries)
        if id not in answered:
            raise question.wrong(f"id {id!r} has no paragraph in language {searched!r}")
        queries[id] = _one_line(question.text("question"))
    relevant = {id: [answered[id]] for id in queries}
    return RetrievalSet(documents, _judged(queries, relevant, documents))


def read_covid_faq(root: Path) -> RetrievalSet:
    """209 questions about COVID-19 to the 210 answers of health authorities, March 2020.

    Part of deepset's COVID-QA repository. Questions that are the same are one query and answers
    that are the same one document; one query has two.

    Args:
        root: holds ``covid-faq/faq_covidbert.csv``.
    """
    documents: dict[str, str] = {}
    queries: dict[str, str] = {}
    relevant: dict[str, list[str]] = defaultdict(list)
    path = stored(root, "covid-faq/faq_covidbert.csv")
    for number, row in enumerate(csv_rows(path, ("question", "answer")), 1):
        question = _same_or_new(_one_line(row.text("question")), f"{number}", queries)
        relevant[question].append(_same_or_new(row.text("answer"), f"{number}", documents))
    return RetrievalSet(documents, _judged(queries, relevant, documents))


def read_cosqa(root: Path) -> RetrievalSet:
    """CoSQA's dev part: 313 web queries to 552 Python functions.

    Huang et al. (2021), arXiv:2105.13239. Queries are those that a function was found to answer
    (label 1); functions are all, each once.

    Args:
        root: holds ``cosqa/cosqa-dev.json``.
    """
    documents: dict[str, str] = {}
    queries: dict[str, str] = {}
    relevant: dict[str, list[str]] = {}
    for pair in read_json_value(stored(root, "cosqa/cosqa-dev.json")).items():
        id = _new_id(pair, "idx", relevant)
        code = _same_or_new(pair.text("code"), id, documents)
        relevant[id] = [code] if pair.zero_or_one("label") else []
        if relevant[id]:
            queries[id] = _one_line(pair.text("doc"))
    return RetrievalSet(documents, _judged(queries, relevant, documents))


def read_trec_qa(root: Path, split: str) -> Dataset:
    """TREC-QA: sentences from the news, and whether they answer a question, for reranking.

    Wang, Smith, Mitamura (2007): What is the Jeopardy Model?, EMNLP; in the division of Yao et al.
    (2013). Questions without a right or without a wrong sentence say nothing about an order and are
    left out: 15 of 93 in ``train``, 16 of 81 in ``dev`` and 27 of 95 in ``test``.

    Args:
        root: holds ``trec-qa/train.csv``, ``dev.csv`` and ``test.csv``.
        split: ``train`` (78 questions), ``dev`` (65) or ``test`` (68).

    Returns:
        The columns ``query``, ``positive`` and ``negative``, the latter two lists of sentences.
    """
    if split not in _TREC_QA:
        raise BadInput(f"TREC-QA has no split {split!r}; give {', '.join(_TREC_QA)}")
    path = stored(root, f"trec-qa/{split}.csv")
    judged: dict[str, tuple[list[str], list[str]]] = {}
    for row in csv_rows(path, ("qtext", "label", "atext")):
        sentences = judged.setdefault(row.text("qtext"), ([], []))
        sentences[row.one_of("label", ("0", "1"))].append(row.text("atext"))
    useful = {question: both for question, both in judged.items() if all(both)}
    if not useful:
        raise BadInput(f"{path}: no question with both a right and a wrong sentence in it")
    columns = {
        "query": list(useful),
        "positive": [right for _, right in useful.values()],
        "negative": [wrong for wrong, _ in useful.values()],
    }
    sentences_of = List(Value("string"))
    features = Features(query=Value("string"), positive=sentences_of, negative=sentences_of)
    return Dataset.from_dict(columns, features=features)


def _titled(reading: Reading, judgements: Judgements) -> RetrievalSet:
    texts = {d.id: f"{d.title}\n{d.text}" if d.title else d.text for d in reading.documents}
    return RetrievalSet(texts, judgements)


def _xquad(root: Path, language: str) -> Iterable[JsonValue]:
    """The paragraphs in a language."""
    whole = read_json_value(stored(root, f"xquad/{_XQUAD}{language}{_XQUAD_END}"))
    return [one for article in whole.items("data") for one in article.items("paragraphs")]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _new_id(value: JsonValue, key: str, known: Mapping[str, object]) -> str:
    id = value.text(key)
    if id in known:
        raise value.wrong(f"{key} {id!r} is there a second time")
    return id


def _known(number: JsonValue, order: Mapping[str, str]) -> str:
    if number.text() not in order:
        raise number.wrong(f"there is no paragraph {number.text()!r}; there are {', '.join(order)}")
    return order[number.text()]


def _same_or_new(text: str, id: str, known: dict[str, str]) -> str:
    """The id of a text that is known, else ``id``, under which it is then known."""
    same = next((other for other, found in known.items() if found == text), "")
    known.setdefault(same or id, text)
    return same or id


def _judged(
    queries: dict[str, str],
    relevant: Mapping[str, Sequence[str]],
    documents: Mapping[str, str],
) -> Judgements:
    """Grade 1 for relevant documents and for those with the same text."""
    same = defaultdict(list)
    for id, text in documents.items():
        same[text].append(id)
    qrels = {
        query: {copy: 1 for id in relevant[query] for copy in same[documents[id]]}
        for query in queries
        if relevant[query]
    }
    return Judgements(queries, qrels)


def _paragraphs(text: str) -> list[tuple[int, int]]:
    """Where the pieces between blank lines start and end."""
    spans: list[tuple[int, int]] = []
    position, start, end = 0, -1, -1
    for line in [*text.split("\n"), ""]:
        if line.strip():
            start = position + len(line) - len(line.lstrip()) if start < 0 else start
            end = position + len(line.rstrip())
        elif start >= 0:
            if any(c.isalnum() for c in text[start:end]):
                spans.append((start, end))
            start = -1
        position += len(line) + 1
    return spans


def _located(answer: JsonValue, text: str) -> tuple[int, int]:
    """Where an answer starts and ends: its occurrence nearest to where it is said to start."""
    wanted, near = answer.text("text").strip(), answer.whole("answer_start")
    before = text.rfind(wanted, 0, near + len(wanted)) if near >= 0 else -1
    after = text.find(wanted, max(near, 0))
    found = [start for start in (before, after) if start >= 0]
    if not found:
        raise answer.wrong("the article does not have this text")
    start = min(found, key=lambda place: abs(place - near))
    return start, start + len(wanted)
