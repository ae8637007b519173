from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyvec.encoders.token_batches import (
    Settings,
    _cut,
    batches_by_tokens,
    encode_parts,
    encode_window,
)


@pytest.mark.parametrize(
    ("lengths", "budget", "expected"),
    [
        ([], 8, []),
        ([3], 8, [[0]]),
        ([9], 8, [[0]]),  # longer than the budget: alone
        ([4, 4], 8, [[0, 1]]),  # exactly the budget
        ([4, 4, 4], 8, [[0, 1], [2]]),
        ([1, 5, 1, 1], 6, [[1], [0, 2, 3]]),  # 5 + 1 padded to 5 is 10
        ([2, 9, 4, 4], 8, [[1], [2, 3], [0]]),
        ([0, 0, 0], 2, [[0, 1], [2]]),  # an empty text counts as one token
    ],
)
def test_batches_by_tokens(lengths: list[int], budget: int, expected: list[list[int]]) -> None:
    batches = batches_by_tokens(np.array(lengths, dtype=np.int64), budget)
    assert [batch.tolist() for batch in batches] == expected


@given(st.lists(st.integers(0, 600), max_size=80), st.integers(1, 2000))
def test_every_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    counts = np.array(lengths, dtype=np.int64)
    batches = batches_by_tokens(counts, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * counts[batch].max() <= budget


@pytest.mark.parametrize("side", ["left", "right"])
def test_cut_takes_padding_away_on_either_side(side: str) -> None:
    ids = torch.tensor([[7, 8, 9, 4], [5, 6, 0, 0], [3, 0, 0, 0]])
    if side == "left":
        ids = ids.flip(1)
    features = {"input_ids": ids, "attention_mask": (ids > 0).long(), "modality": "text"}
    part = _cut(features, np.array([2, 1]))
    expected = torch.tensor([[3, 0], [5, 6]])
    assert part["input_ids"].tolist() == (expected.flip(1) if side == "left" else expected).tolist()
    assert part["attention_mask"].tolist() == (part["input_ids"] > 0).long().tolist()
    assert part["modality"] == "text"


def test_cut_leaves_one_column_of_nothing() -> None:
    mask = torch.zeros(2, 3, dtype=torch.long)
    assert _cut({"attention_mask": mask}, np.array([0]))["attention_mask"].shape == (1, 1)


def test_a_window_gives_vectors_and_tokens(tiny_model) -> None:
    model = tiny_model()
    texts = ["apple", "the cat is in the house", "rain " * 500]
    sizes: list[int] = []
    settings = Settings(torch.float32, 64, prompt="text: ")
    vectors, tokens = _in_order(encode_window(model, texts, settings, sizes.append))
    assert tokens.tolist() == [5, 10, 64]
    assert sum(sizes) == 3
    [expected] = encode_parts(model, [texts], settings, sizes.append)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_a_window_of_a_model_without_a_mask(tiny_model) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = tiny_model().tokenizer.backend_tokenizer
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    texts = ["apple", "a cat in a house", ""] * 20  # more than one batch
    sizes: list[int] = []
    settings = Settings(torch.float32, 64)
    vectors, tokens = _in_order(encode_window(model, texts, settings, sizes.append))
    assert tokens.tolist() == [1, 5, 0] * 20
    assert sizes == [32, 28]
    [expected] = encode_parts(model, [texts], settings, sizes.append)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def _in_order(batches) -> tuple[np.ndarray, np.ndarray]:
    rows, vectors, tokens = (np.concatenate(part) for part in zip(*batches, strict=True))
    order = np.argsort(rows)
    assert rows[order].tolist() == list(range(len(rows)))
    return vectors[order], tokens[order]
