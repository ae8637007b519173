import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router

from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load, save
from polyvec.encoders.two_tower import two_tower
from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive

QUERIES = ["a cat", "the house by the lake", "bread"]
DOCUMENTS = ["a small cat in the garden", "stone house", "bread and fish on the table"]


@pytest.fixture
def encoder(tiny_model):
    return tiny_model()


def towers_of(encoder, kind):
    if kind == "one":
        return two_tower(encoder, dim=8)
    if kind == "heads":
        return two_tower(encoder, dim=8, heads="separate")
    return two_tower(encoder, encoder, dim=8)


def vectors(model):
    return np.stack([encode(model, QUERIES, task="query"), encode(model, QUERIES, task="document")])


def test_the_vector_is_the_linear_layer_of_the_encoders(encoder):
    model = two_tower(encoder, dim=8)
    head = model[-1].linear
    expected = head(torch.from_numpy(encoder.encode(QUERIES)))
    assert np.allclose(model.encode(QUERIES), expected.detach(), atol=1e-6)
    assert model.get_embedding_dimension() == 8
    assert model.similarity_fn_name == "dot"


def test_the_encoder_given_is_not_changed_by_training(encoder):
    model = two_tower(encoder, dim=8)
    before = encoder.encode(QUERIES)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert np.array_equal(encoder.encode(QUERIES), before)
    assert len(encoder) == 2


def test_the_seed_decides_the_heads_and_leaves_other_draws_alone(encoder):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, again, other = (
        two_tower(encoder, dim=8, seed=seed).encode(QUERIES) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(2), expected)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("kind", ["one", "heads", "two"])
def test_queries_and_documents_differ_where_towers_or_heads_do(encoder, kind):
    query, document = vectors(towers_of(encoder, kind))
    assert np.allclose(query, document) == (kind == "one")


@pytest.mark.parametrize("kind", ["one", "heads", "two"])
def test_a_saved_folder_opens_here_and_in_sentence_transformers(encoder, kind, tmp_path):
    model = towers_of(encoder, kind)
    save(model, tmp_path)
    for opened in (load(tmp_path, "cpu"), SentenceTransformer(str(tmp_path), device="cpu")):
        assert np.allclose(vectors(opened), vectors(model), atol=1e-6)
        assert opened.similarity_fn_name == "dot"


def test_heads_share_the_encoder_also_when_they_are_opened_again(encoder, tmp_path):
    save(two_tower(encoder, dim=8, heads="separate"), tmp_path)
    routes = load(tmp_path, "cpu")[0].sub_modules
    assert routes["query"][0] is routes["document"][0]
    assert routes["query"][2] is not routes["document"][2]


def test_two_towers_are_both_trained(encoder):
    model = towers_of(encoder, "two")
    objective = Contrastive(
        model, 1.0, margin=None, similarity="dot", recompute=True, chunk_tokens=8
    )
    columns = [
        model.preprocess(QUERIES, task="query"),
        model.preprocess(DOCUMENTS, task="document"),
    ]
    objective(columns).backward()
    for route in ("query", "document"):
        assert model[0].sub_modules[route][2].linear.weight.grad.abs().sum() > 0


def test_what_is_not_said_to_be_a_query_is_a_document(encoder):
    model = towers_of(encoder, "two")
    assert np.allclose(model.encode(QUERIES), vectors(model)[1], atol=1e-6)


def test_training_refuses_columns_that_do_not_say_which_tower_they_take(encoder):
    model = towers_of(encoder, "two")
    with pytest.raises(BadInput, match="router_mapping"):
        Contrastive(model)([model.preprocess(QUERIES), model.preprocess(DOCUMENTS)])


def test_a_router_routes_no_router(encoder):
    with pytest.raises(BadInput, match="two towers of its own"):
        two_tower(towers_of(encoder, "two"))
    assert isinstance(towers_of(encoder, "two")[0], Router)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"dim": 0}, "^dim=0: give 1 or more"), ({"heads": "three"}, "give shared or separate")],
)
def test_settings_are_checked(encoder, options, says):
    with pytest.raises(BadInput, match=says):
        two_tower(encoder, **options)
