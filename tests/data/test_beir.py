import gzip

import pytest

from polyvec.data.beir import (
    Judgements,
    check_judgements,
    folder_judgements,
    is_beir_folder,
    read_beir_corpus,
    read_judgements,
    read_qrels,
    read_queries,
    write_beir,
)
from polyvec.data.documents import Document, Section
from polyvec.errors import BadInput

CORPUS = {"d1": ("Tea", "Hot.\n\nGreen."), "d2": ("", "Cold ice."), "d 3": ("Rain", "Wet.")}
QUERIES = {"q1": "what is hot", "q2": "what is\tcold"}
QRELS = {"q1": {"d1": 2, "d 3": 1}, "q2": {"d2": 1}}


@pytest.fixture
def folder(tmp_path):
    write_beir(tmp_path / "set", CORPUS, QUERIES, QRELS)
    return tmp_path / "set"


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str):
        path = tmp_path / name
        path.write_bytes(
            gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
        )
        return path

    return write


def test_what_was_written_is_read(folder):
    assert is_beir_folder(folder)
    assert not is_beir_folder(folder.parent)
    reading = read_beir_corpus(folder)
    assert reading.skipped == []
    assert reading.documents == [
        Document("d1", "Tea", "d1", (Section(paragraphs=("Hot.", "Green.")),)),
        Document("d2", "", "d2", (Section(paragraphs=("Cold ice.",)),)),
        Document("d 3", "Rain", "d 3", (Section(paragraphs=("Wet.",)),)),
    ]
    expected = Judgements({"q1": "what is hot", "q2": "what is cold"}, QRELS)
    assert folder_judgements(folder) == expected


def test_the_written_files_are_in_beirs_layout(folder):
    assert (folder / "qrels" / "test.tsv").read_text() == (
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td 3\t1\nq2\td2\t1\n"
    )
    first = (folder / "corpus.jsonl").read_text().splitlines()[0]
    assert first == '{"_id": "d1", "title": "Tea", "text": "Hot.\\n\\nGreen."}'


@pytest.mark.parametrize("id", ["", " d", "a\tb", "a\nb"])
def test_an_id_that_the_format_cannot_hold_is_refused(tmp_path, id):
    with pytest.raises(BadInput, match="is empty or has a tab"):
        write_beir(tmp_path, {id: ("", "text")}, {}, {})
    assert not (tmp_path / "corpus.jsonl").exists()


def test_a_corpus_may_be_compressed_and_have_rows_without_text(write, tmp_path):
    rows = ['{"_id": 1, "title": "Only this", "text": ""}', '{"_id": "2", "text": null}', ""]
    write("corpus.jsonl.gz", "\n".join(rows))
    assert is_beir_folder(tmp_path)
    reading = read_beir_corpus(tmp_path)
    assert reading.documents == [Document("1", "", "1", (Section(paragraphs=("Only this",)),))]
    assert [skipped.reason for skipped in reading.skipped] == ["no text in document '2'"]
    assert reading.skipped[0].where.endswith("corpus.jsonl.gz:2")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{oops", "not JSON"),
        ('{"text": "x"}', "no _id; a row needs a string _id and a text"),
        ('{"_id": "", "text": "x"}', "no _id"),
        ('{"_id": true, "text": "x"}', "no _id"),
        ('{"_id": "a", "text": "x"}', r"_id 'a' is that of .*corpus\.jsonl:1 too"),
        ('{"_id": "b", "text": ["x"]}', "text is not a string"),
    ],
)
def test_a_bad_corpus_row_is_named(write, tmp_path, row, reason):
    write("corpus.jsonl", '{"_id": "a", "text": "x"}\n\n' + row)
    with pytest.raises(BadInput, match=rf"corpus\.jsonl:3: {reason}"):
        read_beir_corpus(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", '{"_id": "1", "text": "a  b", "metadata": {}}\n{"_id": 2, "text": "c, d"}\n'),
        ("q.jsonl.gz", '{"_id": "1", "text": "a b"}\n{"_id": "2", "text": "c, d"}'),
        ("q.tsv", "1\ta b\n2\tc, d\n"),
        ("q.tsv.gz", "query-id\ttext\n1\ta b\n\n2\tc, d\n"),
        ("q.csv", 'id,text\n1,a b\n2,"c, d"\n'),
        ("q.txt", "1\ta b\r\n2\tc, d\r\n"),
    ],
)
def test_queries_in_each_format(write, name, content):
    assert read_queries(write(name, content)) == {"1": "a b", "2": "c, d"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("q.tsv", "1\ta\nlonely\n", "q.tsv:2: 1 columns; a line needs id<TAB>text"),
        ("q.csv", "1,a,b\n", "q.csv:1: 3 columns; a line needs id,text"),
        ("q.tsv", "1\ta\n1\tb\n", "q.tsv:2: query '1' is there a second time"),
        ("q.jsonl", '{"_id": "1"}', "q.jsonl:1: query '1' has no text"),
        ("q.jsonl", '{"id": "1", "text": "a"}', "q.jsonl:1: no _id"),
        ("q.jsonl", "[]", "q.jsonl:1: not a JSON object"),
        ("q.tsv", "", "q.tsv: no query in it"),
    ],
)
def test_bad_queries_are_named(write, name, content, reason):
    with pytest.raises(BadInput, match=reason):
        read_queries(write(name, content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.tsv", "query-id\tcorpus-id\tscore\nq\ta b\t1\nq\tc\t2\n"),
        ("r.tsv.gz", "q\ta b\t1\nq\tc\t2.0\n"),
        ("r.qrels", "q\t0\ta b\t1\nq\t0\tc\t2\n"),
        ("r.csv", "query-id,corpus-id,score\nq,a b,1\nq,c,2\n"),
    ],
)
def test_judgements_in_each_format(write, name, content):
    assert read_qrels(write(name, content)) == {"q": {"a b": 1, "c": 2}}


