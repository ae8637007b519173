"""Documents as rows: digests, sources and places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from polyvec.data.documents import Document, Section
from polyvec.data.sources import read_documents
from polyvec.search.passage_rows import Origin, document_rows

PAGE = Document(
    "tea.md",
    "Tea",
    "tea.md",
    (
        Section(paragraphs=("Boil water.",)),
        Section("Green", ("Kinds",), "green", ("Cooler water.",), code="pour()"),
    ),
)


@pytest.mark.parametrize(
    "other",
    [
        replace(PAGE, title="Teas"),
        replace(PAGE, sections=PAGE.sections[:1]),
        replace(PAGE, sections=PAGE.sections[::-1]),
        replace(PAGE, sections=(PAGE.sections[0], replace(PAGE.sections[1], heading="Black"))),
        replace(PAGE, sections=(PAGE.sections[0], replace(PAGE.sections[1], anchor="g"))),
        replace(PAGE, sections=(PAGE.sections[0], replace(PAGE.sections[1], code="stir()"))),
    ],
)
def test_the_digest_changes_with_all_that_rows_say(other: Document) -> None:
    origin = Origin("python:")
    assert document_rows(other, origin).digest != document_rows(PAGE, origin).digest
    assert document_rows(replace(PAGE), origin).digest == document_rows(PAGE, origin).digest


def test_rows_of_code(tmp_path: Path) -> None:
    prose, code = document_rows(PAGE, Origin(str(tmp_path))).rows[1:]
    assert (prose.kind, code.kind) == ("text", "code")
    assert code.heading == "Kinds > Green"
    assert code.place == f"{tmp_path.resolve()}/tea.md#green"


def test_a_source_has_the_same_name_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tea.md").write_text("# Tea\n\nBoil water.\n")
    monkeypatch.chdir(tmp_path)
    root = tmp_path.resolve()
    for written, name in (
        ("docs", root / "docs"),
        ("./docs/", root / "docs"),
        ("docs/tea.md", root / "docs" / "tea.md"),
        ("docs/*.md", root / "docs" / "*.md"),
    ):
        [document] = read_documents(written).documents
        rows = document_rows(document, Origin(written))
        assert rows.source == str(name)
        assert rows.rows[0].place.startswith(str(root / "docs" / "tea.md"))
    assert Origin("owner/name").of(PAGE) == "owner/name"
