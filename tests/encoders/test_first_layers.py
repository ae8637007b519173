import numpy as np
import pytest
import torch

from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.loading import load, save
from polyvec.errors import BadInput

TEXTS = ["a cat in the garden", "bread"]


def layers_of(model):
    return model[0].auto_model.encoder.layer


def test_its_vectors_are_those_of_the_layer_where_it_ends(tiny_model):
    model = tiny_model()
    features = model.preprocess(TEXTS)
    inputs = {name: features[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        after_one = model[0].auto_model(**inputs, output_hidden_states=True).hidden_states[1]
        found = first_layers(model, 1)[0](dict(features))["token_embeddings"]
    assert torch.allclose(found, after_one, atol=1e-6)
    assert len(layers_of(model)) == 2


def test_fresh_layers_differ_by_seed_and_the_others_stay(tiny_model):
    model = tiny_model()
    one, again, other = (first_layers(model, 2, fresh=1, seed=seed) for seed in (1, 1, 2))
    kept, fresh = (
        [layers_of(found)[n].output.dense.weight for found in (one, again, other)] for n in (0, 1)
    )
    assert all(torch.equal(weight, layers_of(model)[0].output.dense.weight) for weight in kept)
    assert torch.equal(fresh[0], fresh[1])
    assert not torch.equal(fresh[0], fresh[2])
    assert not torch.equal(fresh[0], layers_of(model)[1].output.dense.weight)


def test_it_is_saved_as_small_as_it_is(tiny_model, tmp_path):
    small = first_layers(tiny_model(), 1)
    save(small, tmp_path / "small")
    opened = load(tmp_path / "small", "cpu")
    assert len(layers_of(opened)) == 1
    assert np.array_equal(opened.encode(TEXTS), small.encode(TEXTS))


@pytest.mark.parametrize(("layers", "fresh"), [(0, 0), (3, 0), (1, 2)])
def test_more_than_there_are_is_refused(tiny_model, layers, fresh):
    with pytest.raises(BadInput, match="of a model with 2: give 1 to 2"):
        first_layers(tiny_model(), layers, fresh=fresh)


def test_a_model_without_layers_is_refused():
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    static = StaticEmbedding(Tokenizer(WordLevel({"a": 0}, unk_token="a")), embedding_dim=4)
    with pytest.raises(BadInput, match="give a transformer"):
        first_layers(SentenceTransformer(modules=[static], device="cpu"), 1)
