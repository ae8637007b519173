from math import exp, log

import pytest
import torch
from sentence_transformers import CrossEncoder
from torch import nn

from polyvec.errors import BadInput
from polyvec.objectives.group_softmax import GroupSoftmax, group_loss


@pytest.fixture(scope="module")
def body(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("body")
    tiny_model()[0].save(str(folder))
    return folder


def test_the_loss_worked_by_hand() -> None:
    scores = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    first = log(exp(2) + exp(1) + exp(0)) - 2
    second = log(exp(0) + exp(0) + exp(1)) - 0
    assert group_loss(scores).item() == pytest.approx((first + second) / 2)


def test_the_order_of_the_others_does_not_matter() -> None:
    right, *others = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    assert group_loss([right, *others]) == pytest.approx(group_loss([right, *others[::-1]]).item())


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = [
        torch.randn(4, dtype=torch.float64, generator=generator).requires_grad_() for _ in "abc"
    ]
    assert torch.autograd.gradcheck(lambda *given: group_loss(given), scores)


def test_it_is_the_loss_of_the_models_scores(body) -> None:
    torch.manual_seed(0)
    model = CrossEncoder(str(body), num_labels=1, device="cpu").eval()
    columns = [
        [("cat", "the cat and the dog"), ("stone", "stone")],
        [("cat", "sea"), ("stone", "river and wind of the sea")],
    ]
    scores = [
        torch.from_numpy(model.predict(column, activation_fn=nn.Identity())) for column in columns
    ]
    found = GroupSoftmax(model)([model.preprocess(column) for column in columns])
    assert found.item() == pytest.approx(group_loss(scores).item(), abs=1e-6)
    texts = [["cat", "stone"], *([document for _, document in column] for column in columns)]
    assert GroupSoftmax(model)(texts) == found
    with pytest.raises(BadInput, match="1 columns of documents"):
        GroupSoftmax(model)(texts[:2])


def test_what_is_no_group(body) -> None:
    with pytest.raises(BadInput, match="1 columns of documents: give relevant ones and 1 or more"):
        group_loss([torch.zeros(2)])
    with pytest.raises(BadInput, match="a cross-encoder with 2 outputs"):
        GroupSoftmax(CrossEncoder(str(body), num_labels=2, device="cpu"))
