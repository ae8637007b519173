import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from polyvec.adaptation.shrink import shrink
from polyvec.compression.truncation import truncate
from polyvec.data.beir import write_beir
from polyvec.encoders.quantised_vectors import Quantiser
from polyvec.errors import BadInput

WORDS = [
    "cat",
    "dog",
    "fish",
    "bird",
    "boat",
    "house",
    "river",
    "stone",
    "garden",
    "moon",
    "music",
    "road",
]


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beir")
    corpus = {word: ("", f"the {word} is near the river") for word in WORDS}
    queries = {f"q{word}": f"find a {word}" for word in WORDS}
    write_beir(folder, corpus, queries, {f"q{word}": {word: 1} for word in WORDS})
    return folder


@pytest.fixture(scope="module")
def smaller(tiny_model_path, exam, tmp_path_factory):
    out = tmp_path_factory.mktemp("smaller")
    found = shrink(
        tiny_model_path, layers=1, dims=16, quantise="int8", on=exam, out=out, device="cpu"
    )
    return out, found


def test_the_model_that_was_asked_for_is_written(smaller, tiny_model):
    out, found = smaller
    plain = SentenceTransformer(str(out / "model"), device="cpu")
    wanted = truncate(tiny_model(), layers=1, dims=16).encode(WORDS)
    np.testing.assert_allclose(plain.encode(WORDS), wanted, atol=1e-6)
    assert found["written"] == {"layers": 1, "dims": 16, "quantise": "int8"}
    assert Quantiser.of_folder(out / "model").dims == 16
    assert {path.name for path in out.iterdir()} == {"model", "frontier.json", "frontier.png"}


def test_the_frontier_holds_the_usual_sizes_and_this_one(smaller):
    out, found = smaller
    assert json.loads((out / "frontier.json").read_text()) == found
    sizes = {(point["layers"], point["dims"]) for point in found["points"]}
    assert sizes == {(1, 32), (2, 32), (1, 16)}


def test_without_a_size_no_model_is_written(tiny_model_path, exam, tmp_path):
    found = shrink(tiny_model_path, on=exam, out=tmp_path, device="cpu")
    assert found["written"] is None
    assert {path.name for path in tmp_path.iterdir()} == {"frontier.json", "frontier.png"}


def test_without_an_exam_the_model_is_written_and_its_cost_measured(tiny_model_path, tmp_path):
    found = shrink(tiny_model_path, dims=8, quantise="binary", out=tmp_path, device="cpu")
    assert {path.name for path in tmp_path.iterdir()} == {"model", "frontier.json"}
    assert all(point["quality"] is None for point in found["points"])
    assert Quantiser.of_folder(tmp_path / "model") == Quantiser("binary", 8)
    # Another size takes its place, and leaves nothing of it behind.
    shrink(tiny_model_path, layers=1, out=tmp_path, device="cpu")
    assert Quantiser.of_folder(tmp_path / "model") is None
    assert SentenceTransformer(str(tmp_path / "model"), device="cpu").encode("a").shape == (32,)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give an exam to measure sizes on"),
        ({"layers": 3}, "layers=3: give 1 to 2"),
        ({"dims": 40}, "dims=40: give 1 to 32"),
        ({"layers": 0}, "layers=0: give 1 to 2"),
        ({"quantise": "int4"}, "quantise 'int4': give int8 or binary"),
        ({"quantise": "int8"}, "int8 learns the range"),
        ({"on": "nowhere"}, "nowhere: no exam there"),
    ],
)
def test_bad_input(options, sentence, tiny_model_path, tmp_path):
    with pytest.raises(BadInput, match=sentence):
        shrink(tiny_model_path, **options, out=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
