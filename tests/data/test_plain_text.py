"""Plain text: paragraphs, and headings without markup."""

from __future__ import annotations

import pytest

from polyvec.data.documents import Document
from polyvec.data.plain_text import read_plain_text
from polyvec.errors import BadInput


def read(text: str) -> Document:
    return read_plain_text(text.encode(), "notes.txt")


def outline(text: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(s.heading, s.path, s.paragraphs) for s in read(text).sections]


def test_paragraphs_are_what_stands_between_blank_lines() -> None:
    text = "A first line that\ngoes on.\n\n  \nSecond\tparagraph.\n"
    assert read(text).title == ""
    assert outline(text) == [("", (), ("A first line that goes on.", "Second paragraph."))]


def test_headings_in_capitals_underlined_and_numbered() -> None:
    text = """All about tea
=============

Tea is old.

Kinds
-----
Green tea.

Black tea.

WARNING
   It is hot.

2.1 How to brew

Boil water.
"""
    assert read(text).title == "All about tea"
    assert outline(text) == [
        ("", (), ("Tea is old.",)),
        ("Kinds", (), ("Green tea.", "Black tea.")),
        ("WARNING", (), ("It is hot.",)),
        ("2.1 How to brew", ("WARNING",), ("Boil water.",)),
    ]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Tea\n\nBoil water.", "Tea"),
        ("=====\n Tea\n=====\n\nBoil water.", "Tea"),
        ("Tea.\n\nBoil water.", ""),
        ("Tea\nBoil water.", ""),
        ("A line of prose that is " + "very " * 20 + "long\n\nBoil water.", ""),
        ("----\n\nBoil water.", ""),
    ],
)
def test_title_is_a_short_first_line_that_stands_alone(text: str, title: str) -> None:
    document = read(text)
    assert document.title == title
    assert "Boil water." in document.text


@pytest.mark.parametrize(
    "line",
    ["1. Put the kettle on and wait until it boils", "2.1 Boil water.", "We SHOUT here", "12.5"],
)
def test_what_only_looks_like_a_heading(line: str) -> None:
    assert [s.heading for s in read(f"Some prose here.\n\n{line}\n\nMore.").sections] == [""]


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="0 bytes"):
        read_plain_text(b"", "a.txt")
