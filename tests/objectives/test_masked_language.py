"""Masked language modelling: the loss by hand, in transformers' own model, and over a few steps."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import TinyArchitecture
from torch.nn.functional import cross_entropy
from transformers import AutoModelForMaskedLM

from polyvec.encoders.language_head import LanguageHead
from polyvec.objectives.masked_language import MaskedLanguage, hide_words, word_loss
from polyvec.objectives.own_weights import load_own_weights, own_weights, save_own_weights
from polyvec.objectives.word_masking import IGNORED, WordMasker

TEXTS = ["a small cat sat in the old garden", "the river and the sea", "stones and boats"]


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "mpnet"])
def test_the_loss_is_that_of_transformers_own_model(
    tiny_architecture: TinyArchitecture, kind: str
) -> None:
    folder, model = tiny_architecture(kind)
    objective = MaskedLanguage(model, share=0.5, checkpoint=folder, seed=2).eval()
    features = dict(model.preprocess(TEXTS))
    generator = torch.Generator().manual_seed(2)
    hidden, labels = hide_words(objective.masker, features["input_ids"], 0.5, generator)
    whole = AutoModelForMaskedLM.from_pretrained(folder).eval()
    given = {n: v for n, v in features.items() if isinstance(v, torch.Tensor)}
    with torch.no_grad():
        expected = whole(**{**given, "input_ids": hidden}, labels=labels).loss
        found = objective([features])
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)


def test_word_loss_is_a_mean_over_labelled_tokens(tiny_architecture: TinyArchitecture) -> None:
    head = LanguageHead(tiny_architecture("bert")[1])
    vectors = torch.randn(2, 3, 32)
    labels = torch.tensor([[IGNORED, 7, IGNORED], [9, IGNORED, 12]])
    logits = head(vectors)
    by_hand = [cross_entropy(logits[r, c], labels[r, c]) for r, c in ((0, 1), (1, 0), (1, 2))]
    assert word_loss(head, vectors, labels).item() == pytest.approx(sum(by_hand).item() / 3)


def test_without_labels_the_loss_is_0_and_has_a_gradient(
    tiny_architecture: TinyArchitecture,
) -> None:
    head = LanguageHead(tiny_architecture("bert")[1])
    vectors = torch.randn(2, 3, 32, requires_grad=True)
    loss = word_loss(head, vectors, torch.full((2, 3), IGNORED))
    loss.backward()
    assert loss.item() == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_padding_is_never_hidden(tiny_architecture: TinyArchitecture) -> None:
    _, model = tiny_architecture("bert")
    features = model.preprocess(TEXTS)
    masker, generator = WordMasker(model.tokenizer), torch.Generator().manual_seed(0)
    hidden, labels = hide_words(masker, features["input_ids"], 0.9, generator)
    padding = features["attention_mask"] == 0
    assert padding.any()
    assert (labels[padding] == IGNORED).all()
    assert torch.equal(hidden[padding], features["input_ids"][padding])


def test_it_learns_and_what_it_learned_is_read_again(
    tiny_architecture: TinyArchitecture, tmp_path
) -> None:
    _, model = tiny_architecture("bert")
    objective = MaskedLanguage(model, share=0.3)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-2)
    features = dict(model.preprocess(TEXTS))
    losses = []
    for _ in range(30):
        loss = objective([dict(features)])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    save_own_weights(objective, tmp_path)
    again = MaskedLanguage(model, share=0.3, seed=1)
    vectors = torch.randn(4, 32)
    assert not torch.equal(again.head(vectors), objective.head(vectors))
    assert load_own_weights(again, tmp_path)
    assert torch.equal(again.head(vectors), objective.head(vectors))
    # What is tied to the encoder is not written beside it.
    assert "head.projection.weight" not in own_weights(objective)
