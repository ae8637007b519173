import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    Transformer,
    WeightedLayerPooling,
)
from torch.nn.functional import normalize

from polyvec.compression.truncation import truncate
from polyvec.encoders.layer_vectors import LayerVectors
from polyvec.encoders.loading import save
from polyvec.errors import BadInput

TEXTS = ["a cat in the garden", "bread", "the long road to the sea and the old house"]
ARCHITECTURES = ("bert", "roberta", "distilbert", "mpnet", "modernbert")
PRE_NORM = ("llama", "qwen2", "gemma3_text", "modernbert")


@pytest.fixture(scope="module")
def pre_norm(tmp_path_factory, tiny_model_path):
    """A factory: a tiny decoder of an architecture, three layers, norms that are not 1, unit vectors."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    def make(kind):
        tokenizer = AutoTokenizer.from_pretrained(tiny_model_path)
        config = AutoConfig.for_model(
            kind,
            vocab_size=len(tokenizer),
            pad_token_id=0,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=64,
            **({"cls_token_id": 2, "sep_token_id": 3} if kind == "modernbert" else {}),
        )
        with torch.random.fork_rng():
            torch.manual_seed(1)
            body = AutoModel.from_config(config)
            for weight in body.parameters():
                torch.nn.init.normal_(weight, std=0.3)
        folder = tmp_path_factory.mktemp(kind)
        body.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        modules = [Transformer(str(folder), max_seq_length=48), Pooling(32, "mean"), Normalize()]
        return SentenceTransformer(modules=modules, device="cpu").eval()

    return make


def cut_by_hand(model, layer, dims):
    """Vectors after a layer of the full model, its first numbers, unit length where it normalises."""
    with torch.no_grad():
        vectors = LayerVectors(model, [layer])(model.preprocess(TEXTS))["sentence_embedding"]
    vectors = vectors[:, :dims]
    return (normalize(vectors, dim=1) if isinstance(model[-1], Normalize) else vectors).numpy()


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_it_gives_the_vectors_of_the_full_model_cut_there(tiny_architecture, kind, tmp_path):
    _, model = tiny_architecture(kind)
    for number, (layers, dims) in enumerate(((1, 8), (2, 8), (1, 32), (2, 32))):
        small = truncate(model, layers=layers, dims=dims)
        wanted = cut_by_hand(model, layers, dims)
        np.testing.assert_allclose(small.encode(TEXTS), wanted, atol=1e-6)
        save(small, tmp_path / str(number))
        plain = SentenceTransformer(str(tmp_path / str(number)), device="cpu")
        np.testing.assert_allclose(plain.encode(TEXTS), wanted, atol=1e-6)
        assert plain.get_embedding_dimension() == dims


@pytest.mark.parametrize("kind", PRE_NORM)
def test_the_final_norm_of_a_pre_norm_model_is_kept(pre_norm, kind, tmp_path):
    model = pre_norm(kind)
    for layers in (1, 2, 3):
        small = truncate(model, layers=layers, dims=8)
        wanted = cut_by_hand(model, layers, 8)
        np.testing.assert_allclose(small.encode(TEXTS), wanted, atol=1e-6)
        save(small, tmp_path / str(layers))
        plain = SentenceTransformer(str(tmp_path / str(layers)), device="cpu")
        np.testing.assert_allclose(plain.encode(TEXTS), wanted, atol=1e-6)
        assert plain[0].auto_model.config.num_hidden_layers == layers


def test_the_vector_of_a_layer_is_after_the_final_norm_by_hand(pre_norm):
    model = pre_norm("llama")
    body = model[0].auto_model
    features = model.preprocess(TEXTS[:1])
    inputs = {name: features[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        states = body(**inputs, output_hidden_states=True).hidden_states[1]
        wanted = normalize(body.norm(states).mean(dim=1), dim=1)
        without = normalize(states.mean(dim=1), dim=1)
    found = truncate(model, layers=1).encode(TEXTS[:1])
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)
    assert np.abs(found - without.numpy()).max() > 1e-3


def test_layers_are_really_removed(tiny_model, tmp_path):
    model = tiny_model()
    small = truncate(model, layers=1)
    assert sum(w.numel() for w in small.parameters()) < sum(w.numel() for w in model.parameters())
    save(small, tmp_path / "small")
    assert json.loads((tmp_path / "small/config.json").read_text())["num_hidden_layers"] == 1
    names = [record["type"] for record in json.loads((tmp_path / "small/modules.json").read_text())]
    assert all(name.startswith("sentence_transformers.") for name in names)


def test_the_model_given_is_left_as_it_was(tiny_model):
    model = tiny_model()
    before = model.encode(TEXTS)
    truncate(model, layers=1, dims=4)
    assert np.array_equal(model.encode(TEXTS), before)
    assert len(model) == 2


def test_vectors_get_unit_length_only_where_the_model_gives_it(tiny_model):
    model = tiny_model()
    loose = truncate(model, dims=8).encode(TEXTS)
    assert np.array_equal(loose, model.encode(TEXTS)[:, :8])
    model.append(Normalize())
    small = truncate(model, dims=8)
    np.testing.assert_allclose(np.linalg.norm(small.encode(TEXTS), axis=1), 1, atol=1e-6)
    assert isinstance(small[-1], Normalize)


def test_prompts_and_other_settings_stay(tiny_model):
    model = tiny_model()
    model.prompts = {"query": "find: "}
    model.max_seq_length = 17
    small = truncate(model, layers=1, dims=8)
    assert small.prompts == {"query": "find: "}
    assert small.max_seq_length == 17
    assert small.similarity_fn_name == model.similarity_fn_name


def test_cutting_again_adds_no_second_module(tiny_model):
    once = truncate(tiny_model(), dims=16)
    twice = truncate(once, dims=8)
    assert len(twice) == len(once) == 3
    assert np.array_equal(twice.encode(TEXTS), once.encode(TEXTS)[:, :8])
    with pytest.raises(BadInput, match="dims=17: give 1 to 16"):
        truncate(once, dims=17)


def test_a_linear_layer_loses_rows(tiny_model):
    model = tiny_model()
    model.append(Dense(32, 24))
    wanted = normalize(torch.from_numpy(model.encode(TEXTS)[:, :6]), dim=1)
    model.append(Normalize())
    small = truncate(model, dims=6)
    assert len(small) == len(model)
    np.testing.assert_allclose(small.encode(TEXTS), wanted.numpy(), atol=1e-6)
    assert model[2].out_features == 24


def test_vectors_that_were_cut_by_truncate_dim_count_as_they_are(tiny_model):
    model = tiny_model()
    model.truncate_dim = 16
    with pytest.raises(BadInput, match="dims=20: give 1 to 16"):
        truncate(model, dims=20)
    assert truncate(model, dims=16).encode(TEXTS).shape == (3, 16)
    assert truncate(model, layers=1).encode(TEXTS).shape == (3, 16)


def test_bad_input(tiny_model):
    model = tiny_model()
    for layers in (0, 3):
        with pytest.raises(BadInput, match=f"layers={layers}: give 1 to 2"):
            truncate(model, layers=layers)
    for dims in (0, 33):
        with pytest.raises(BadInput, match=f"dims={dims}: give 1 to 32"):
            truncate(model, dims=dims)
    weighted = SentenceTransformer(
        modules=[model[0], WeightedLayerPooling(32, num_hidden_layers=2), Pooling(32)], device="cpu"
    )
    with pytest.raises(BadInput, match="reads every layer"):
        truncate(weighted, layers=1)


def test_all_of_it_is_the_same_model(tiny_model):
    model = tiny_model()
    assert np.array_equal(truncate(model, layers=2, dims=32).encode(TEXTS), model.encode(TEXTS))
