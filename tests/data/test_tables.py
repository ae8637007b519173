import csv
import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from polyvec.data import text_lines
from polyvec.data.tables import SUFFIXES, read_table
from polyvec.errors import BadInput


@pytest.fixture
def table(tmp_path):
    """Write a file and give its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def contents(reading):
    return [(document.id, document.title, document.text) for document in reading.documents]


def reasons(reading):
    return [(skipped.where, skipped.reason) for skipped in reading.skipped]


def test_the_formats_that_are_read():
    assert {".jsonl", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".csv.gz", ".tsv.gz"} == SUFFIXES


def test_json_lines(table):
    lines = [
        '{"_id": "a", "title": "Tea", "text": "Hot.\\n\\nGreen."}',
        "",
        '{"_id": "b", "text": "Cold."}',
    ]
    reading = read_table(table("t.jsonl", "\n".join(lines)), "x/t.jsonl")
    assert contents(reading) == [
        ("x/t.jsonl#a", "Tea", "Hot.\n\nGreen."),
        ("x/t.jsonl#b", "", "Cold."),
    ]
    assert reading.skipped == []


def test_bad_json_lines_are_listed_and_the_others_read(table):
    lines = [
        '{"text": "one"}',
        "{oops",
        "[1]",
        '{"txt": "x"}',
        '{"text": 3}',
        "[" * 100_000,
        '{"text": "two"}',
    ]
    reading = read_table(table("t.jsonl", "\n".join(lines)), "t.jsonl")
    assert contents(reading) == [("t.jsonl#1", "", "one"), ("t.jsonl#7", "", "two")]
    assert [where for where, _ in reasons(reading)] == [f"t.jsonl:{n}" for n in range(2, 7)]
    assert [reason.split(" (")[0] for _, reason in reasons(reading)] == [
        "not JSON",
        "not a JSON object",
        "no text in 'text'",
        "'text' is not a string",
        "JSON nested too deeply",
    ]


def test_the_text_column_may_be_missing_in_the_first_rows(table):
    lines = [json.dumps({"note": "x"})] * 3 + [json.dumps({"body": "found"})]
    assert contents(read_table(table("t.jsonl", "\n".join(lines)), "t")) == [("t#4", "", "found")]


def test_csv_counts_rows_as_a_spreadsheet_does(table):
    content = 'Title,Text\nTea,"Hot, ""green""\nand good."\n,\nIce,Cold.\n'
    reading = read_table(table("t.csv", content), "t.csv")
    assert contents(reading) == [
        ("t.csv#2", "Tea", 'Hot, "green" and good.'),
        ("t.csv#4", "Ice", "Cold."),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_finds_its_separator(table, separator):
    content = f"id{separator}text\n7{separator}Hot.\n"
    assert contents(read_table(table("t.csv", content), "t")) == [("t#7", "", "Hot.")]


def test_csv_with_the_wrong_number_of_fields(table):
    reading = read_table(table("t.csv", "id,text\n1,a\n2\n3,b,c\n4,d\n"), "t")
    assert [document.id for document in reading.documents] == ["t#1", "t#4"]
    assert reasons(reading) == [
        ("t:3", "1 fields where the header has 2"),
        ("t:4", "3 fields where the header has 2"),
    ]


def test_a_csv_line_that_is_too_long(table, monkeypatch):
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 300)
    reading = read_table(table("t.csv", f"id,text\n1,a\n2,{'x' * 400}\n3,b\n"), "t")
    assert [id for id, _, _ in contents(reading)] == ["t#1", "t#3"]
    assert reasons(reading) == [("t:3", "a line longer than 0 MB, line 3")]


def test_a_csv_quote_that_is_never_closed(table, monkeypatch):
    monkeypatch.setattr("polyvec.data.tables.LONGEST_LINE", 300)
    before = csv.field_size_limit()
    rows = "".join(f"{n},text {n}\n" for n in range(100))
    reading = read_table(table("t.csv", f'id,text\na,"oops\n{rows}b,"more\nc,last\n'), "t")
    assert "t#99" in [id for id, _, _ in contents(reading)]
    (_, swallowed), (_, unclosed) = reasons(reading)
    assert swallowed.startswith("not CSV (field larger than field limit (300)); perhaps an open")
    assert unclosed.startswith("not CSV (unexpected end of data); perhaps an open quote, line ")
    assert csv.field_size_limit() == before


def test_csv_fields_may_be_longer_than_the_csv_module_allows_by_itself(table):
    text = "word " * 100_000
    (document,) = read_table(table("t.csv", f"text\n{text}\n"), "t").documents
    assert document.text == text.strip()


def test_tsv_takes_quotes_as_they_are_unless_they_enclose_a_field(table):
    content = 'id\ttext\n1\tthe 5" disk\n2\t"said ""no"""\n3\ta\tb\n'
    reading = read_table(table("t.tsv", content), "t")
    assert contents(reading) == [("t#1", "", 'the 5" disk'), ("t#2", "", 'said "no"')]
    assert reasons(reading) == [("t:4", "3 fields where the header has 2")]


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.jsonl.gz", '{"text": "zipped"}\n'), ("t.CSV.gz", "text\nzipped\n")],
)
def test_gzip(table, name, content):
    path = table(name, gzip.compress(content.encode()))
    assert [d.text for d in read_table(path, "t").documents] == ["zipped"]


