"""Encoders that are made, not opened: a learned vocabulary, and weights that follow the seed."""

from __future__ import annotations

from pathlib import Path

import torch

from polyvec.encoders.loading import load, save
from polyvec.encoders.small_encoder import small_encoder, word_pieces

TEXTS = ["The cats sat by the river.", "Rivers run to the sea, and boats with them."] * 20


def test_a_vocabulary_is_learned_from_the_texts() -> None:
    tokenizer = word_pieces(TEXTS, size=120)
    assert len(tokenizer) <= 120
    assert tokenizer.tokenize("The RIVER") == ["the", "river"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("boats")["input_ids"]) == [
        "[CLS]",
        "boats",
        "[SEP]",
    ]
    assert tokenizer.mask_token == "[MASK]"
    assert tokenizer.convert_tokens_to_ids(tokenizer.tokenize("日"))[0] == tokenizer.unk_token_id


def test_pairs_of_texts_have_a_separator_between_them() -> None:
    tokenizer = word_pieces(TEXTS, size=120)
    ids = tokenizer("the sea", "the river")["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens == ["[CLS]", "the", "sea", "[SEP]", "the", "river", "[SEP]"]


def test_the_seed_decides_and_nothing_else() -> None:
    tokenizer = word_pieces(TEXTS, size=120)
    sizes = {"layers": 1, "hidden": 64, "length": 32}
    state = torch.get_rng_state()
    first = small_encoder(tokenizer, **sizes, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    again, other = (small_encoder(tokenizer, **sizes, seed=seed) for seed in (3, 4))
    vectors = [model.encode(TEXTS[:2]) for model in (first, again, other)]
    assert (vectors[0] == vectors[1]).all()
    assert not (vectors[0] == vectors[2]).all()


def test_sizes_are_those_asked_for() -> None:
    model = small_encoder(
        word_pieces(TEXTS, size=120), layers=3, hidden=96, length=16, seed=0, pooling="cls"
    )
    config = model[0].auto_model.config
    assert (config.num_hidden_layers, config.num_attention_heads) == (3, 3)
    assert (config.hidden_size, config.intermediate_size) == (96, 384)
    assert model.max_seq_length == 16
    features = model.preprocess(["the sea " * 40])
    assert features["input_ids"].shape == (1, 16)
    out = model(features)
    assert torch.equal(out["sentence_embedding"], out["token_embeddings"][:, 0])


def test_saved_and_opened_it_gives_the_same_vectors(tmp_path: Path) -> None:
    model = small_encoder(word_pieces(TEXTS, size=120), layers=1, hidden=32, length=32, seed=0)
    save(model, tmp_path / "model")
    opened = load(tmp_path / "model", "cpu")
    assert (opened.encode(TEXTS[:2]) == model.encode(TEXTS[:2])).all()