def test_trec_judgements_and_grades_that_are_not_relevant(write):
    path = write("qrels.txt", "1 0 a 1\n1 0 a 3\n1 0 b 0\n2  Q0  c  -1\n\n3 0 d 1\n")
    assert read_qrels(path) == {"1": {"a": 3}, "3": {"d": 1}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("q\td\t1\nq\td\n", "r.tsv:2: a line needs query id, document id and a whole grade"),
        ("q\td\t1\nq\td\tgood\n", "r.tsv:2: a line needs"),
        ("q\td\t0.5\n" * 2, "r.tsv:2: a line needs"),
        ("a b c d 1\n", "r.tsv:1: a line needs"),
        ("q\td\t0\n", "r.tsv: no judgement with a grade above 0"),
        ("query-id\tcorpus-id\tscore\n", "r.tsv: no judgement"),
    ],
)
def test_bad_judgements_are_named(write, content, reason):
    with pytest.raises(BadInput, match=reason):
        read_qrels(write("r.tsv", content))


def test_unknown_ids_are_named_up_to_five(tmp_path):
    path = tmp_path / "r.tsv"
    check_judgements({"q"}, {"q": {"d": 1}}, {"d"}, path)
    with pytest.raises(BadInput, match=r"r\.tsv: query id 'x' is not among the queries"):
        check_judgements({"q"}, {"x": {"d": 1}}, {"d"}, path)
    seven = {str(n): 1 for n in range(7)}
    listed = r"document ids '0', '1', '2', '3', '4' and 2 more are not among the documents"
    with pytest.raises(BadInput, match=listed):
        check_judgements({"q", "p"}, {"q": seven, "p": seven}, {"d"}, path)


def test_documents_of_tables_may_be_judged_by_their_own_ids(write):
    queries, qrels = write("q.tsv", "1\thot\n"), write("r.tsv", "1\t17\t1\n1\tb.csv#8\t1\n")
    judgements = read_judgements(queries, qrels, {"a.csv#17", "b.csv#8", "a.csv#8"})
    assert judgements.qrels == {"1": {"a.csv#17": 1, "b.csv#8": 1}}
    with pytest.raises(BadInput, match="document id '17' is not among"):
        read_judgements(queries, qrels, {"a.csv#17", "b.csv#8", "b.csv#17"})


def test_a_part_of_the_judgements():
    part = Judgements(QUERIES, QRELS).only(["q2"])
    assert part == Judgements({"q2": QUERIES["q2"]}, {"q2": {"d2": 1}})


def test_a_folder_without_judgements(folder):
    (folder / "qrels" / "test.tsv").unlink()
    assert folder_judgements(folder) is None
    (folder / "queries.jsonl").unlink()
    assert folder_judgements(folder) is None


def test_the_only_file_of_judgements_is_used_and_of_several_the_test(folder):
    test = folder / "qrels" / "test.tsv"
    expected = folder_judgements(folder)
    dev = test.rename(test.with_name("dev.tsv"))
    assert folder_judgements(folder) == expected
    train = test.with_name("train.tsv")
    train.write_text("q1\td1\t1\n")
    with pytest.raises(BadInput, match=r"dev\.tsv, train\.tsv, and none is test\.tsv"):
        folder_judgements(folder)
    dev.rename(test)
    assert folder_judgements(folder) == expected


def test_judgements_of_empty_documents_are_left_out(folder):
    (folder / "corpus.jsonl").write_text(
        '{"_id": "d1", "title": "", "text": ""}\n{"_id": "d2", "text": "x"}\n'
        '{"_id": "d 3", "title": "Rain", "text": ""}\n'
    )
    judged = folder_judgements(folder)
    assert judged is not None
    assert judged.qrels == {"q1": {"d 3": 1}, "q2": {"d2": 1}}