def test_spreadsheets_write_other_encodings(table):
    rows = "azonosító;text\n" + "1;Árvíztűrő tükörfúrógép működik.\n" * 20
    for encoding in ("utf-16", "utf-8-sig", "cp1250"):
        path = table("t.csv", rows.encode(encoding))
        first = read_table(path, "t").documents[0]
        assert first.text == "Árvíztűrő tükörfúrógép működik."


def test_parquet_reads_only_what_it_needs(tmp_path):
    columns = {
        "doc_id": [1, 2, 3],
        "name": ["A", None, "C"],
        "text": ["one", "two", None],
        "vector": [[0.0]] * 3,
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    reading = read_table(tmp_path / "t.parquet", "t")
    assert contents(reading) == [("t#1", "A", "one"), ("t#2", "", "two")]
    assert reasons(reading) == [("t:3", "no text in 'text'")]


def test_a_damaged_parquet_file_gives_what_comes_before_the_damage(tmp_path):
    path = tmp_path / "t.parquet"
    texts = [f"text number {n} with words" for n in range(2000)]
    parquet.write_table(
        pyarrow.table({"text": texts}), path, row_group_size=500, use_dictionary=False
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(content)
    reading = read_table(path, "t")
    assert 500 <= len(reading.documents) < 2000
    assert "damaged from this row on" in reading.skipped[-1].reason


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.parquet", b"PAR1 no", "not a Parquet file"),
        ("t.jsonl", "", "no row can be read .nothing in it"),
        ("t.jsonl", "{bad", "no row can be read .not JSON"),
        ("t.csv", "", "no header in the first line .nothing in it"),
        ("t.csv", "a,b\n1,2\n", "no text column .*there are: a, b$"),
        ("t.tsv", "a\tb\n1\t2\n", "there are: a, b$"),
        ("t.jsonl", '{"a": 1}', "there are: a$"),
        ("t.csv", b"\0\1\2", "binary, not text"),
        ("t.csv.gz", gzip.compress(b"text\n" + b"a\n" * 999, mtime=0)[:-9], "cut off or damaged"),
    ],
)
def test_a_file_that_is_no_table_is_named(table, name, content, reason):
    path = table(name, content)
    with pytest.raises(BadInput, match=reason) as error:
        read_table(path, "t")
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(BadInput, match=name):
        read_table(tmp_path / name, "t")


def test_a_named_text_column(table):
    path = table("t.csv", "text,answer\nno,yes\n")
    assert [d.text for d in read_table(path, "t", "answer").documents] == ["yes"]
    with pytest.raises(BadInput, match="no column 'reply'; there are: text, answer"):
        read_table(path, "t", "reply")
