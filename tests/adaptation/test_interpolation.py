import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.adaptation.interpolation import interpolate
from polyvec.errors import BadInput


@pytest.fixture
def base(tiny_model):
    return tiny_model()


@pytest.fixture
def tuned(tiny_model):
    """The base with every weight moved."""
    model = tiny_model()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return model


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_weight_0_is_the_base_exactly(base, tuned):
    assert_equal(interpolate(base, tuned, 0.0).state_dict(), base.state_dict())


def test_weight_1_is_the_tuned_model_exactly(base, tuned):
    merged = interpolate(base, tuned, 1.0)
    assert_equal(merged.state_dict(), tuned.state_dict())
    assert (merged.encode("a cat by the sea") == tuned.encode("a cat by the sea")).all()


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.8])
def test_weights_between_are_worked_out_name_by_name(base, tuned, weight):
    first, second = base.state_dict(), tuned.state_dict()
    for name, value in interpolate(base, tuned, weight).state_dict().items():
        assert torch.allclose(value, (1 - weight) * first[name] + weight * second[name], atol=1e-6)


def test_the_middle_of_a_model_and_itself_is_the_model(base):
    assert_equal(interpolate(base, base, 0.5).state_dict(), base.state_dict())


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_models_given_stay_as_they_are_even_if_the_result_is_trained(base, tuned, weight):
    before = weights_of(base), weights_of(tuned)
    merged = interpolate(base, tuned, weight)
    with torch.no_grad():
        for parameter in merged.parameters():
            parameter.add_(1)
    assert_equal(base.state_dict(), before[0])
    assert_equal(tuned.state_dict(), before[1])


def test_a_merged_model_is_saved_and_opened_like_any_other(base, tuned, tmp_path):
    merged = interpolate(base, tuned, 0.5)
    merged.save_pretrained(str(tmp_path), create_model_card=False)
    again = SentenceTransformer(str(tmp_path), device="cpu")
    text = "the queen of the forest"
    assert again.encode(text) == pytest.approx(merged.encode(text), abs=1e-6)


def test_whole_numbers_are_the_bases():
    class Counting(nn.Module):
        def __init__(self, count):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.register_buffer("count", torch.tensor(count))

    base, tuned = (SentenceTransformer(modules=[Counting(n)], device="cpu") for n in (3, 4))
    assert interpolate(base, tuned, 0.5)[0].count == 3


def linear(*sizes):
    return SentenceTransformer(modules=[nn.Linear(*size) for size in sizes], device="cpu")


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (linear((2, 3), (3, 4)), "1.bias"),  # another shape
        (linear((2, 3)), "1.bias"),  # weights missing
        (linear((2, 3), (3, 2), (2, 2)), "2.bias"),  # weights over
    ],
)
def test_models_of_different_shape_are_refused_by_the_first_name_that_differs(other, name):
    base = linear((2, 3), (3, 2))
    with pytest.raises(BadInput, match=f"different shape cannot be interpolated: {name} differs"):
        interpolate(base, other, 0.5)
