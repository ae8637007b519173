"""Chunks, and chunks computed twice, give the gradient of the whole batch, whatever terms the objective has."""

import pytest
import torch
from torch import nn

from polyvec.errors import BadInput
from polyvec.objectives.chunked_embedding import embed_in_chunks, refuse_unrepeatable
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.objectives.progressive_weight import Curricular
from polyvec.objectives.soft_labels import SoftLabels

ANCHORS = [
    "a cat",
    "the old stone house by the lake",
    "run",
    "bread and fish on the table",
    "queen",
]
POSITIVES = [
    "a small cat sat in the garden of the queen, near the river, and slept in the sun all day long",
    "stone house",
    "to walk fast",
    "good food",
    "the woman who rules, and who lives in the big stone house with many doors; the king is away",
]
NEGATIVES = ["a dog", "wood house by the sea, all alone in the storm", "sleep", "bad food", "king"]


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model().eval()


def features_of(model, *columns):
    return [model.preprocess(list(column)) for column in columns]


def gradients(objective, *columns, labels=None, seed=None):
    objective.model.zero_grad()
    if seed is not None:
        torch.manual_seed(seed)
    loss = objective(features_of(objective.model, *columns), labels)
    loss.backward()
    return loss.item(), {
        n: p.grad.clone() for n, p in objective.model.named_parameters() if p.grad is not None
    }


def assert_same(found, expected, tolerance=1e-5):
    (loss, grads), (expected_loss, expected_grads) = found, expected
    assert loss == pytest.approx(expected_loss, abs=tolerance)
    assert grads.keys() == expected_grads.keys()
    for name, gradient in grads.items():
        assert torch.allclose(gradient, expected_grads[name], atol=tolerance), name


@pytest.mark.parametrize("chunk_tokens", [1, 13, 40, 70, 8192])
@pytest.mark.parametrize("recompute", [False, True])
def test_chunks_and_recomputing_change_neither_loss_nor_gradients(model, chunk_tokens, recompute):
    labels = torch.tensor([0, 1, 2, 1, 3])
    plain = MaskedReference(model)
    chunked = Contrastive(model, chunk_tokens=chunk_tokens, recompute=recompute)
    columns = ANCHORS, POSITIVES, NEGATIVES
    assert_same(
        gradients(chunked, *columns, labels=labels), gradients(plain, *columns, labels=labels)
    )


class MaskedReference(Contrastive):
    """The same loss of vectors, embedded in one padded pass as sentence-transformers does it."""

    def embed(self, features):
        return self.model(features)["sentence_embedding"]


def test_recomputing_replays_dropout(tiny_model):
    model = tiny_model().train()
    columns = ANCHORS, POSITIVES
    plain = gradients(Contrastive(model, chunk_tokens=40), *columns, seed=1)
    again = gradients(Contrastive(model, chunk_tokens=40, recompute=True), *columns, seed=1)
    other = gradients(Contrastive(model, chunk_tokens=40), *columns, seed=2)
    assert_same(again, plain)
    assert other[0] != pytest.approx(plain[0], abs=1e-4)


def test_recomputing_has_the_precision_of_the_forward_pass(model):
    features = model.preprocess(POSITIVES)

    def gradient(recompute, dtype):
        model.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype is torch.bfloat16):
            vectors = embed_in_chunks(model, features, recompute=recompute)
        vectors[:, 0].sum().backward()
        return model[0].model.encoder.layer[0].output.dense.weight.grad.clone()

    expected = gradient(False, torch.bfloat16)
    assert torch.equal(gradient(True, torch.bfloat16), expected)
    assert not torch.equal(gradient(True, torch.float32), expected)


def test_recomputing_keeps_fewer_activations(tiny_model):
    model = tiny_model().eval()

    def kept(recompute):
        saved = []
        objective = Contrastive(model, chunk_tokens=1, recompute=recompute)
        features = features_of(model, ANCHORS, POSITIVES)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: saved.append(t.numel()) or t, lambda t: t
        ):
            objective(features)
        return sum(saved)

    assert kept(recompute=True) < kept(recompute=False) / 20


def test_weights_that_do_not_learn_may_be_recomputed_too(tiny_model):
    model = tiny_model()
    model.requires_grad_(False)
    model[0].model.embeddings.requires_grad_(True)
    plain, again = (
        gradients(Contrastive(model, recompute=recompute), ANCHORS, POSITIVES, seed=1)
        for recompute in (False, True)
    )
    assert plain[1].keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    assert_same(again, plain)
    model.requires_grad_(False)
    assert gradients(Contrastive(model, recompute=True), ANCHORS, POSITIVES, seed=1)[1] == {}


SCORES = torch.tensor([[2.0, 1.0, 0.0], [1, 2, 0], [3, 0, 1], [0.5, 0, 0], [1, 0, 1]])


