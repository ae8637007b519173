import pytest
import torch

from polyvec.encoders.decoder import decoder_encoder
from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.layer_vectors import LayerVectors, layer_count
from polyvec.errors import BadInput

TEXTS = ["a cat in the garden", "bread"]


def test_each_layer_gives_what_the_model_cut_there_gives(tiny_model):
    model = tiny_model()
    with torch.no_grad():
        found = LayerVectors(model, [1, 2])(model.preprocess(TEXTS))["sentence_embedding"]
    assert found.shape == (2, 64)
    for layer, part in zip((1, 2), found.split(32, dim=1), strict=True):
        cut = torch.from_numpy(first_layers(model, layer).encode(TEXTS))
        assert torch.allclose(part, cut, atol=1e-6)


def test_the_model_is_left_as_it_was(tiny_model):
    model = tiny_model()
    config = model[0].auto_model.config
    before = config.output_hidden_states
    LayerVectors(model, [1])(model.preprocess(TEXTS))
    assert config.output_hidden_states == before
    assert "all_layer_embeddings" not in model[0](model.preprocess(TEXTS))


def test_layers_that_are_not_there_are_refused(tiny_model):
    model = tiny_model()
    assert layer_count(model) == 2
    for layers in ([3], [-1], []):
        with pytest.raises(BadInput, match="of a model with 2: give numbers from 0 to 2"):
            LayerVectors(model, layers)


def test_a_final_norm_follows_every_layer(tiny_decoder_path):
    model = decoder_encoder(tiny_decoder_path)
    with torch.no_grad():
        torch.nn.init.normal_(model[0].auto_model.norm.weight)
        found = LayerVectors(model, [1, 3])(model.preprocess(TEXTS))["sentence_embedding"]
    for layer, part in zip((1, 3), found.split(32, dim=1), strict=True):
        cut = torch.from_numpy(first_layers(model, layer).encode(TEXTS))
        assert torch.allclose(torch.nn.functional.normalize(part, dim=1), cut, atol=1e-6)
