"""Two halves of a vector: by hand, at a stated budget, and the same after saving."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import TinyArchitecture, TinyModel

from polyvec.encoders.duplex_pooling import (
    DuplexPooling,
    DuplexVectors,
    duplex_model,
    duplex_similarity,
    duplex_vectors,
)
from polyvec.encoders.encoding import encode
from polyvec.encoders.language_head import LanguageHead
from polyvec.encoders.loading import load, save
from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive

TEXTS = [
    "a small cat sat in the old garden of the queen",
    "the river and the sea",
    "cat",
    "good music for the long night by the lake in the storm",
]


@pytest.fixture
def model(tiny_architecture: TinyArchitecture) -> SentenceTransformer:
    _, model = tiny_architecture("bert")
    return duplex_model(model, LanguageHead(model), cls_dim=8, budget_floats=20)


def test_both_halves_by_hand() -> None:
    pooling = DuplexPooling(2, 5, cls_dim=1, ot_topk=2, unit_halves=False)
    with torch.no_grad():
        pooling.narrow.weight.copy_(torch.tensor([[3.0, 1.0]]))
    # [CLS] (1, 2), two ordinary tokens, [SEP], padding; the words see the two in the middle only.
    vectors = torch.tensor([[[1.0, 2.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0], [7.0, 7.0]]])
    logits = torch.tensor([[1.0, -2.0, 0.5, 4.0, 0.0], [3.0, -1.0, 0.25, -4.0, 0.0]])
    pooling.words.transform = lambda given: given
    with torch.no_grad():
        pooling.words.projection.weight.copy_(logits.T)
        pooling.words.projection.bias.zero_()
    features = {"token_embeddings": vectors, "attention_mask": torch.tensor([[1, 1, 1, 1, 0]])}
    found = pooling(features)
    assert found["cls_embedding"].tolist() == [[5.0]]  # 3 · 1 + 1 · 2
    # Largest logits: 3, -1, 0.5, 4, 0; two are kept.
    assert found["word_ids"].tolist() == [[3, 0]]
    assert found["word_values"].tolist() == [[4.0, 3.0]]
    assert found["sentence_embedding"].tolist() == [[5.0, 3.0, 0.0, 0.0, 4.0, 0.0]]
    pooling.unit_halves = True
    half = 0.5**0.5
    expected = [half, 0.6 * half, 0, 0, 0.8 * half, 0]
    assert pooling(features)["sentence_embedding"][0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("none", [-1.0, 3.0]), ("relu", [0.0, 3.0]), ("log1p", [0.0, 1.3863])],
)
def test_activations(activation: Any, expected: list[float]) -> None:
    pooling = DuplexPooling(2, 2, cls_dim=0, ot_topk=2, ot_activation=activation, unit_halves=False)
    pooling.words.forward = lambda vectors, counted: torch.tensor([[-1.0, 3.0]])
    features = {"token_embeddings": torch.zeros(1, 3, 2), "attention_mask": torch.ones(1, 3)}
    assert pooling(features)["sentence_embedding"][0].tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("given", "words", "floats"),
    [
        ({"cls_dim": 384, "budget_floats": 768}, 256, 768),
        ({"cls_dim": 384, "ot_topk": 260}, 260, 774),
        ({"cls_dim": 0, "budget_floats": 192}, 128, 192),
        ({"cls_dim": 96, "budget_floats": 192}, 64, 192),
        ({"cls_dim": 192, "budget_floats": 192}, 0, 192),
        ({"cls_dim": 96, "budget_floats": 192, "vocabulary": 70_000}, 48, 192),
    ],
)
def test_a_budget_is_shared_between_the_halves(
    given: dict[str, Any], words: int, floats: float
) -> None:
    with torch.device("meta"):
        pooling = DuplexPooling(**{"width": 768, "vocabulary": 8000, **given})
    assert pooling.ot_topk == words
    assert pooling.floats == floats


def test_stored_vectors_take_what_was_stated(model: SentenceTransformer) -> None:
    stored = duplex_vectors(model, TEXTS, batch=3)
    assert model[1].floats == 20
    assert stored.nbytes == len(TEXTS) * 20 * 4
    assert stored.ids.dtype == torch.uint16
    assert stored.ids.shape == stored.values.shape == (4, 8)


def test_stored_vectors_score_as_the_long_ones(model: SentenceTransformer) -> None:
    stored = duplex_vectors(model, TEXTS, batch=3)
    long = model.encode(TEXTS, convert_to_tensor=True)
    assert long.shape == (4, model.get_embedding_dimension())
    assert torch.allclose(duplex_similarity(stored, stored), long @ long.T, atol=1e-5)
    assert torch.allclose(model.similarity(long, long), long @ long.T)
    assert torch.allclose(duplex_similarity(stored, stored).diagonal(), torch.ones(4), atol=1e-5)


def test_words_that_only_one_keeps_do_not_count() -> None:
    one = DuplexVectors(
        torch.tensor([[2.0]]), torch.tensor([[0, 1]]), torch.tensor([[3.0, 5.0]]), 9
    )
    two = DuplexVectors(
        torch.tensor([[4.0]]), torch.tensor([[8, 1]]), torch.tensor([[7.0, 2.0]]), 9
    )
    assert duplex_similarity(one, two).tolist() == [[2 * 4 + 5 * 2]]


@pytest.mark.parametrize("cls_dim", [0, 20])
def test_one_half_may_be_left_out(tiny_architecture: TinyArchitecture, cls_dim: int) -> None:
    _, model = tiny_architecture("bert")
    made = duplex_model(model, LanguageHead(model), cls_dim=cls_dim, budget_floats=20)
    stored = duplex_vectors(made, TEXTS)
    assert stored.cls.shape[1] == cls_dim
    assert stored.values.shape[1] == (0 if cls_dim else 13)
    long = made.encode(TEXTS, convert_to_tensor=True)
    assert torch.allclose(long.norm(dim=1), torch.ones(4), atol=1e-5)
    assert torch.allclose(duplex_similarity(stored, stored), long @ long.T, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "mpnet"])
def test_words_are_those_of_the_head(tiny_architecture: TinyArchitecture, kind: str) -> None:
    folder, model = tiny_architecture(kind)
    head = LanguageHead(model, checkpoint=folder)
    made = duplex_model(model, head, cls_dim=0, ot_topk=5, ot_activation="none", unit_halves=False)
    with torch.no_grad():
        features = model.preprocess(TEXTS[:1])
        logits = head(model(dict(features))["token_embeddings"])[0, 1:-1]
        found = made(dict(features))
    values, ids = logits.amax(dim=0).topk(5)
    assert found["word_ids"][0].tolist() == ids.tolist()
    assert torch.allclose(found["word_values"][0], values, atol=1e-4)


def test_padding_on_either_side_and_other_texts_change_nothing(model: SentenceTransformer) -> None:
    alone = torch.cat([model.encode([text], convert_to_tensor=True) for text in TEXTS])
    assert torch.allclose(model.encode(TEXTS, convert_to_tensor=True), alone, atol=1e-5)
    assert torch.allclose(torch.from_numpy(encode(model, TEXTS)), alone, atol=1e-5)
    vectors = model[0](model.preprocess(TEXTS[:1]))["token_embeddings"]
    ones = torch.ones(vectors.shape[:2], dtype=torch.long)
    expected = model[1]({"token_embeddings": vectors, "attention_mask": ones})
    for side in ((0, 3), (3, 0)):
        padded = model[1](
            {
                "token_embeddings": torch.nn.functional.pad(vectors, (0, 0, *side), value=5.0),
                "attention_mask": torch.nn.functional.pad(ones, side),
            }
        )
        found, wanted = padded["sentence_embedding"], expected["sentence_embedding"]
        assert torch.allclose(found, wanted, atol=1e-6)


def test_saved_and_opened_it_gives_the_same_vectors(model: SentenceTransformer, tmp_path) -> None:
    save(model, tmp_path)
    opened = load(tmp_path, "cpu")
    assert isinstance(opened[1], DuplexPooling)
    assert (opened.encode(TEXTS) == model.encode(TEXTS)).all()
    assert opened.similarity_fn_name == "dot"
    assert duplex_vectors(opened, TEXTS).nbytes == len(TEXTS) * 80


def test_both_halves_learn_from_pairs(model: SentenceTransformer) -> None:
    objective = Contrastive(model)
    columns = [model.preprocess(TEXTS), model.preprocess(list(reversed(TEXTS)))]
    objective(columns).backward()
    pooling = model[1]
    for weight in (pooling.narrow.weight, pooling.words.projection.weight):
        assert weight.grad.any()
    # Words that are not kept get no gradient.
    kept = duplex_vectors(model, TEXTS).ids.long().unique()
    moved = pooling.words.projection.bias.grad.nonzero()[:, 0]
    assert set(moved.tolist()) <= set(kept.tolist())


def test_a_text_of_special_tokens_only_has_a_vector(model: SentenceTransformer) -> None:
    assert torch.isfinite(model.encode("", convert_to_tensor=True)).all()


def test_the_seed_decides_the_projection(tiny_architecture: TinyArchitecture) -> None:
    _, model = tiny_architecture("bert")
    head, state = LanguageHead(model), torch.get_rng_state()
    made = [duplex_model(model, head, cls_dim=4, ot_topk=4, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (one[1].narrow.weight for one in made)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.allclose(first @ first.T, torch.eye(4), atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cls_dim": 0, "ot_topk": 0}, "0 dense numbers and 0 words: give up to 8 and 50, not 0"),
        ({"cls_dim": 9}, "9 dense numbers and 384 words: give up to 8 and 50"),
        ({"cls_dim": 8, "budget_floats": 6}, "8 dense numbers and -1 words"),
        ({"cls_dim": 4, "ot_topk": 4, "ot_activation": "tanh"}, "activation 'tanh': give 'relu'"),
    ],
)
def test_halves_that_make_no_sense(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        DuplexPooling(8, 50, **given)


def test_models_of_another_kind_are_refused(
    model: SentenceTransformer, tiny_model: TinyModel
) -> None:
    with pytest.raises(BadInput, match="4 texts and a model that ends in Pooling"):
        duplex_vectors(tiny_model(), TEXTS)
    with pytest.raises(BadInput, match="0 texts and a model that ends in DuplexPooling"):
        duplex_vectors(model, [])
    head = LanguageHead(tiny_model())
    head.transform.append(torch.nn.Tanh())
    with pytest.raises(BadInput, match="the head is not a layer, GELU and a norm"):
        duplex_model(tiny_model(), head, cls_dim=4, ot_topk=4)
