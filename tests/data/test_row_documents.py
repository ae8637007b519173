import pytest

from polyvec.data.documents import Document, Section, Skipped
from polyvec.data.row_documents import (
    Columns,
    Row,
    choose_columns,
    documents_of_rows,
    row_document,
)
from polyvec.errors import BadInput


@pytest.mark.parametrize(
    ("names", "wanted", "columns"),
    [
        (["_id", "title", "text"], None, Columns("text", "title", "_id")),
        (["Body", "CONTENT"], None, Columns("CONTENT", "", "")),
        (["text", "answer", "name"], "answer", Columns("answer", "name", "")),
        (["Answer", "answer"], "answer", Columns("answer", "", "")),
        (["Answer"], "answer", Columns("Answer", "", "")),
        (["title", "heading", "id"], "title", Columns("title", "heading", "id")),
        (["doc_id", "id", "text"], None, Columns("text", "", "id")),
    ],
)
def test_columns_are_found_by_their_names(names, wanted, columns):
    assert choose_columns(names, wanted, "x.csv") == columns


def test_a_missing_column_lists_those_that_exist():
    with pytest.raises(BadInput, match=r"^x\.csv: no column 'body'; there are: a, b$"):
        choose_columns(["a", "b"], "body", "x.csv")
    with pytest.raises(BadInput, match=r"^x\.csv: no text column \(text, content, .*a, b$"):
        choose_columns(["a", "b"], None, "x.csv")


def test_paragraphs_are_parted_by_blank_lines_and_joined_within():
    document = row_document("7", " A\n title ", "\n one\ntwo \n \n\n three")
    assert document == Document("7", "A title", "7", (Section(paragraphs=("one two", "three")),))


def test_a_row_is_named_by_its_id_or_by_its_number():
    rows = [Row(2, {"id": 17, "text": "a"}), Row(3, {"id": None, "text": "b"})]
    found = documents_of_rows(rows, Columns("text", "", "id"), "faq.csv").documents
    assert [document.id for document in found] == ["faq.csv#17", "faq.csv#3"]


def test_rows_with_one_id_form_a_group():
    rows = [Row(n, {"id": "x", "text": f"part {n}"}) for n in (2, 3)]
    found = documents_of_rows(rows, Columns("text", "", "id"), "t").documents
    assert [(document.id, document.group) for document in found] == [
        ("t#x", "t#x"),
        ("t#x@3", "t#x"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row(4, {"text": None}), "no text in 'text'"),
        (Row(4, {}), "no text in 'text'"),
        (Row(4, {"text": " -- "}), "no text in 'text'"),
        (Row(4, {"text": 3}), "'text' is not a string"),
        (Row(4, {"text": "x" * (10 * 2**20 + 1)}), "'text' is longer than 10 MB"),
        (Row(4, {}, "2 fields"), "2 fields"),
    ],
)
def test_a_row_without_usable_text_is_skipped(row, reason):
    reading = documents_of_rows([row], Columns("text", "", ""), "t")
    assert reading.documents == []
    assert reading.skipped == [Skipped("t:4", reason)]
