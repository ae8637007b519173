from io import StringIO

import pytest
import torch
from rich.console import Console

from polyvec.compression.cost import saved_bytes
from polyvec.compression.truncation import truncate
from polyvec.encoders.layer_vectors import layer_count
from polyvec.errors import BadInput
from polyvec.evaluation.exam import Exam, Task, mean_over_tasks
from polyvec.evaluation.frontier import STORED, by_size, frontier, grid, stored_as
from polyvec.evaluation.frontier_figure import frontier_picture
from polyvec.evaluation.tables import frontier_table

WORDS = ["cat", "dog", "fish", "bird", "boat", "house", "river", "stone", "garden", "moon", "road"]


@pytest.fixture(scope="module")
def exam():
    passages = {w: f"the {w} is near the old {WORDS[n - 1]}" for n, w in enumerate(WORDS)}
    queries = {f"q{w}": f"find a {w}" for w in WORDS}
    return Exam([Task("words", queries, passages, {f"q{w}": {w: 1} for w in WORDS})])


@pytest.fixture(scope="module")
def found(tiny_model, exam):
    return frontier({"tiny": tiny_model()}, [(1, 8), (2, 8), (1, 32)], exam)


def test_sizes_to_look_at():
    assert grid(6, 384) == [(n, d) for n in range(1, 7) for d in (32, 64, 128, 256, 384)]
    assert grid(1, 16) == [(1, 16)]
    assert max(grid(30, 576)) == (30, 576)


def test_every_size_with_every_way_of_storing(found):
    sizes = [(2, 32), (2, 8), (1, 32), (1, 8)]
    assert [(p["layers"], p["dims"], p["stored"]) for p in found["points"]] == [
        (*size, stored) for size in sizes for stored in STORED
    ]
    bytes_of = {
        (p["dims"], p["stored"]): p["vector_bytes"] for p in found["points"] if p["layers"] == 1
    }
    assert bytes_of == {
        **{(32, "float32"): 128, (32, "int8"): 32, (32, "binary"): 4},
        **{(8, "float32"): 32, (8, "int8"): 8, (8, "binary"): 1},
    }
    assert [list(row["stored"]) for row in by_size(found)] == [list(STORED)] * 4


def test_quality_is_that_of_the_model_that_is_really_cut(found, tiny_model, exam):
    for point in found["points"]:
        if point["stored"] == "float32":
            small = truncate(tiny_model(), layers=point["layers"], dims=point["dims"])
            wanted = mean_over_tasks(exam.score(exam.rank(small)))["ndcg@10"]
            assert point["quality"] == pytest.approx(wanted, abs=1e-9)


def test_bytes_are_those_of_the_model_that_is_really_cut(found, tiny_model):
    for point in found["points"]:
        small = truncate(tiny_model(), layers=point["layers"], dims=point["dims"])
        assert point["model_bytes"] == pytest.approx(saved_bytes(small), abs=10)


def test_changes_are_from_the_full_size(found):
    full = found["points"][0]
    assert full["change"] == {"value": 0, "low": 0, "high": 0, "p": 1.0}
    for point in found["points"]:
        assert point["change"]["value"] == pytest.approx(point["quality"] - full["quality"])


def test_best_are_those_that_nothing_beats(found):
    points = found["points"]
    for point in points:
        beaten = any(
            other["quality"] >= point["quality"]
            and other["layers"] <= point["layers"]
            and other["vector_bytes"] <= point["vector_bytes"]
            and (other["quality"], other["layers"], other["vector_bytes"])
            != (point["quality"], point["layers"], point["vector_bytes"])
            for other in points
        )
        assert point["best"] != beaten


def test_stored_vectors_are_what_bytes_stand_for():
    vectors = {"a": torch.tensor([0.6, -0.8]), "b": torch.tensor([-1.0, 0.0])}
    assert stored_as(vectors, "float32") is vectors
    bits = stored_as(vectors, "binary")
    assert bits["a"].tolist() == [1, -1]
    assert bits["b"].tolist() == [-1, -1]
    near = stored_as(vectors, "int8")
    assert torch.allclose(near["a"], vectors["a"], atol=1.6 / 255)


def test_without_an_exam_only_cost_is_measured(tiny_model):
    found = frontier({"tiny": tiny_model()}, [(1, 8)])
    assert [p["quality"] for p in found["points"]] == [None] * 6
    text = StringIO()
    Console(file=text, width=120).print(frontier_table(found))
    assert "32/8/1" in text.getvalue()
    assert "float32" not in text.getvalue()


def test_the_table_and_the_picture(found, tiny_model, exam, tmp_path):
    text = StringIO()
    Console(file=text, width=140).print(frontier_table(found, (1, 8)))
    assert "128/32/4" in text.getvalue()
    assert f"{100 * found['points'][0]['quality']:.1f}" in text.getvalue()
    frontier_picture(found, tmp_path / "grid.png")
    two = frontier({"adapted": tiny_model(), "base": tiny_model()}, [(1, 8), (2, 32)], exam)
    assert {point["model"] for point in two["points"]} == {"adapted", "base"}
    frontier_picture(two, tmp_path / "trained.png")
    for name in ("grid", "trained"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_size_that_is_not_there_is_refused(tiny_model):
    model = tiny_model()
    assert layer_count(model) == 2
    with pytest.raises(BadInput, match=r"size \(3, 8\): give 1 to 2 layers"):
        frontier({"tiny": model}, [(3, 8)])
    with pytest.raises(BadInput, match=r"size \(1, 33\): .* 1 to 32 dimensions"):
        frontier({"tiny": model}, [(1, 33)])
