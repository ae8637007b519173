import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from sentence_transformers.util.quantization import quantize_embeddings

from polyvec.encoders.encoding import encode_file
from polyvec.encoders.loading import save
from polyvec.encoders.quantised_vectors import FILE, Quantiser
from polyvec.errors import BadInput


def unit_vectors(rows=50, dims=20):
    found = np.random.default_rng(0).normal(size=(rows, dims)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_byte_by_hand():
    quantiser = Quantiser("int8", 1, (0.0,), (2.55,))
    stored = quantiser.encode(np.array([[0.0], [0.015], [1.28], [2.55], [9.0]], dtype=np.float32))
    assert stored.ravel().tolist() == [-128, -127, 0, 127, 127]
    # The middle of each step of 0.01.
    assert quantiser.decode(stored).ravel() == pytest.approx([0.005, 0.015, 1.285, 2.555, 2.555])


def test_bits_by_hand():
    quantiser = Quantiser("binary", 10)
    vector = np.array([[1, -1, 0.5, -0.5, 2, 0, -3, 4, 1, -1]], dtype=np.float32)
    stored = quantiser.encode(vector)
    assert stored.shape == (1, quantiser.bytes_per_vector) == (1, 2)
    assert quantiser.decode(stored).tolist() == [[1, -1, 1, -1, 1, -1, -1, 1, 1, -1]]


def test_the_bytes_are_those_of_sentence_transformers():
    vectors = unit_vectors()
    for kind in ("int8", "binary"):
        theirs = quantize_embeddings(vectors, kind)
        found = Quantiser.fit(kind, vectors).encode(vectors)
        assert found.dtype == np.int8
        assert np.array_equal(found, theirs)


def test_a_byte_keeps_nearly_all():
    vectors = unit_vectors()
    quantiser = Quantiser.fit("int8", vectors)
    again = quantiser.decode(quantiser.encode(vectors))
    assert np.abs(again - vectors).max() <= 0.5001 * (vectors.max(0) - vectors.min(0)).max() / 255
    assert quantiser.bytes_per_vector == 20


@pytest.mark.parametrize("kind", ["int8", "binary"])
def test_saved_and_read(kind, tmp_path):
    vectors = unit_vectors()
    quantiser = Quantiser.fit(kind, vectors)
    quantiser.save(tmp_path)
    found = Quantiser.of_folder(tmp_path)
    assert found == quantiser
    assert np.array_equal(found.encode(vectors), quantiser.encode(vectors))
    assert Quantiser.of_folder(tmp_path / "nowhere") is None


@pytest.mark.parametrize("kind", ["int8", "binary"])
@pytest.mark.parametrize("suffix", ["parquet", "npy"])
def test_encode_writes_what_the_folder_says(kind, suffix, tiny_model, tmp_path):
    texts = [f"the cat number {n} sat on a table" for n in range(10)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    model = tiny_model()
    vectors = model.encode(texts, normalize_embeddings=True)
    save(model, tmp_path / "model")
    quantiser = Quantiser.fit(kind, vectors)
    quantiser.save(tmp_path / "model")
    out = tmp_path / f"out.{suffix}"
    source = str(tmp_path / "texts.txt")
    encode_file(tmp_path / "model", source, out, device="cpu")
    if suffix == "npy":
        stored = np.load(out)
        job = json.loads((tmp_path / "out.ids.json").read_text())["job"]
    else:
        table = pq.read_table(out)
        stored = np.array(table["vector"].to_pylist(), dtype=np.int8)
        assert table.schema.field("vector").type.value_type == "int8"
        job = json.loads(table.schema.metadata[b"polyvec"])
    assert stored.dtype == np.int8
    assert stored.shape == (10, quantiser.bytes_per_vector)
    assert np.abs(stored.astype(int) - quantiser.encode(vectors)).max() <= 1
    assert job["quantised"] == quantiser.to_dict()
    # Queries stay float32.
    encode_file(tmp_path / "model", source, tmp_path / "q.npy", device="cpu", quantise=False)
    np.testing.assert_allclose(np.load(tmp_path / "q.npy"), model.encode(texts), atol=1e-5)


def test_bad_input(tiny_model, tmp_path):
    with pytest.raises(BadInput, match="quantise 'int4': give int8 or binary"):
        Quantiser.fit("int4", unit_vectors())
    with pytest.raises(BadInput, match="1 vectors to learn the range of int8 from"):
        Quantiser.fit("int8", unit_vectors(1))
    for wrong in ([], {"kind": "int8"}, {"kind": "int4", "dims": 3}, {"kind": "int8", "dims": 3}):
        (tmp_path / FILE).write_text(json.dumps(wrong))
        with pytest.raises(BadInput, match="not written by polyvec"):
            Quantiser.of_folder(tmp_path)
    (tmp_path / "texts.txt").write_text("a cat")
    save(tiny_model(), tmp_path / "model")
    Quantiser("binary", 8).save(tmp_path / "model")
    with pytest.raises(BadInput, match="of vectors with 8 numbers, and the model's have 32"):
        encode_file(tmp_path / "model", str(tmp_path / "texts.txt"), tmp_path / "o.npy")
