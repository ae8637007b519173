import copy

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from polyvec.adaptation.task_vectors import length, per_module, task_vectors
from polyvec.errors import BadInput


def small(values):
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([values], dtype=torch.float32)
    return SentenceTransformer(modules=[layer], device="cpu")


def moved(model, by, seed=0):
    found = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in found.parameters():
            weight += by * torch.randn(weight.shape, generator=generator)
    return found


def test_sums_of_changes():
    found = task_vectors(small([10.0, 10.0]), [small([11.0, 10.0]), small([10.0, 12.0])])
    assert found.gram().tolist() == [[1.0, 0.0], [0.0, 4.0]]
    merged = found.applied(found.combined([2.0, 0.5]))
    assert merged[0].weight.tolist() == [[12.0, 11.0]]
    assert found.base[0].weight.tolist() == [[10.0, 10.0]]


def test_a_model_is_its_base_and_its_task_vector(tiny_model):
    base = tiny_model()
    tuned = moved(base, 1e-3)
    found = task_vectors(base, [tuned])
    again = found.applied(found.deltas[0])
    for name, weight in tuned.named_parameters():
        assert torch.allclose(again.get_parameter(name), weight, atol=1e-7), name


def test_weights_can_be_chosen(tiny_model):
    base = tiny_model()
    tuned = moved(base, 1e-3)
    kept = task_vectors(base, [tuned], include=r"encoder\.layer\.1\.", exclude="bias").deltas[0]
    assert kept
    assert all("encoder.layer.1." in name and "bias" not in name for name in kept)
    with pytest.raises(BadInput, match="leave no weight"):
        task_vectors(base, [tuned], include="nowhere")


def test_lengths_by_module(tiny_model):
    base = tiny_model()
    delta = task_vectors(base, [moved(base, 1e-3)]).deltas[0]
    parts = per_module([delta])[0]
    assert len(parts) > 2
    assert sum(part**2 for part in parts.values()) == pytest.approx(length(delta) ** 2)


def test_models_that_do_not_share_a_start_are_refused(tiny_model):
    base = tiny_model()
    with pytest.raises(BadInput, match="there is nothing to merge"):
        task_vectors(base, [tiny_model()])
    with pytest.raises(BadInput, match=r"second is .* times as far .* was not trained from it"):
        task_vectors(base, [moved(base, 1e-3), moved(base, 0.5)], names=["first", "second"])
    with pytest.raises(BadInput, match="weights are not numbers"):
        task_vectors(base, [moved(base, float("nan"))])
    with pytest.raises(BadInput, match="no model to merge"):
        task_vectors(base, [])


def test_models_that_are_built_or_read_differently_are_refused(tiny_model):
    base, tuned = tiny_model(), moved(tiny_model(), 1e-3)
    tuned[1] = Pooling(32, "cls")
    with pytest.raises(BadInput, match="Pooling is set differently from the base"):
        task_vectors(base, [tuned])
    with pytest.raises(BadInput, match="is made of Linear, and the base of Transformer, Pooling"):
        task_vectors(base, [small([1.0, 1.0])])
    wider = small([1.0, 1.0])
    wider[0] = nn.Linear(3, 1, bias=False)
    with pytest.raises(BadInput, match=r"of another shape than the base's, first 0\.weight"):
        task_vectors(small([1.0, 1.0]), [wider])
    tuned = moved(tiny_model(), 1e-3)
    tuned.tokenizer.add_tokens(["newword"])
    with pytest.raises(BadInput, match="another vocabulary"):
        task_vectors(base, [tuned])
