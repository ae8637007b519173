"""SMAE: losses by hand, what the decoder is told, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import TinyArchitecture
from torch.nn.functional import cross_entropy, gelu, layer_norm

from polyvec.encoders.layer_vectors import read_all_layers
from polyvec.errors import BadInput
from polyvec.objectives import smae
from polyvec.objectives.smae import SMAE, first_numbers
from polyvec.objectives.word_masking import IGNORED

TEXTS = [
    "a small cat sat in the old garden of the queen",
    "good music for the long night by the lake in the storm",
    "stones, boats and bread in the village",
]


@pytest.fixture
def model(tiny_architecture: TinyArchitecture) -> SentenceTransformer:
    return tiny_architecture("bert")[1]


def features_of(model: SentenceTransformer, texts: list[str]) -> dict[str, Any]:
    return dict(model.preprocess(texts))


def losses(objective: SMAE, texts: list[str] = TEXTS) -> dict[str, torch.Tensor]:
    objective._generator.manual_seed(3)
    return objective([features_of(objective.model, texts)])


def test_the_full_size_alone_by_hand(model):
    """(mlm + mae) / 2, written out with BERT's own modules."""
    objective = SMAE(model, sizes=[(2, 32)]).eval()
    found = losses(objective)
    objective._generator.manual_seed(3)
    features = features_of(model, TEXTS)
    (read, asked), (seen, rebuilt) = objective.hide(features["input_ids"])
    states = model({**features, "input_ids": read})["token_embeddings"]
    mlm = cross_entropy(objective.head(states).transpose(1, 2), asked, ignore_index=IGNORED)
    decoder_reads = objective.head.embed(seen).clone()
    decoder_reads[:, 0] = objective.head.transform(states[:, 0])
    real = features["attention_mask"].bool()
    visible = real[:, None].expand(-1, real.shape[1], -1)
    out = objective.head(objective.decoder(decoder_reads, decoder_reads, visible))
    mae = cross_entropy(out.transpose(1, 2), rebuilt, ignore_index=IGNORED)
    assert float(found["mlm"]) == pytest.approx(float(mlm) / 2, abs=1e-5)
    assert float(found["decoder"]) == pytest.approx(float(mae) / 2, abs=1e-5)


def test_losses_are_means_over_sizes(model):
    objective = SMAE(model, sizes=[(1, 8), (2, 16)]).eval()
    assert objective.sizes == [(1, 8), (2, 16), (2, 32)]
    whole = losses(objective)
    parts = []
    for size in list(objective.sizes):
        objective.sizes = [size]
        parts.append(losses(objective))
    for name, loss in whole.items():
        mean = sum(float(part[name]) for part in parts) / 3
        assert float(loss) == pytest.approx(mean, abs=1e-5)
    assert len({round(float(part["mlm"]), 5) for part in parts}) == 3


def test_a_size_cuts_the_columns_of_the_head_exactly(model):
    head = SMAE(model).head
    transform = head.transform[0].predictions.transform
    states = torch.randn(3, 5, 32)
    found = head.transform(first_numbers(states, 8))
    dense, norm = transform.dense, transform.LayerNorm
    cut = gelu(states[..., :8] @ dense.weight[:, :8].T + dense.bias)
    wanted = layer_norm(cut, (32,), norm.weight, norm.bias, norm.eps)
    assert torch.allclose(found, wanted, atol=1e-5)
    found.square().sum().backward()
    assert (dense.weight.grad[:, 8:] == 0).all()
    assert (dense.weight.grad[:, :8] != 0).any()


@pytest.mark.parametrize(
    ("place", "decoder_minds"),
    [((slice(None), slice(1, None)), False), ((slice(None), 0), True)],
)
def test_the_decoder_is_told_of_the_encoder_by_its_first_token_only(
    model, monkeypatch, place, decoder_minds
):
    objective = SMAE(model, sizes=[(1, 8)]).eval()
    objective.sizes = [(1, 8)]
    before = losses(objective)

    def changed(numbers):
        def read(given, features):
            found = read_all_layers(given, features)
            states = [state.clone() for state in found["all_layer_embeddings"]]
            states[1][place][..., numbers] += 1.0
            return {**found, "all_layer_embeddings": states}

        monkeypatch.setattr(smae, "read_all_layers", read)
        return losses(objective)

    kept = changed(slice(0, 8))
    assert torch.equal(kept["decoder"], before["decoder"]) != decoder_minds
    assert torch.equal(kept["mlm"], before["mlm"]) == decoder_minds
    # Numbers behind the size are no part of it.
    behind = changed(slice(8, 32))
    assert all(torch.equal(behind[name], loss) for name, loss in before.items())


def test_gradients_reach_the_encoder_through_the_bottleneck_and_the_decoder(model):
    objective = SMAE(model, sizes=[(1, 8)])
    objective.sizes = [(1, 8)]
    losses(objective)["decoder"].backward()
    first, second = model[0].auto_model.encoder.layer
    assert first.output.dense.weight.grad.abs().sum() > 0
    assert second.output.dense.weight.grad is None
    assert objective.decoder.query.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_the_decoder_starts_as_the_encoders_first_layer(tiny_architecture, kind):
    model = tiny_architecture(kind)[1]
    objective = SMAE(model).eval()
    features = features_of(model, TEXTS)
    given, after, *_ = read_all_layers(model, features)["all_layer_embeddings"]
    real = features["attention_mask"].bool()
    found = objective.decoder(given, given, real[:, None].expand(-1, real.shape[1], -1))
    assert torch.allclose(found[real], after[real], atol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "mpnet"])
def test_it_learns_with_every_known_architecture(tiny_architecture, kind):
    objective = SMAE(tiny_architecture(kind)[1], sizes=[(1, 16)])
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-3)
    seen = []
    for _ in range(15):
        loss = torch.stack(list(losses(objective).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert sum(seen[-3:]) < sum(seen[:3])


def test_what_the_encoder_does_not_see_the_decoder_does_not_either(model):
    objective = SMAE(model)
    ids = features_of(model, TEXTS)["input_ids"]
    (read, asked), (seen, rebuilt) = objective.hide(ids)
    assert ((rebuilt != IGNORED) | (asked == IGNORED)).all()
    assert (rebuilt != IGNORED).sum() > (asked != IGNORED).sum()
    for given, labels in ((read, asked), (seen, rebuilt)):
        assert torch.equal(given[labels == IGNORED], ids[labels == IGNORED])
        assert torch.equal(labels[labels != IGNORED], ids[labels != IGNORED])
    assert objective.skipped == 0


def test_texts_of_a_word_teach_nothing(model):
    objective = SMAE(model)
    found = losses(objective, ["cat", "dog"])
    assert {float(loss) for loss in found.values()} == {0.0}
    assert objective.skipped == 2


def test_starbucks_diagonal_is_the_default(model):
    assert SMAE(model).sizes == [(1, 32), (2, 32)]


def test_bad_input(model):
    with pytest.raises(BadInput, match=r"size \(3, 8\) of a model with 2 layers"):
        SMAE(model, sizes=[(3, 8)])
    with pytest.raises(BadInput, match=r"masks of 0\.4 and 0\.2: give the decoder's the larger"):
        SMAE(model, encoder_mask=0.4, decoder_mask=0.2)
    with pytest.raises(BadInput, match="give shares between 0 and 1"):
        SMAE(model, decoder_mask=1.5)
    model.max_seq_length = 200
    with pytest.raises(BadInput, match="the encoder has 64 positions"):
        losses(SMAE(model), ["cat " * 100])
