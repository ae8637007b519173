import pytest
import torch
from torch import nn

from polyvec.adaptation.fisher import fisher, importances
from polyvec.adaptation.regmean import input_products, regmean
from polyvec.adaptation.task_vectors import TaskVectors
from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive

TEXTS = ["a cat", "the house by the lake", "bread and fish", "a stone"]


def vectors(*rows, name="w"):
    return TaskVectors(
        None, [{name: torch.tensor(row)} for row in rows], [str(n) for n in range(len(rows))]
    )


def test_fisher_listens_to_the_model_to_which_a_weight_matters():
    # Lengths are 5 and 5: .6 and .8 beside .8 and .6.
    matter = [{"w": torch.tensor([3.0, 4.0])}, {"w": torch.tensor([4.0, 3.0])}]
    found = fisher(vectors([7.0, 0.0], [0.0, 7.0]), matter)["w"]
    assert found.tolist() == pytest.approx([3.0, 3.0], abs=1e-4)
    found = fisher(vectors([7.0, 0.0], [0.0, 7.0]), matter, [2.0, 1.0])["w"]
    assert found.tolist() == pytest.approx([7 * 1.2 / 2.0, 7 * 0.6 / 2.2], abs=1e-4)


def test_large_gradients_do_not_take_all():
    matter = [{"w": torch.tensor([3e3, 4e3])}, {"w": torch.tensor([4.0, 3.0])}]
    found = fisher(vectors([7.0, 0.0], [0.0, 7.0]), matter)["w"]
    assert found.tolist() == pytest.approx([3.0, 3.0], abs=1e-4)


def test_importances_are_mean_squared_gradients(tiny_model):
    model = tiny_model()
    columns = [TEXTS, TEXTS[::-1]]
    found = importances(model, columns, Contrastive, batch=4, batches=2)
    assert all(bool((value >= 0).all()) for value in found.values())
    assert sum(float(value.sum()) for value in found.values()) > 0
    assert all(weight.grad is None for weight in model.parameters())


def test_every_model_needs_its_importances():
    with pytest.raises(BadInput, match="2 models, 1 importances and 2 weights"):
        fisher(vectors([1.0], [1.0]), [{"w": torch.ones(1)}])


def test_regmean_solves_for_what_each_layer_gives_for_its_inputs():
    # The first model only sees the first input, the second only the second: each keeps its own column.
    products = [
        {"w": torch.diag(torch.tensor([1.0, 0.0]).double())},
        {"w": torch.diag(torch.tensor([0.0, 1.0]).double())},
    ]
    found = regmean(vectors([[1.0, 2.0]], [[3.0, 4.0]]), products)["w"]
    assert found.flatten().tolist() == pytest.approx([1.0, 4.0], abs=1e-4)


def test_regmean_of_equal_inputs_is_the_mean():
    rows = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double()
    products = [{"w": rows.T @ rows}] * 2
    found = regmean(vectors([[1.0, 2.0, 0.0]], [[3.0, 4.0, 2.0]]), products, keep=1.0)["w"]
    assert found.flatten().tolist() == pytest.approx([2.0, 3.0, 1.0], abs=1e-4)


def test_regmean_minimises_the_squared_differences():
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(30, 4, generator=generator).double() for _ in range(2)]
    weights = [torch.randn(3, 4, generator=generator) for _ in range(2)]
    given = TaskVectors(None, [{"w": weight} for weight in weights], ["one", "two"])
    found = regmean(given, [{"w": rows.T @ rows} for rows in inputs], keep=1.0)["w"].double()
    stacked = torch.cat(inputs)
    wanted = torch.cat(
        [rows @ weight.double().T for rows, weight in zip(inputs, weights, strict=True)]
    )
    best = torch.linalg.lstsq(stacked, wanted).solution.T
    assert torch.allclose(found, best, atol=1e-4)


def test_what_is_no_linear_layer_is_averaged():
    given = vectors([1.0, 2.0], [3.0, 4.0], name="bias")
    assert regmean(given, [{}, {}])["bias"].tolist() == [2.0, 3.0]


def test_inputs_are_counted_without_padding(tiny_model):
    model = tiny_model()
    whole = input_products(model, TEXTS, batch=4)
    single = input_products(model, TEXTS, batch=1)
    assert whole.keys() == single.keys()
    name = next(iter(whole))
    layer = model.get_submodule(name.removesuffix(".weight"))
    assert isinstance(layer, nn.Linear)
    assert whole[name].shape == (layer.in_features, layer.in_features)
    for name, value in whole.items():
        assert torch.allclose(value, single[name], rtol=1e-3, atol=1e-5), name


def test_every_model_needs_its_inputs():
    with pytest.raises(BadInput, match="2 models, 1 sets of products"):
        regmean(vectors([1.0], [1.0]), [{}])
