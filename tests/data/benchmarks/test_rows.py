import re

import pytest

from polyvec.data.benchmarks.rows import csv_rows, line_rows, tabs
from polyvec.data.text_lines import lines_of
from polyvec.errors import BadInput

COLUMNS = ("name", "score")


def fields(rows):
    return [dict(row.fields) for row in rows]


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_lines_without_header(put, name):
    path = put(name, 'a "quote\t1\r\n\nb\t 2')
    rows = line_rows(path, COLUMNS, tabs)
    assert fields(rows) == [{"name": 'a "quote', "score": "1"}, {"name": "b", "score": " 2"}]
    assert [row.place for row in rows] == [f"{path}:1", f"{path}:3"]


def test_lines_with_header_may_have_more_columns(put):
    path = put("a.tsv", "score\tid\tname\n1\tx\ta\n")
    assert fields(line_rows(path, COLUMNS, tabs, header=True)) == [
        {"score": "1", "id": "x", "name": "a"}
    ]


def test_csv_rows_may_reach_over_lines_and_errors_name_where_they_start(put):
    path = put("a.csv", 'name,score\r\n"a, b\r\n""c""",1\r\n\r\nd,2\r\n')
    rows = csv_rows(path, COLUMNS)
    assert fields(rows) == [{"name": 'a, b\n"c"', "score": "1"}, {"name": "d", "score": "2"}]
    assert [row.place for row in rows] == [f"{path}:2", f"{path}:5"]
    assert len(csv_rows(path, COLUMNS, header=False)) == 3


def test_a_known_encoding_is_not_guessed(put):
    path = put("a.tsv", "caf\xe9\t1".encode("latin-1"))
    assert line_rows(path, COLUMNS, tabs, encoding="iso-8859-1")[0].fields["name"] == "café"
    with pytest.raises(BadInput, match=r"a\.tsv:1: not utf-8 text"):
        line_rows(path, COLUMNS, tabs)
    with pytest.raises(BadInput, match=r"a\.tsv:1: not cp1252 text"):
        line_rows(put("a.tsv", b"caf\x81\t1"), COLUMNS, tabs, encoding="cp1252")


def test_damaged_lines_in_memory_are_named():
    assert [line.problem for line in lines_of(b"a\ncaf\xe9\nb")] == ["", "not utf-8 text", ""]


def test_a_byte_order_mark_is_not_part_of_the_first_column(put):
    path = put("a.csv", "\ufeffname,score\na,1\n")
    assert csv_rows(path, COLUMNS)[0].fields["name"] == "a"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"a\.csv:1: no column 'name' in the header; there are: none"),
        ("name,grade\na,1\n", r"a\.csv:1: no column 'score' in the header; there are: name, grade"),
        ("name,score\n", r"a\.csv: no row in it; a row needs name, score"),
        ("name,score\na,1\nb\n", r"a\.csv:3: 1 fields; a row needs 2: name, score"),
        ("name,score\na,1,2\n", r"a\.csv:2: 3 fields"),
        ('name,score\n"a,1\nb,2\n', r"a\.csv:2: not CSV \(.*\); perhaps an open quote"),
        ('name,score\n"a"b,1\n', r"a\.csv:2: not CSV"),
        ("name,score\nb\0,2\n", r"a\.csv: binary, not text"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(put, text, reason):
    with pytest.raises(BadInput, match=reason):
        csv_rows(put("a.csv", text), COLUMNS)


def test_a_file_that_is_cut_off_is_named(put):
    path = put("a.csv.gz", "name,score\n" + "a,1\n" * 5000)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(BadInput, match=r"a\.csv\.gz: the compressed file is cut off or damaged"):
        csv_rows(path, COLUMNS)


@pytest.mark.parametrize("score", ["x", "", "nan", "inf", "5.1", "-1"])
def test_a_number_out_of_bounds_is_refused(put, score):
    (row,) = line_rows(put("a.tsv", f"a\t{score}"), COLUMNS, tabs)
    wanted = re.escape(f"a.tsv:1: score {score!r}; give a number from 0 to 5")
    with pytest.raises(BadInput, match=wanted):
        row.number("score", 0, 5)


def test_fields_are_text_numbers_or_one_of_some_names(put):
    (row,) = line_rows(put("a.tsv", " \t 5.0 "), COLUMNS, tabs)
    assert row.number("score", 0, 5) == 5
    assert row.text("score") == "5.0"
    assert row.one_of("score", ("4.0", "5.0")) == 1
    with pytest.raises(BadInput, match=r"a\.tsv:1: name is empty; a row needs one"):
        row.text("name")
    with pytest.raises(BadInput, match=r"a\.tsv:1: score '5\.0'; would be one of 0, 1"):
        row.one_of("score", ("0", "1"))
