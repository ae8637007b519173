"""An index: what it holds, what a search finds, what is encoded again, and what is refused."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load
from polyvec.errors import BadInput, MissingExtra
from polyvec.search import changes as changes_module
from polyvec.search.index import Index
from polyvec.search.storage import writing


@pytest.fixture
def built(tmp_path: Path, docs: Path, model: Path) -> Index:
    return Index.build(tmp_path / "index", str(docs), model=model)


def test_rows_say_where_a_passage_stands(built: Index, docs: Path) -> None:
    rows = built.rows()
    assert [row["id"] for row in rows] == [
        "boats.md#0.0",
        "tables.md#0.0",
        "tables.md#1.0",
        "tea.md#0.0",
        "tea.md#1.0",
    ]
    assert rows[2] == {
        "id": "tables.md#1.0",
        "document": "tables.md",
        "title": "Tables",
        "heading": "Joining",
        "source": str(docs.resolve()),
        "place": f"{docs.resolve()}/tables.md#joining",
        "kind": "text",
        "text": "Merge two rows on one key.",
    }


def test_vectors_stand_beside_their_rows(built: Index, model: Path) -> None:
    texts = [row["text"] for row in built.rows()]
    expected = encode(load(model), texts, normalize=True)
    np.testing.assert_allclose(built.vectors(), expected, atol=1e-6)


def test_search_by_vectors_is_the_order_of_cosines(built: Index) -> None:
    query = "a file with two rows"
    cosines = built.vectors() @ encode(built.model, [query], normalize=True)[0]
    order = np.argsort(-cosines)
    hits = built.search(query, k=3, mode="vectors")
    ids = [row["id"] for row in built.rows()]
    assert [hit.id for hit in hits] == [ids[place] for place in order[:3]]
    np.testing.assert_allclose([hit.score for hit in hits], cosines[order[:3]], atol=1e-5)
    assert [hit.vector_rank for hit in hits] == [1, 2, 3]
    assert all(hit.word_rank is None for hit in hits)


def test_search_by_words_knows_stems_headings_and_parts_of_identifiers(built: Index) -> None:
    def found(query: str) -> list[str]:
        return [hit.id for hit in built.search(query, mode="words")]

    assert found("csv") == ["tables.md#0.0"]
    assert found("joins") == ["tables.md#1.0"]  # in the heading only
    assert found("boats")[0] == "boats.md#0.0"
    assert found("the of") == []
    assert found("?!") == []


def test_hybrid_is_the_reciprocal_rank_fusion_of_both(built: Index) -> None:
    query = "green water"
    places = {
        mode: {hit.id: rank for rank, hit in enumerate(built.search(query, 9, mode), 1)}
        for mode in ("vectors", "words")
    }
    expected = {
        id: sum(1 / (60 + ranks[id]) for ranks in places.values() if id in ranks)
        for id in places["vectors"] | places["words"]
    }
    hits = built.search(query, k=9)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(expected)
    assert [hit.score for hit in hits] == sorted(expected.values(), reverse=True)
    for hit in hits:
        ranks = (places["vectors"].get(hit.id), places["words"].get(hit.id))
        assert (hit.vector_rank, hit.word_rank) == ranks
    assert len(built.search(query, k=2)) == 2


@pytest.mark.parametrize("mode", ["vectors", "words", "hybrid"])
def test_a_filter_holds_before_ranking(built: Index, mode: str) -> None:
    hits = built.search("boat water", k=1, mode=mode, where="document LIKE 'tea%'")
    assert [hit.document for hit in hits] == ["tea.md"]


def test_a_query_of_unknown_words_has_no_direction(built: Index) -> None:
    assert built.search("xyzzy", mode="vectors") == []
    assert built.search("xyzzy") == []


def test_building_again_encodes_nothing(
    built: Index, docs: Path, encoded: Callable[[], list[str]]
) -> None:
    again = Index.build(built.path, str(docs))
    assert encoded() == []
    assert again.changes is not None
    assert (again.changes.unchanged, again.changes.encoded) == (3, 0)


def test_only_what_changed_is_encoded_again(
    built: Index, docs: Path, encoded: Callable[[], list[str]]
) -> None:
    (docs / "tables.md").write_text("# Tables\n\nSort rows of a table.\n")
    (docs / "new.md").write_text("# New\n\nA new garden.\n")
    (docs / "boats.md").unlink()
    changes = built.add(str(docs))
    assert sorted(encoded()) == ["A new garden.", "Sort rows of a table."]
    assert (changes.added, changes.changed, changes.unchanged, changes.removed) == (1, 1, 1, 0)
    ids = [row["id"] for row in built.rows()]
    assert ids == ["boats.md#0.0", "new.md#0.0", "tables.md#0.0", "tea.md#0.0", "tea.md#1.0"]
    assert built.search("csv merge", mode="words") == []
    assert [hit.id for hit in built.search("sorting", mode="words")] == ["tables.md#0.0"]

    again = Index.build(built.path, str(docs))
    assert encoded() == []
    assert again.changes is not None
    assert again.changes.removed == 1
    assert "boats.md" not in {row["document"] for row in again.rows()}


def test_a_document_that_has_no_passage_any_more_leaves(built: Index, docs: Path) -> None:
    (docs / "boats.md").write_text("12 34\n")  # it is read, but holds no word
    changes = built.add(str(docs))
    assert (changes.changed, changes.encoded) == (1, 0)
    assert [entry.where for entry in changes.skipped] == ["boats.md"]
    assert "boats.md" not in {row["document"] for row in built.rows()}


def test_sources_do_not_disturb_each_other(built: Index, docs: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "birds.md").write_text("# Birds\n\nA bird in the forest.\n")
    built.add(str(more))
    Index.build(built.path, str(docs))
    info = built.info()
    assert info["sources"] == {str(docs.resolve()): 3, str(more.resolve()): 1}
    assert (info["documents"], info["passages"]) == (4, 6)
    (more / "tea.md").write_text("# Another\n\nA storm.\n")
    with pytest.raises(BadInput, match=r"'tea\.md' is in the index already, from .*docs"):
        built.add(str(more))


def test_order_of_adding_does_not_matter(docs: Path, model: Path, tmp_path: Path) -> None:
    whole = Index.build(tmp_path / "whole", str(docs), model=model)
    (docs / "tea.md").rename(tmp_path / "tea.md")
    parts = Index.build(tmp_path / "parts", str(docs), model=model)
    (tmp_path / "tea.md").rename(docs / "tea.md")
    parts.add(str(docs))
    assert parts.rows() == whole.rows()
    np.testing.assert_allclose(parts.vectors(), whole.vectors(), atol=1e-6)
    for mode in ("vectors", "words", "hybrid"):
        found = [
            [
                (hit.id, pytest.approx(hit.score, abs=1e-4))
                for hit in one.search("water key", 5, mode)
            ]
            for one in (whole, parts)
        ]
        assert found[0] == found[1]


def test_deleting(built: Index) -> None:
    assert built.delete(["tea.md"]) == 2
    assert built.search("boil", mode="words") == []
    assert built.delete(where="heading = 'Joining'") == 1
    assert [row["id"] for row in built.rows()] == ["boats.md#0.0", "tables.md#0.0"]
    for arguments in ({}, {"documents": ["boats.md"], "where": "true"}, {"where": " "}):
        with pytest.raises(BadInput, match="either ids of documents or a filter"):
            built.delete(**arguments)
    with pytest.raises(BadInput, match=r"holds no document 'tea\.md'"):
        built.delete(["boats.md", "tea.md"])
    with pytest.raises(BadInput, match="filter 'nothing = 1'"):
        built.delete(where="nothing = 1")
    assert built.info()["passages"] == 2


def test_ids_with_quotes(built: Index, docs: Path) -> None:
    (docs / "it's.md").write_text("# Its\n\nA bird's house.\n")
    built.add(str(docs))
    (docs / "it's.md").write_text("# Its\n\nA queen's house.\n")
    built.add(str(docs))
    assert [hit.document for hit in built.search("queen", mode="words")] == ["it's.md"]
    assert built.delete(["it's.md"]) == 1


def test_opened_again_it_finds_its_model(built: Index, model: Path) -> None:
    opened = Index.open(str(built.path))
    assert opened.search("water") == built.search("water")
    info = opened.info()
    assert info["model"] == str(model.resolve())
    assert info["dimensions"] == 16
    assert len(info["fingerprint"]) == 64
    assert info["versions"][-1]["passages"] == 5
    assert [v["version"] for v in info["versions"]] == sorted(
        v["version"] for v in info["versions"]
    )


def test_a_handle_that_was_open_sees_what_another_writes(built: Index, docs: Path) -> None:
    reader = Index.open(built.path)
    assert reader.search("garden", mode="words") == []
    (docs / "new.md").write_text("# New\n\nA new garden.\n")
    built.add(str(docs))
    assert [hit.document for hit in reader.search("garden", mode="words")] == ["new.md"]


def test_other_models_are_refused(
    built: Index, docs: Path, model: Path, other_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="built by another model"):
        Index.open(built.path, model=other_model)
    with pytest.raises(BadInput, match="built by another model"):
        Index.build(built.path, str(docs), model=other_model)
    assert Index.open(built.path, model=load(model)).search("water", 1)
    moved = tmp_path / "moved"
    shutil.copytree(model, moved)
    index = Index.build(tmp_path / "second", str(docs), model=moved)
    shutil.rmtree(moved)
    with pytest.raises(BadInput, match="cannot be opened"):
        Index.open(index.path).search("water")
    assert Index.open(index.path).search("water", mode="words")  # which needs no model
    shutil.copytree(other_model, moved)
    with pytest.raises(BadInput, match="has changed since"):
        Index.open(index.path).search("water")
    again = Index.build(index.path, str(docs), model=other_model, restart=True)
    assert again.info()["model"] == str(other_model.resolve())
    assert len(again.rows()) == 5


def test_an_open_model_has_no_name(docs: Path, model: Path, tmp_path: Path) -> None:
    index = Index.build(tmp_path / "index", str(docs), model=load(model))
    assert index.search("water")
    with pytest.raises(BadInput, match="a model without a name"):
        Index.open(index.path).search("water")


def test_approximate_search_finds_the_same_in_a_small_index(docs: Path, built: Index) -> None:
    approximate = Index.build(built.path, str(docs), approximate=True)
    assert approximate.info()["approximate"]
    exact = approximate.search("water file", mode="vectors", exact=True)
    found = approximate.search("water file", mode="vectors")
    assert [hit.id for hit in found] == [hit.id for hit in exact]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in exact], abs=1e-5)
    (docs / "new.md").write_text("# New\n\nA new garden.\n")
    approximate.add(str(docs))
    assert approximate.search("new garden", 1, "vectors")[0].id == "new.md#0.0"


def test_a_small_addition_is_found_before_it_is_folded_in(tmp_path: Path, model: Path) -> None:
    def written(name: str, count: int) -> str:
        for number in range(count):
            file = tmp_path / name / f"{number}-{name}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"Water in the garden, {name} {number}.\n")
        return str(tmp_path / name)

    def apart() -> int:
        return max(one.num_unindexed_rows for one in index._table._table.list_indices())

    index = Index.build(tmp_path / "index", written("lake", 60), model=model, approximate=True)
    assert apart() == 0
    index.add(written("river", 2))
    assert apart() == 2
    assert index.search("river", 1, "words")[0].document == "0-river.txt"
    near = {hit.document for hit in index.search("water garden", 62, "vectors")}
    assert {"0-river.txt", "1-river.txt"} < near
    assert len(near) == 62
    index.add(written("sea", 2))  # 4 of 64 are more than a twentieth
    assert apart() == 0
    assert index.search("river", 1, "words")[0].document == "0-river.txt"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"query": "a", "k": 0}, "k = 0: give 1 or more"),
        ({"query": "a", "mode": "magic"}, "mode 'magic': give hybrid, vectors, words"),
        ({"query": "  "}, "the query is empty"),
        ({"query": "a", "where": "documnt = 'a'"}, "filter .*No field named documnt"),
        ({"query": "a", "where": "kind ="}, "filter 'kind ='"),
        ({"query": "a", "where": "1; drop table x", "mode": "words"}, "filter '1; drop table x'"),
    ],
)
def test_bad_searches(built: Index, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        built.search(**arguments)


def test_bad_folders(tmp_path: Path, docs: Path, model: Path) -> None:
    with pytest.raises(BadInput, match="no index there; make one with: polyvec index build"):
        Index.open(docs)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="a file; give a folder"):
        Index.build(tmp_path / "file", str(docs), model=model)
    (tmp_path / "damaged" / "passages.lance" / "_versions").mkdir(parents=True)
    (tmp_path / "damaged" / "passages.lance" / "_versions" / "1.manifest").write_bytes(b"x" * 64)
    with pytest.raises(BadInput, match="cannot be opened as an index"):
        Index.open(tmp_path / "damaged")


def test_a_table_of_others_is_refused(tmp_path: Path) -> None:
    import lancedb

    lancedb.connect(tmp_path).create_table("passages", [{"a": 1}])
    with pytest.raises(BadInput, match="no index of this polyvec"):
        Index.open(tmp_path)


def test_empty_sources(tmp_path: Path, model: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BadInput, match="nothing in it"):
        Index.build(tmp_path / "index", str(tmp_path / "nothing"), model=model)
    assert not (tmp_path / "index").exists()


def test_one_writer_at_a_time(built: Index, docs: Path) -> None:
    with writing(built.path), pytest.raises(BadInput, match="another process writes"):
        built.delete(["tea.md"])
    assert built.delete(["tea.md"]) == 2


def test_a_full_disk_is_one_sentence_and_loses_nothing(
    built: Index, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = type(built._table._table)
    add, calls = table.add, []

    def filling_up(self: object, rows: object) -> object:
        calls.append(rows)
        if len(calls) == 2:
            raise OSError(f"LanceError(IO): {os.strerror(errno.ENOSPC)} (os error 28)")
        return add(self, rows)

    monkeypatch.setattr(table, "add", filling_up)
    monkeypatch.setattr(changes_module, "COMMIT", 1)
    for name in ("new", "newer"):
        (docs / f"{name}.md").write_text(f"# {name}\n\nA {name} garden.\n")
    with pytest.raises(BadInput, match="no space is left"):
        built.add(str(docs))
    monkeypatch.undo()
    assert built.info()["documents"] == 4
    assert built.add(str(docs)).added == 1


def test_without_lancedb_the_extra_is_named(
    tmp_path: Path, docs: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(MissingExtra, match=r"polyvec\[search\]"):
        Index.open(tmp_path)
    with pytest.raises(MissingExtra, match=r"polyvec\[search\]"):
        Index.build(tmp_path / "index", str(docs), model=model)
