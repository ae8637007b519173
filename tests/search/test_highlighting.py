"""The words of a query in a passage."""

from __future__ import annotations

import pytest

from polyvec.search.highlighting import word_spans


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        (
            "Merged tables, merging a table",
            "merge tables",
            ["Merged", "tables", "merging", "table"],
        ),
        ("the cat and the dog", "the dog", ["dog"]),  # a stop word alone is nothing
        ("ReadCsv and to_csv", "csv", ["ReadCsv", "to_csv"]),
        ("nothing of it", "else", []),
        ("", "query", []),
    ],
)
def test_spans(text: str, query: str, marked: list[str]) -> None:
    assert [text[start:end] for start, end in word_spans(text, query)] == marked
