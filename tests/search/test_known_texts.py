"""What counts as known: neither where a text is packed nor what its file is called, but what it says."""

from __future__ import annotations

import random

import pytest
from tests.conftest import WORDS

from polyvec.data.documents import Document, Section
from polyvec.search.known_texts import KnownTexts
from polyvec.search.passage_rows import Origin, document_rows


def rows_of(*documents: Document) -> list[dict[str, str]]:
    names = ("id", "document", "kind", "text")
    return [
        {name: getattr(row, name) for name in names}
        for document in documents
        for row in document_rows(document, Origin("python:")).rows
    ]


def page(*paragraphs: str, id: str = "a.md", code: str = "") -> Document:
    return Document(id, "Title", id, (Section("Heading", paragraphs=paragraphs, code=code),))


def long_paragraphs(seed: int, ends: str) -> list[str]:
    """Paragraphs of which three are a passage; with no ends they look like cells of a table."""
    choose = random.Random(seed)
    words = WORDS.split()
    return [" ".join(choose.choices(words, k=20)) + ends for _ in range(30)]


@pytest.mark.parametrize("ends", [".", ""])
def test_only_what_was_put_in_is_fresh_though_all_behind_it_is_packed_anew(ends: str) -> None:
    paragraphs = long_paragraphs(0, ends)
    before = rows_of(page(*paragraphs))
    known = KnownTexts.nothing().joined(before)
    assert known.fresh(before) == {}

    put_in = " ".join(f"unheard{number}" for number in range(12)) + ends
    after = rows_of(page(*paragraphs[:3], put_in, *paragraphs[3:]))
    assert sum(row not in before for row in after) > 5  # they were packed anew
    fresh = known.fresh(after)
    told = "".join(
        after[place]["text"][slice(*span)] for place, spans in fresh.items() for span in spans
    )
    assert put_in in told
    # Where no sentence ends, some words before it and behind it are part of the change.
    assert len(told.split()) <= len(put_in.split()) + (0 if ends else 30)
    assert len(fresh) <= 2


def test_what_was_taken_out_is_no_news() -> None:
    paragraphs = long_paragraphs(1, ".")
    known = KnownTexts.nothing().joined(rows_of(page(*paragraphs)))
    assert known.fresh(rows_of(page(*paragraphs[:4], *paragraphs[5:]))) == {}


def test_a_renamed_document_is_known_and_a_changed_one_is_not() -> None:
    before = rows_of(page("The default is 5.", "It is read."), page("The default is 6.", id="b.md"))
    known = KnownTexts.nothing().joined(before)
    assert known.fresh(rows_of(page("The default is 5.", "It is read.", id="c.md"))) == {}
    # The sentence stands in another document, and yet it is a change of this one.
    assert known.fresh(rows_of(page("The default is 6.", "It is read."))) == {0: [(0, 17)]}


def test_lines_of_code_are_told_apart() -> None:
    known = KnownTexts.nothing().joined(rows_of(page(code="def a():\n    return 1\n")))
    [row] = rows_of(page(code="def a():\n    return 2\n\ndef b(): ...\n"))
    [spans] = known.fresh([row]).values()
    assert [row["text"][start:end] for start, end in spans] == ["return 2\n\ndef b(): ..."]


def test_order_white_space_and_files_change_nothing() -> None:
    rows = rows_of(page(*long_paragraphs(2, ".")), page(*long_paragraphs(3, ""), id="b.md"))
    known = KnownTexts.nothing().joined(rows)
    shuffled = random.Random(0).sample(rows, len(rows))
    assert KnownTexts.nothing().joined(shuffled).to_text() == known.to_text()
    assert KnownTexts.from_text(known.to_text()).to_text() == known.to_text()
    assert known.joined(rows).to_text() == known.to_text()
    wide = [{**row, "text": row["text"].replace(" ", "\n ")} for row in rows]
    assert known.fresh(wide) == {}
    with pytest.raises(ValueError, match=r"."):
        KnownTexts.from_text("not base64!")
    assert KnownTexts.nothing().joined([]).fresh([]) == {}
