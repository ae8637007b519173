import copy

import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from polyvec.adaptation.self_positioning import SelfPositioning, _Moving, _Place
from polyvec.adaptation.slerp import slerp_coefficients
from polyvec.adaptation.task_vectors import task_vectors
from polyvec.errors import BadInput

ROWS = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


class Numbers(nn.Module):
    """Reads texts of numbers, so that a network of a few float64 weights is a model."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()

    def preprocess(self, texts: list[str], **_: object) -> dict[str, Tensor]:
        return {"numbers": ROWS[[int(text) for text in texts]]}

    tokenize = preprocess

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": self.net(features["numbers"])}


class Loss(nn.Module):
    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: list[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        first, second = (self.model(dict(column))["sentence_embedding"] for column in features)
        return (first * second).sum(dim=1).exp().mean()


@pytest.fixture
def parents() -> tuple[SentenceTransformer, list[SentenceTransformer]]:
    base = SentenceTransformer(modules=[Numbers(0)], device="cpu")
    models = []
    for seed in (1, 2, 3):
        model = copy.deepcopy(base)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.1 * torch.randn(weight.shape, generator=generator).double()
        models.append(model)
    return base, models


@pytest.mark.parametrize("space", ["slerp", "lerp"])
def test_gradients_are_those_of_autograd_through_the_models(parents, space) -> None:
    base, models = parents
    vectors = task_vectors(base, models)
    # float32 is what task vectors are kept in; here exactness is asked for.
    for delta, model in zip(vectors.deltas, models, strict=True):
        delta.update({n: (w - base.get_parameter(n)).detach() for n, w in model.named_parameters()})
    place = _Place(vectors, space)
    with torch.no_grad():
        place.free += torch.tensor([0.3, -0.2, 0.1])
        place.scale.fill_(1.2)
    columns = [["0", "1", "2"], ["3", "4", "5"]]
    coefficients = place()
    loss, slopes = _Moving(vectors, Loss).loss(coefficients.detach(), columns)
    (coefficients @ slopes).backward()

    free = place.free.detach().clone().requires_grad_()
    scale = place.scale.detach().clone().requires_grad_()
    shares = softplus(free)
    merged = scale * (slerp_coefficients(vectors.gram(), shares) if space == "slerp" else shares)
    weights = {
        name: weight.detach()
        + sum(c * delta[name] for c, delta in zip(merged, vectors.deltas, strict=True))
        for name, weight in base.named_parameters()
    }
    first, second = (
        functional_call(base, weights, (base.preprocess(column),))["sentence_embedding"]
        for column in columns
    )
    wanted = (first * second).sum(dim=1).exp().mean()
    wanted.backward()
    assert loss == pytest.approx(float(wanted.detach()), abs=1e-8)
    assert torch.allclose(place.free.grad, free.grad, atol=1e-8)
    assert torch.allclose(place.scale.grad, scale.grad, atol=1e-8)


def test_it_starts_at_the_even_merge_and_goes_downhill(parents) -> None:
    base, models = parents
    vectors = task_vectors(base, models)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    found = SelfPositioning(mu=0, learning_rate=0.05, steps=40, batch=3, objective=Loss).fit(
        vectors, {"only": [["0", "1", "2"], ["3", "4", "5"]]}
    )
    first = [found.history[0][name] for name in vectors.names]
    assert first == pytest.approx(slerp_coefficients(vectors.gram(), [1.0, 1.0, 1.0]).tolist())
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    assert all(weight > 0 for weight in found.weights)
    assert all(torch.equal(before[name], weight) for name, weight in base.state_dict().items())


def test_the_penalty_shortens(parents) -> None:
    base, models = parents
    vectors = task_vectors(base, models)
    probe = {"only": [["0", "1", "2"], ["3", "4", "5"]]}
    scales = [
        SelfPositioning(mu=mu, learning_rate=0.02, steps=20, batch=3, objective=Loss)
        .fit(vectors, probe)
        .scale
        for mu in (0.0, 0.5)
    ]
    assert scales[1] < scales[0]


def test_tasks_take_turns() -> None:
    probe = {"a": [["a1", "a2"], ["x", "x"]], "b": [["b1", "b2"], ["y", "y"]]}
    batches = SelfPositioning(batch=2)._batches(probe)
    drawn = [next(batches) for _ in range(4)]
    assert [set(columns[0]) for columns in drawn] == [{"a1", "a2"}, {"b1", "b2"}] * 2


def test_bad_settings_are_refused(parents) -> None:
    with pytest.raises(BadInput, match="give a penalty of 0 or more"):
        SelfPositioning(mu=-1)
    base, models = parents
    with pytest.raises(BadInput, match="two pairs or more"):
        SelfPositioning(steps=1, objective=Loss).fit(
            task_vectors(base, models), {"a": [["0"], ["1"]]}
        )
