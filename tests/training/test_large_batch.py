"""How much memory a contrastive batch takes, and how it is cut."""

import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.training.large_batch import plan_batch
from polyvec.training.memory import FLOATS_PER_UNIT

LENGTH, ROWS, COLUMNS, WIDTH, LAYERS = 16, 1000, 4, 32, 2
A_TOKEN = 4 * FLOATS_PER_UNIT * LAYERS * WIDTH
ALL_TOKENS = ROWS * COLUMNS * LENGTH
EVERYTHING = 10**12


def plan(model, memory=EVERYTHING, length=LENGTH, rows=ROWS, columns=COLUMNS):
    return plan_batch(model, length, rows, columns, memory)


def test_what_a_batch_needs_worked_by_hand(tiny_model):
    model = tiny_model()
    found = plan(model)
    weights = sum(weight.numel() for weight in model.parameters())
    assert found.passages == 3000
    assert found.needs == {
        "weights": 12 * weights,
        "tokens": 24 * 64_000,
        "vectors": 4 * 6 * 4000 * 32,
        "scores": 4 * 4 * 1000 * 3000,
        "activations": 4 * 16 * 2 * 32 * 64_000,
    }
    assert found.bytes == sum(found.needs.values())
    assert found.options == {"block_rows": 1000, "chunk_tokens": 1024, "recompute": False}


def test_parts_become_smaller_as_memory_does(tiny_model):
    model = tiny_model()
    whole = plan(model)
    # A byte less than is needed, step by step.
    found = [whole]
    while found[-1].chunk_tokens > LENGTH or found[-1].block_rows > 1:
        found.append(plan(model, found[-1].bytes - 1))
    assert [step.options for step in found] == [
        {"block_rows": 1000, "chunk_tokens": 1024, "recompute": False},
        {"block_rows": 1000, "chunk_tokens": 1024, "recompute": True},
        {"block_rows": 64, "chunk_tokens": 1024, "recompute": True},
        {"block_rows": 64, "chunk_tokens": 16, "recompute": True},
        {"block_rows": 1, "chunk_tokens": 16, "recompute": True},
    ]
    assert [step.needs["activations"] for step in found] == [
        A_TOKEN * tokens for tokens in (ALL_TOKENS, 1024, 1024, 16, 16)
    ]
    with pytest.raises(BadInput, match=r"does not fit into [\d.]+ MB: 1,000 rows against 3,000"):
        plan(model, found[-1].bytes - 1)


def test_a_batch_smaller_than_a_chunk_keeps_no_more_than_it_has(tiny_model):
    small = plan(tiny_model(), rows=2, columns=2)
    assert small.needs["activations"] == A_TOKEN * 2 * 2 * LENGTH
    assert not small.recompute


def test_a_text_longer_than_a_chunk_is_a_chunk(tiny_model):
    assert plan(tiny_model(), length=5000).chunk_tokens == 5000


def test_frozen_weights_need_no_memory_beside_the_model(tiny_model):
    model = tiny_model().requires_grad_(False)
    assert plan(model).needs["weights"] == 0


def test_activations_of_a_model_of_unknown_size_are_left_out():
    model = SentenceTransformer(modules=[nn.Linear(2, 2)], device="cpu")
    assert plan(model).needs["activations"] == 0


def test_memory_is_a_share_of_what_is_free(tiny_model, monkeypatch):
    model = tiny_model()
    needed = plan(model).bytes
    monkeypatch.setattr("polyvec.training.large_batch.free_bytes", lambda device: needed / 0.79)
    assert not plan(model, None).recompute
    monkeypatch.setattr("polyvec.training.large_batch.free_bytes", lambda device: needed / 0.81)
    assert plan(model, None).recompute


def test_the_plan_in_words(tiny_model):
    said = str(plan(tiny_model(), memory=100_000_000))
    assert said.startswith("1,000 rows against 3,000 passages: ")
    assert said.endswith("; 1,024 tokens at a time, computed twice, scores of 1,000 rows at a time")


@pytest.mark.parametrize(
    "sizes", [{"length": 0}, {"rows": 0}, {"columns": 1}, {"rows": -3}], ids=str
)
def test_sizes_that_are_none_are_refused(tiny_model, sizes):
    with pytest.raises(BadInput, match="1 row and 1 token or more, and an anchor and a positive"):
        plan(tiny_model(), **sizes)


def test_however_a_batch_is_cut_the_gradient_is_the_same(tiny_model):
    anchors = [f"cat {word}" for word in ("sea", "dog", "boat", "rain", "fish")]
    passages = [f"the {word} in the garden" for word in ("sea", "dog", "boat", "rain", "fish")]
    gradients = []
    for memory in (EVERYTHING, plan(tiny_model(), rows=5, columns=2).bytes - 1):
        model = tiny_model().eval()
        how = plan(model, memory, rows=5, columns=2)
        objective = Contrastive(model, **how.options)
        objective([model.preprocess(anchors), model.preprocess(passages)]).backward()
        gradients.append(
            torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])
        )
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-6)
