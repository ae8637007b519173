"""Docs and README say what the evidence says."""

from pathlib import Path

import pytest

from polyvec.errors import BadInput
from polyvec.recipes.pages import pages, readme_table, with_table

ROOT = Path(__file__).parents[2]
STALE = "differs from evidence/; run: make docs"


def test_pages_of_methods_are_up_to_date() -> None:
    folder = ROOT / "docs" / "methods"
    made = pages(ROOT / "evidence")
    assert {path.name for path in folder.glob("*.md")} == set(made), STALE
    for name, text in made.items():
        assert (folder / name).read_text("utf-8") == text, f"docs/methods/{name} {STALE}"


def test_table_in_readme_is_up_to_date() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert with_table(readme, readme_table(ROOT / "evidence")) == readme, f"README.md {STALE}"


def test_every_evidence_has_its_picture() -> None:
    for path in (ROOT / "evidence").glob("*/*.json"):
        assert path.with_suffix(".png").exists()


def test_readme_without_a_place_is_refused() -> None:
    with pytest.raises(BadInput, match="no place for the table"):
        with_table("# polyvec", "table")
