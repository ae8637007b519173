"""The pages in headless Chromium, which reaches nothing but the server; an error on its console fails a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from polyvec.search.document_map import draw_map
from polyvec.search.dynamic_batching import DynamicBatching
from polyvec.search.index import Index
from polyvec.search.kept_map import KeptMap, keep_map
from polyvec.search.map_page import map_page
from polyvec.search.served import Served
from polyvec.search.server import create_app

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium is installed")

PATIENCE = 60_000
"""Milliseconds for what takes none on an idle machine."""


_ROUNDED = 4
"""Pixels: a browser tells a pointer's place in whole ones, which a zoom makes larger."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    arguments = ["--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=arguments,
            chromium_sandbox=os.geteuid() != 0,  # it refuses its sandbox to root
            timeout=PATIENCE,
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium) -> Iterator[Callable[[str], Any]]:
    """A function that opens an address; requests to any other host are aborted, and fail the test like errors do."""
    wrong: list[str] = []
    contexts = []

    def open_page(address: str) -> Any:
        home = address.partition("?")[0].rpartition("/")[0]

        def only_home(route) -> None:
            if route.request.url.startswith((home, "data:")):
                route.continue_()
            else:
                wrong.append(f"request to {route.request.url}")
                route.abort()

        context = chromium.new_context(viewport={"width": 1200, "height": 800})
        contexts.append(context)
        context.route("**/*", only_home)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def index(docs: Path, model: Path, tmp_path: Path) -> Path:
    Index.build(tmp_path / "index", str(docs), model=model)
    return tmp_path / "index"


@pytest.fixture
def serve(index: Path, live, other_model: Path) -> Callable[..., str]:
    """A function that serves the index, and a second model where asked for; it returns the address."""

    def run(second: bool = False, **options: Any) -> str:
        from polyvec.encoders.loading import load

        opened = Index.open(index)
        served = [Served("bag", DynamicBatching(opened.model), opened, KeptMap(index))]
        if second:
            served.append(Served("other", DynamicBatching(load(str(other_model)))))
        return str(live(create_app(served, **options)).address)

    return run


def test_search_and_read_a_result(serve, visit) -> None:
    page = visit(serve() + "/")
    page.fill("#query", "merge rows")
    page.press("#query", "Enter")
    first = page.locator("#results li").first
    first.wait_for()
    assert "Merge two rows on one key." in first.inner_text()
    assert "tables.md" in first.inner_text()
    assert {word.lower() for word in first.locator("mark").all_inner_texts()} >= {"merge", "rows"}
    assert "results in" in page.inner_text("#status")
    assert page.url.endswith("?q=merge+rows")


def test_two_models_side_by_side(serve, visit) -> None:
    page = visit(serve(second=True) + "/")
    page.fill("#query", "water")
    page.check("#compare")
    page.click("#go")
    page.locator("#results section").nth(1).wait_for()
    left, right = page.locator("#results section").all()
    assert left.locator("h2").inner_text() == "bag"
    assert right.locator("h2").inner_text().startswith("other, which reordered")
    # The same passages on both sides, each with its place on the other.
    texts = [sorted(side.locator("li p:not(.quiet)").all_inner_texts()) for side in (left, right)]
    assert texts[0] == texts[1]
    assert "rank 1 there" in right.inner_text()
    a, b = left.bounding_box(), right.bounding_box()
    assert a["x"] + a["width"] <= b["x"]
    assert a["y"] == b["y"]


def test_what_is_wrong_is_said_in_the_page(serve, visit) -> None:
    page = visit(serve() + "/")
    page.evaluate(
        "models = [{id: 'no', searchable: true}]; at('model').append(new Option('no', 'no'))"
    )
    page.route("**/search?*", lambda route: route.fulfill(status=200, json={"hits": None}))
    page.select_option("#model", "no", force=True)
    page.fill("#query", "water")
    page.click("#go")
    page.locator("#status.wrong").wait_for()


def test_from_a_search_to_the_map(index: Path, serve, visit) -> None:
    keep_map(index)
    page = visit(serve() + "/?q=merge+rows")
    page.locator("#results li").first.wait_for()
    page.click("#map-link")
    page.locator("#hits li").first.wait_for()
    assert page.inner_text("h1") == "Map of index"
    assert "Joining" in page.locator("#hits li").first.inner_text()
    page.locator("#hits button").first.click()
    pinned = page.locator("#pinned")
    assert "Merge two rows on one key." in pinned.inner_text()
    assert "tables.md" in pinned.inner_text()
    page.keyboard.press("Escape")
    assert pinned.is_hidden()


def test_the_map_is_drawn_when_it_is_first_looked_at(serve, visit) -> None:
    page = visit(serve() + "/map")
    page.locator("#legend button").first.wait_for()
    assert "passages" in page.inner_text("#facts")


def test_a_key_opens_the_map(index: Path, serve, visit) -> None:
    keep_map(index)
    page = visit(serve(keys=["secret"]) + "/map")
    assert page.inner_text("#status") == "Give an API key."
    page.fill("#key", "secret")
    page.press("#key", "Enter")
    page.locator("#legend button").first.wait_for()


def test_the_map_in_one_file(index: Path, visit, tmp_path: Path) -> None:
    (tmp_path / "map.html").write_text(map_page(draw_map(index)))
    page = visit(f"file://{tmp_path}/map.html")
    page.locator("#legend button").first.wait_for()
    places = page.evaluate("passages.id.map((id, n) => screenOf(n))")
    box = page.locator("#canvas").bounding_box()
    assert all(0 < x < box["width"] and 0 < y < box["height"] for x, y in places)

    number = page.evaluate("passages.text.findIndex(text => text.includes('boat'))")
    x, y = places[number]
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.locator("#tip").wait_for()
    assert "A boat on the lake" in page.inner_text("#tip")
    page.mouse.down()
    page.mouse.up()
    assert "A boat on the lake" in page.inner_text("#pinned")
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    assert page.locator("#tip").is_hidden()

    # Zooming keeps what is under the pointer there; dragging takes it along.
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.wheel(0, -400)
    page.wait_for_function("view.zoom > 2")
    assert page.evaluate(f"screenOf({number})") == pytest.approx([x, y], abs=_ROUNDED)
    page.mouse.down()
    page.mouse.move(box["x"] + x + 40, box["y"] + y - 30)
    page.mouse.up()
    assert page.evaluate(f"screenOf({number})") == pytest.approx([x + 40, y - 30], abs=_ROUNDED)
    page.click("#all")
    assert page.evaluate(f"screenOf({number})") == pytest.approx([x, y], abs=0.01)

    page.fill("#query", "green water")
    page.press("#query", "Enter")
    page.locator("#hits li").first.wait_for()
    assert page.inner_text("#status").startswith("1 passages are ringed")
    page.fill("#query", "xyzzy")
    page.press("#query", "Enter")
    page.get_by_text("Nothing found on this map.").wait_for()

    page.select_option("#colour", "document")
    assert sorted(page.locator("#legend button span:nth-child(2)").all_inner_texts()) == [
        "Boats",
        "Tables",
        "Tea",
    ]
