"""The map that a server shows: drawn by a process of its own, kept with the index, drawn anew when that changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from polyvec.search import document_map, kept_map
from polyvec.search.dynamic_batching import DynamicBatching
from polyvec.search.index import Index
from polyvec.search.kept_map import KeptMap, keep_map
from polyvec.search.lance_table import PassageTable
from polyvec.search.served import Served
from polyvec.search.server import create_app


@pytest.fixture
def index(docs: Path, model: Path, tmp_path: Path) -> Path:
    Index.build(tmp_path / "index", str(docs), model=model)
    return tmp_path / "index"


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """As in the other tests, with time for a process to start on a loaded machine."""
    import time

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "it did not become so"
            time.sleep(0.05)

    return wait


def test_it_is_drawn_when_first_asked_for_and_kept(index: Path, docs: Path, until) -> None:
    kept = KeptMap(index)
    assert kept.data() is None
    first = kept.state()
    assert (first.drawn, first.drawing, first.failed) == (None, True, "")
    until(lambda: not kept.state().drawing)
    state = kept.state()
    data = kept.data()
    assert state.drawn is not None
    assert data is not None
    shown = json.loads(data)
    assert shown["version"] == state.drawn
    assert shown["passages"]["id"] == [row["id"] for row in Index.open(index).rows()]
    assert KeptMap(index).state() == state  # another server draws nothing

    (docs / "birds.md").write_text("# Birds\n\nA bird in the forest.\n")
    Index.open(index).add(str(docs))
    changed = kept.state()  # the old one is shown until there is a new one
    assert (changed.drawn, changed.drawing) == (state.drawn, True)
    assert kept.data() == data
    until(lambda: not kept.state().drawing)
    assert "birds.md" in (kept.data() or b"").decode()
    assert len(list(index.glob("map-*.json"))) == 1


def test_it_tells_why_it_cannot_be_drawn(model: Path, tmp_path: Path, until) -> None:
    (tmp_path / "a.md").write_text("Xyzzy.\n")
    Index.build(tmp_path / "index", str(tmp_path / "a.md"), model=model)
    kept = KeptMap(tmp_path / "index")
    until(lambda: not kept.state().drawing)
    state = kept.state()
    assert state.drawn is None
    assert state.failed.startswith("the map cannot be drawn: ")
    assert "holds no passage that has a word the model knows" in state.failed
    assert kept.state() == state  # it is not tried again and again


def test_an_end_ends_the_drawing(index: Path) -> None:
    kept = KeptMap(index)
    assert kept.state().drawing
    kept.close()
    assert not list(index.glob("map-*.json"))
    assert kept.state().drawing
    kept.close()


def test_the_answers_of_a_server(index: Path, live) -> None:
    keep_map(index)
    opened = Index.open(index)
    served = Served("bag", DynamicBatching(opened.model), opened, KeptMap(index))
    found = live(create_app([served], keys=["secret"]))
    page = httpx.get(f"{found.address}/map")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "tables.md" not in page.text  # it needs no key, so it holds no document
    assert 'id="key"' in page.text
    for path in ("/map/state", "/map/data"):
        assert httpx.get(found.address + path).status_code == 401
    key = {"Authorization": "Bearer secret"}
    state = httpx.get(f"{found.address}/map/state", headers=key).json()
    assert (state["drawing"], state["failed"]) == (False, "")
    data = httpx.get(f"{found.address}/map/data", headers=key).json()
    assert data["version"] == state["drawn"]
    assert 'id="map-link"' in httpx.get(f"{found.address}/").text


def test_a_server_without_an_index_has_no_map(live, tiny_model) -> None:
    found = live(create_app([Served("tiny", DynamicBatching(tiny_model()))]))
    assert 'id="map-link"' not in httpx.get(f"{found.address}/").text
    for path in ("/map/state", "/map/data"):
        answer = httpx.get(found.address + path)
        assert answer.status_code == 404
        assert "polyvec serve INDEX" in answer.json()["error"]["message"]


def test_a_map_that_is_not_drawn_yet(index: Path, live) -> None:
    opened = Index.open(index)
    served = Served("bag", DynamicBatching(opened.model), opened, KeptMap(index))
    found = live(create_app([served]))
    answer = httpx.get(f"{found.address}/map/data")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_map")


def test_the_map_of_an_index_in_object_storage_is_kept_in_the_cache(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked: list[object] = []

    def opened(place: object) -> PassageTable:
        asked.append(place)
        table = PassageTable.open(index)
        assert table is not None
        return table

    monkeypatch.setattr(document_map, "opened", opened)
    file = keep_map("s3://bucket/docs.index/")
    assert asked == ["s3://bucket/docs.index"]
    assert file.is_relative_to(tmp_path / "cache" / "polyvec" / "maps")
    monkeypatch.setattr(kept_map, "opened", opened)
    served = KeptMap("s3://bucket/docs.index")
    assert not served.state().drawing
    data = served.data()
    assert data is not None
    assert json.loads(data)["name"] == "docs.index"
