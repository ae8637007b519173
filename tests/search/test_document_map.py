"""Maps of indexes: layout, filters, the page and the picture."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import WORDS

from polyvec.errors import BadInput
from polyvec.search.document_map import DocumentMap, draw_map
from polyvec.search.index import Index
from polyvec.search.map_page import map_data, map_page
from polyvec.search.map_picture import map_figure, map_picture
from polyvec.search.map_topics import Topic


@pytest.fixture
def index(docs: Path, model: Path, tmp_path: Path) -> Path:
    Index.build(tmp_path / "tea.index", str(docs), model=model)
    return tmp_path / "tea.index"


def test_a_small_index(index: Path) -> None:
    drawn = draw_map(index)
    rows = Index.open(index).rows()
    assert drawn.rows == rows
    assert (drawn.name, drawn.of) == ("tea.index", len(rows))
    assert drawn.places.shape == (len(rows), 2)
    assert np.abs(drawn.places).max() == pytest.approx(1, abs=0.05)
    assert drawn.topic.tolist() == [0] * len(rows)
    again = draw_map(index)
    np.testing.assert_array_equal(drawn.places, again.places)


def test_one_passage(index: Path) -> None:
    drawn = draw_map(index, where="document = 'boats.md'")
    assert [row["document"] for row in drawn.rows] == ["boats.md"]
    np.testing.assert_array_equal(drawn.places, [[0, 0]])
    assert "boat" in drawn.topics[0].label
    assert map_page(drawn)


def test_of_many_passages_some_are_drawn(index: Path) -> None:
    drawn = draw_map(index, most=2, seed=3)
    assert (len(drawn.rows), drawn.of) == (2, len(Index.open(index).rows()))
    assert drawn.rows == draw_map(index, most=2, seed=3).rows


def test_passages_without_a_known_word_are_left_out(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One\n\nA boat.\n\n# Two\n\nXyzzy.\n")
    Index.build(tmp_path / "i", str(tmp_path / "a.md"), model=model)
    assert [row["text"] for row in draw_map(tmp_path / "i").rows] == ["A boat."]
    assert len(draw_map(tmp_path / "i", where="kind = 'text'").rows) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"where": "document = 'no.md'"}, "no passage passes the filter"),
        ({"where": "kind ="}, "filter 'kind ='"),
        ({"most": 0}, "most = 0: give 1 or more"),
        ({"seed": -1}, "seed = -1: give 0 or more"),
    ],
)
def test_what_cannot_be_drawn(index: Path, options, sentence: str) -> None:
    with pytest.raises(BadInput, match=re.escape(sentence)):
        draw_map(index, **options)


def test_the_same_seed_gives_the_same_map(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("umap")
    words = [word for word in WORDS.split() if len(word) > 3]
    lines = [" ".join(words[n : n + 3]) + "." for n in range(0, 60, 2)]
    text = "".join(f"# Part {n}\n\n{line}\n\n" for n, line in enumerate(lines))
    (tmp_path / "a.md").write_text(text)
    Index.build(tmp_path / "i", str(tmp_path / "a.md"), model=model)
    first, second = draw_map(tmp_path / "i", seed=1), draw_map(tmp_path / "i", seed=1)
    assert len(first.rows) == 30
    np.testing.assert_array_equal(first.places, second.places)
    assert first.topics == second.topics
    assert not np.array_equal(first.places, draw_map(tmp_path / "i", seed=2).places)


def test_the_page_is_one_file_that_asks_nobody(index: Path) -> None:
    page = map_page(draw_map(index))
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page
    assert 'id="key"' not in page
    [inside] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    data = json.loads(inside)
    assert data["documents"][0] == {"id": "boats.md", "title": "Boats", "source": "docs"}
    assert set(map(len, data["passages"].values())) == {data["of"]}
    assert str(index.parent) not in page  # where things lie is told to nobody


def test_text_cannot_leave_its_place_in_the_page(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\nA boat `</script><script>alert(1)</script>` <!-- x.\n")
    Index.build(tmp_path / "i", str(tmp_path / "a.md"), model=model)
    page = map_page(draw_map(tmp_path / "i"))
    assert page.count("</script>") == 2
    assert "<script>alert" not in page


def test_labels_of_the_picture_do_not_cover_each_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    topic = rng.integers(2, 40, 400)
    topics = [
        Topic(f"some words, others {n}", min(n, n % 2), 40 - n, int(rng.integers(400)))
        for n in range(40)
    ]
    rows = [dict.fromkeys(("id", "document"), str(n)) for n in range(400)]
    drawn = DocumentMap("many", "minilm", 1, 500, rows, places, topics, topic)
    figure = map_figure(drawn)
    texts = figure.axes[0].texts
    assert 2 <= len(texts) < 40
    boxes = [text.get_window_extent() for text in texts]
    pairs = [(a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :]]
    assert not any(a.overlaps(b) for a, b in pairs)
    map_picture(drawn, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"


def test_data_names_no_folder_of_the_machine(index: Path) -> None:
    data = map_data(draw_map(index))
    assert {document["source"] for document in data["documents"]} == {"docs"}
    assert data["model"] == "bag"