def all_terms():
    """Each in a fresh state."""
    return {
        "focal": FocalWeight(detach=False),
        "mixing": NegativeMixing(),
        "progressive": Curricular(ema=0.5, start=0.3, smooth=True),
        "soft_labels": SoftLabels(),
        "matryoshka": Matryoshka([32, 16]),
        "expanded": True,
        "block_rows": 2,
    }


@pytest.mark.parametrize("chunk_tokens", [1, 40, 8192])
def test_all_terms_learn_the_same_from_recomputed_chunks(tiny_model, chunk_tokens):
    # Seven rows of three lengths, so that the last chunk and the last block are smaller than the others.
    columns = [column + column[:2] for column in (ANCHORS, POSITIVES, NEGATIVES, ANCHORS[::-1])]
    scores = torch.cat([SCORES, SCORES[:2]])
    found = []
    for recompute in (False, True):
        objective = Contrastive(
            tiny_model(), 0.2, **all_terms(), chunk_tokens=chunk_tokens, recompute=recompute
        )
        steps = [gradients(objective, *columns, labels=scores, seed=seed) for seed in (1, 2)]
        found.append((steps, objective.progressive.t.item()))
    assert found[0][1] == pytest.approx(found[1][1], abs=1e-6)
    for plain, again in zip(found[0][0], found[1][0], strict=True):
        assert_same(again, plain)


class OwnNoise(nn.Dropout):
    """A layer that draws from numbers of its own, which nobody can wind back."""

    def __init__(self):
        super().__init__(0.5)
        self.numbers = torch.Generator().manual_seed(0)

    def forward(self, given):
        if not self.training:
            return given
        return given * (torch.rand(given.shape, generator=self.numbers) < 0.5)


def test_a_layer_that_cannot_be_replayed_is_refused_by_name(tiny_model):
    model = tiny_model().train()
    model[0].model.encoder.layer[1].output.dropout = OwnNoise()
    objective = Contrastive(model, recompute=True)
    with pytest.raises(
        BadInput, match=r"layer 0\.model\.encoder\.layer\.1\.output\.dropout gives something else"
    ):
        objective(features_of(model, ANCHORS, POSITIVES))
    # Without replaying, and where it is off, nothing is wrong with it.
    Contrastive(model)(features_of(model, ANCHORS, POSITIVES))
    model.eval()
    objective(features_of(model, ANCHORS, POSITIVES))


def test_looking_for_such_layers_leaves_random_numbers_alone(tiny_model):
    model = tiny_model().train()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    refuse_unrepeatable(model, model.preprocess(POSITIVES))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("chunk_tokens", [1, 40, 8192])
def test_vectors_are_those_of_encode_in_the_order_given(model, chunk_tokens):
    found = embed_in_chunks(model, model.preprocess(POSITIVES), chunk_tokens)
    expected = model.encode(POSITIVES, convert_to_tensor=True)
    assert torch.allclose(found, expected, atol=1e-6)


def padded_on(side, features, extra=3):
    """The features with their content moved to one side of longer rows."""
    rows, length = features["attention_mask"].shape
    moved = {
        name: torch.zeros(rows, length + extra, dtype=torch.long)
        for name in features
        if name != "modality"
    }
    for row, size in enumerate(features["attention_mask"].sum(1).tolist()):
        place = slice(0, size) if side == "right" else slice(length + extra - size, None)
        for name, value in moved.items():
            value[row, place] = features[name][row, :size]
    return moved


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_is_cut_off(model, side):
    features = model.preprocess(POSITIVES)
    # Rows alone have no padding left, so that BERT's positions start at their first word.
    found = embed_in_chunks(model, padded_on(side, features), chunk_tokens=1)
    assert torch.allclose(found, model.encode(POSITIVES, convert_to_tensor=True), atol=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_row_without_tokens_spoils_no_other(model, side):
    features = padded_on(side, model.preprocess(POSITIVES))
    features["attention_mask"][2] = 0
    found = embed_in_chunks(model, features, chunk_tokens=1)
    others = [0, 1, 3, 4]
    expected = model.encode([POSITIVES[n] for n in others], convert_to_tensor=True)
    assert torch.allclose(found[others], expected, atol=1e-6)


@pytest.mark.parametrize("budget", [1, 20, 50])
def test_no_chunk_of_several_rows_exceeds_the_budget(model, budget):
    sizes = []
    watch = model.register_forward_pre_hook(
        lambda _, args: sizes.append(args[0]["input_ids"].shape)
    )
    try:
        embed_in_chunks(model, model.preprocess(POSITIVES + ANCHORS), budget)
    finally:
        watch.remove()
    assert sum(rows for rows, _ in sizes) == len(POSITIVES + ANCHORS)
    assert all(rows == 1 or rows * length <= budget for rows, length in sizes)
