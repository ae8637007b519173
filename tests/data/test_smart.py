import gzip
import os
from pathlib import Path

import pytest

from polyvec.data.beir import folder_judgements, read_beir_corpus, write_beir
from polyvec.data.smart import read_cisi, read_cranfield
from polyvec.errors import BadInput

DOCUMENTS = """\
.I 1
.T
flow past a
thin wing .
.A
a. writer
.B
j. ae. scs. 25, 1958, 324.
.W
flow past a thin
wing .
  the flow was measured
 in a tunnel .
.A
   a second paragraph .
.I 2
.T
.A
.B
.W
.I 3
.T
twice told .
.A
.W
twice told .
twice  told .
once is enough .
"""
QUESTIONS = """\
.I 001
.W
how does air
flow .
.I 004
.W
what is told .
"""
GRADES = "1 1 1 \n1 3 4\n1 2 2\n2 3 -1"

CISI = """\
.I 1
.T
Dewey
.A
Comaromi, J.P.
.W
   Dewey is the subject.
It has a history.
.X
1\t5\t1
.I 2
.T
Libraries
.A
.W
Libraries are used.
.X
2\t5\t2
"""
CISI_QUERIES = """\
.I 1
.W
Who was Dewey?

.I 58
.T
Networks of
Libraries
.A
Avram, H.D.
.W
   They grow.
.B
(JASIS, Vol. 31)

.I 60
.W
Unjudged.
"""


@pytest.fixture
def cranfield(tmp_path):
    (tmp_path / "cran.all.1400.gz").write_bytes(gzip.compress(DOCUMENTS.encode()))
    (tmp_path / "cran.qry").write_text(QUESTIONS)
    (tmp_path / "cranqrel").write_text(GRADES)
    return tmp_path


@pytest.fixture
def cisi(tmp_path):
    (tmp_path / "CISI.ALL").write_text(CISI)
    (tmp_path / "CISI.QRY").write_text(CISI_QUERIES)
    (tmp_path / "CISI.REL").write_text("     1      1\t0\t0.000000\n    58      2\t0\t0.000000\n")
    return tmp_path


def contents(reading):
    return [(d.id, d.title, d.sections[0].paragraphs) for d in reading.documents]


def test_cranfields_documents_without_the_title_in_the_text(cranfield):
    reading, _ = read_cranfield(cranfield)
    assert contents(reading) == [
        (
            "1",
            "flow past a thin wing",
            ("the flow was measured in a tunnel .", "a second paragraph ."),
        ),
        ("3", "twice told", ("once is enough .",)),
    ]
    (skipped,) = reading.skipped
    assert skipped.where.endswith("cran.all.1400.gz:16")
    assert skipped.reason == "no text in document 2"


def test_cranfields_questions_count_by_order_and_more_is_better(cranfield):
    _, judgements = read_cranfield(cranfield)
    assert judgements.queries == {"1": "how does air flow .", "2": "what is told ."}
    assert judgements.qrels == {"1": {"1": 4, "3": 1}, "2": {"3": 1}}


def test_cisi(cisi):
    reading, judgements = read_cisi(cisi)
    assert contents(reading) == [
        ("1", "Dewey", ("Dewey is the subject. It has a history.",)),
        ("2", "Libraries", ("Libraries are used.",)),
    ]
    assert judgements.queries == {
        "1": "Who was Dewey?",
        "58": "Networks of Libraries They grow.",
        "60": "Unjudged.",
    }
    assert judgements.qrels == {"1": {"1": 1}, "58": {"2": 1}}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cranqrel", "1 1 1\n1 x 1\n", r"cranqrel:2: a line needs the numbers"),
        ("cranqrel", "1 1\n", r"cranqrel:1: a line needs"),
        ("cranqrel", "9 1 1\n", r"cranqrel:1: there is no query 9"),
        ("cran.qry", "nothing\n", r"cran\.qry: no record in it"),
        ("cran.qry", ".I 1\n.W\n.I 2\n", r"cran\.qry:1: query 1 has no text"),
    ],
)
def test_files_in_another_format_are_named(cranfield, name, content, reason):
    (cranfield / name).write_text(content)
    with pytest.raises(BadInput, match=reason):
        read_cranfield(cranfield)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"there is no CISI\.ALL or CISI\.ALL\.gz in it"):
        read_cisi(tmp_path)


@pytest.mark.skipif("POLYVEC_DATA" not in os.environ, reason="POLYVEC_DATA names no data folder")
@pytest.mark.parametrize(
    ("read", "name", "documents", "empty", "queries", "judged", "judgements"),
    [
        (read_cranfield, "cranfield", 1398, 2, 225, 225, 1836),
        (read_cisi, "cisi", 1460, 0, 112, 76, 3114),
    ],
)
def test_the_real_collections(tmp_path, read, name, documents, empty, queries, judged, judgements):
    reading, found = read(Path(os.environ["POLYVEC_DATA"]) / name)
    assert (len(reading.documents), len(reading.skipped)) == (documents, empty)
    assert (len(found.queries), len(found.qrels)) == (queries, judged)
    assert sum(map(len, found.qrels.values())) == judgements
    corpus = {document.id: (document.title, document.text) for document in reading.documents}
    write_beir(tmp_path, corpus, found.queries, found.qrels)
    assert read_beir_corpus(tmp_path).documents == reading.documents
    assert folder_judgements(tmp_path) == found
