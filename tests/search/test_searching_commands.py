"""The commands: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polyvec import cli


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["polyvec", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    return run


def test_from_documents_to_hits(
    run, docs: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = str(tmp_path / "index")
    given = ["index", "build", index, "--from", str(docs)]
    assert run(*given, "--model", str(model)) == 0
    assert "3 documents added" in capsys.readouterr().out
    assert run(*given) == 0
    assert "0 documents added, 0 changed, 0 removed, 3 as they were" in capsys.readouterr().out
    (tmp_path / "birds.md").write_text("# Birds\n\nA bird in the forest.\n")
    assert run("index", "add", index, "--from", str(tmp_path / "birds.md")) == 0
    assert "1 documents added" in capsys.readouterr().out

    assert run("search", index, "birds", "--mode", "words", "--explain") == 0
    shown = capsys.readouterr().out
    assert "A bird in the forest." in shown
    assert "birds.md#0.0" in shown
    assert "BM25" in shown
    assert (
        run("search", index, "water", "--k", "2", "--filter", "document = 'tea.md'", "--json") == 0
    )
    hits = json.loads(capsys.readouterr().out)
    assert {hit["document"] for hit in hits} == {"tea.md"}
    assert set(hits[0]) >= {"id", "title", "heading", "text", "score", "vector_rank", "word_rank"}
    assert run("search", index, "xyzzy") == 0
    assert "Nothing found." in capsys.readouterr().out

    assert run("index", "delete", index, "--id", "birds.md") == 0
    assert "1 passages removed" in capsys.readouterr().out
    assert run("index", "info", index, "--json") == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 3
    assert run("index", "info", index) == 0
    assert "exact" in capsys.readouterr().out

    for arguments, sentence in (
        (["search", index, "water", "--filter", "kind ="], "filter 'kind ='"),
        (["search", index, "water", "--k", "0"], "k = 0: give 1 or more"),
        (["search", index, "water", "--mode", "magic"], "mode 'magic'"),
        (["index", "delete", index], "delete needs either ids of documents or a filter"),
        (["search", str(docs), "water"], "no index there"),
        (["index", "add", str(docs), "--from", str(docs)], "no index there"),
        (["index", "build", index, "--from", str(tmp_path / "no.md")], "no such file or folder"),
    ):
        assert run(*arguments) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert said.startswith("polyvec: ")
        assert sentence in said


def test_a_map(
    run, docs: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, page, picture = (str(tmp_path / name) for name in ("index", "map.html", "map.png"))
    assert run("index", "build", index, "--from", str(docs), "--model", str(model)) == 0
    given = ["map", index, "--out", page, "--png", picture]
    assert run(*given, "--filter", "document <> 'tea.md'") == 0
    assert f"3 passages on {page} and {picture}" in capsys.readouterr().out
    assert "Green" not in Path(page).read_text()
    assert Path(picture).stat().st_size
    assert run("map", index, "--keep") == 0
    assert len(list(Path(index).glob("map-*.json"))) == 1
    for arguments, sentence in (
        (["map", str(docs)], "no index there"),
        (["map", index, "--where", "kind ="], "filter 'kind ='"),
        (["map", index, "--keep", "--filter", "kind = 'text'"], "leave --filter out"),
    ):
        assert run(*arguments) == 2
        assert sentence in capsys.readouterr().err
