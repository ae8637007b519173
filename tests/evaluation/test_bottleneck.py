"""What goes through the vector: measured where nothing does, where everything does, and in batches."""

from __future__ import annotations

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import TinyArchitecture, TinyModel

from polyvec.encoders.small_encoder import small_encoder, word_pieces
from polyvec.errors import BadInput
from polyvec.evaluation.bottleneck import Bottleneck
from polyvec.objectives.retromae import RetroMAE
from polyvec.objectives.word_masking import IGNORED

TEXTS = [
    "a small cat sat in the old garden of the queen",
    "the river and the sea",
    "stones boats and bread",
    "good music for the long night by the lake in the storm",
    "one two three",
]


@pytest.fixture
def model(tiny_architecture: TinyArchitecture) -> SentenceTransformer:
    return tiny_architecture("bert")[1]


def test_an_untrained_decoder_gains_next_to_nothing(model: SentenceTransformer) -> None:
    found = Bottleneck(RetroMAE(model), TEXTS)(model)
    assert found.keys() == {"bottleneck_gain", "enc_acc", "dec_acc", "recall"}
    assert abs(found["bottleneck_gain"]) < 0.3
    assert 0 <= found["recall"] < 0.2


def test_a_vector_that_says_everything_gains_and_recalls(model, monkeypatch) -> None:
    """The decoder is replaced by one that reads the text's only word off its vector."""
    texts = ["cat cat cat cat", "sea sea sea sea", "dog dog dog dog"]
    objective = RetroMAE(model)
    told = torch.eye(3)

    class Read(torch.nn.Module):
        def forward(self, features):
            rows, length = features["input_ids"].shape
            vectors = torch.zeros(rows, length, 3)
            vectors[:, 0] = told[:rows]
            return {**features, "token_embeddings": vectors}

    features = model.preprocess(texts)
    words = features["input_ids"][:, 1]

    class Head(torch.nn.Module):
        def forward(self, vectors):
            logits = torch.zeros(len(vectors), len(model.tokenizer))
            logits[:, words] = 10 * vectors
            return logits

    def decode(given, sentences, *, share, generator):
        content = objective.masker.words(given["input_ids"]) < 0
        rebuilt = sentences[:, None].expand(-1, given["input_ids"].shape[1], -1)
        return rebuilt, given["input_ids"].masked_fill(content, IGNORED)

    reader = Read()
    reader.preprocess, reader.device = model.preprocess, model.device
    objective.model, objective.head = reader, Head()
    monkeypatch.setattr(objective, "decode", decode)
    found = Bottleneck(objective, texts)(reader)
    assert found["recall"] == found["dec_acc"] == 1
    # Right or wrong by a logit of 10, the same normaliser: the swap costs 10 nats a token.
    assert found["bottleneck_gain"] == pytest.approx(10, abs=1e-4)


def test_a_trained_decoder_uses_the_vector() -> None:
    pieces = word_pieces(TEXTS, 150)
    model = small_encoder(pieces, layers=1, hidden=64, length=32, seed=0, pooling="cls")
    objective = RetroMAE(model)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    measure = Bottleneck(objective, TEXTS, batch=3)
    before = measure(model)
    for _ in range(100):
        losses = objective([dict(model.preprocess(TEXTS))])
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    after = measure(model)
    assert after["bottleneck_gain"] > before["bottleneck_gain"] + 1
    assert after["dec_acc"] > before["dec_acc"]
    assert after["recall"] > before["recall"]


def test_measuring_changes_nothing_and_repeats(model: SentenceTransformer) -> None:
    objective = RetroMAE(model, seed=3).train()
    state = objective._generator.get_state()
    measure = Bottleneck(objective, TEXTS)
    assert measure(model) == measure(model)
    assert torch.equal(objective._generator.get_state(), state)
    assert objective.training
    assert model.training
    assert measure(model)[measure.primary_metric] == measure(model)["bottleneck_gain"]


def test_a_text_left_over_goes_to_the_batch_before(model: SentenceTransformer) -> None:
    sizes = [
        len(features["input_ids"])
        for features in Bottleneck(RetroMAE(model), TEXTS, batch=2)._batches(model)
    ]
    assert sizes == [2, 3]


def test_texts_and_models_that_make_no_sense(model, tiny_model: TinyModel) -> None:
    with pytest.raises(BadInput, match="1 texts in batches of 64: give two or more"):
        Bottleneck(RetroMAE(model), TEXTS[:1])
    with pytest.raises(BadInput, match="the model is not the objective's"):
        Bottleneck(RetroMAE(model), TEXTS)(tiny_model())
