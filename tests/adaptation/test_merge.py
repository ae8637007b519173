import copy
import json

import numpy as np
import pytest
import torch

from polyvec.adaptation.merge import METHODS, merge
from polyvec.adaptation.soups import cocktail_shares, greedy_shares, shares
from polyvec.adaptation.task_vectors import task_vectors
from polyvec.encoders.loading import load
from polyvec.errors import BadInput

PROBE = {
    "animals": [["a cat", "the dog", "a bird"], ["small cat", "big dog", "bird and tree"]],
    "places": [["house", "lake", "sea"], ["a stone house", "by the lake", "on the sea"]],
}
QUICK = {"self_positioning": {"steps": 3, "batch": 3}, "fisher": {"batch": 2, "batches": 2}}


@pytest.fixture
def parents(tiny_model):
    base = tiny_model()
    models = []
    for seed in (1, 2):
        model = copy.deepcopy(base)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in model.parameters():
                weight += 1e-3 * torch.randn(weight.shape, generator=generator)
        models.append(model)
    return base, models


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_new_model_that_opens_anywhere(parents, method, tmp_path):
    base, models = parents
    before = [copy.deepcopy(model.state_dict()) for model in (base, *models)]
    found = merge(base, models, method, probe=PROBE, names=["one", "two"], **QUICK.get(method, {}))
    for state, model in zip(before, (base, *models), strict=True):
        assert all(torch.equal(state[name], weight) for name, weight in model.state_dict().items())
    texts = ["a cat by the lake"]
    assert not np.array_equal(found.model.encode(texts), base.encode(texts))
    folder = found.save(tmp_path / "merged")
    assert np.array_equal(load(folder, "cpu").encode(texts), found.model.encode(texts))
    told = json.loads((folder / "merge.json").read_text())
    assert told["method"] == method
    assert told["models"] == ["one", "two"]
    assert set(told["parents"]) == {"base", "one", "two"}


def test_one_model_at_weight_one_is_that_model(parents):
    base, models = parents
    for method in ("average", "slerp", "task_arithmetic", "greedy_soup"):
        found = merge(base, models[:1], method, probe=PROBE)
        assert found.coefficients == pytest.approx([1.0])
        for name, weight in models[0].named_parameters():
            assert torch.allclose(found.model.get_parameter(name), weight, atol=1e-7)


def test_the_scale_and_the_weights_count(parents):
    base, models = parents
    assert merge(base, models, "average", weights=[1, 3]).coefficients == [0.25, 0.75]
    assert merge(base, models, "task_arithmetic", scale=-0.5).coefficients == [-0.5, -0.5]


def test_the_average_is_that_of_sentence_transformers(parents):
    pytest.importorskip("mergekit")
    base, models = parents
    ours = merge(base, models, "average", weights=[1, 3]).model
    theirs = merge(base, models, "linear", weights=[1, 3]).model
    for name, weight in theirs.named_parameters():
        assert torch.allclose(ours.get_parameter(name), weight, atol=1e-6), name


def test_the_soup_takes_what_does_not_make_it_worse(parents):
    base, models = parents
    vectors = task_vectors(base, models)
    wanted = vectors.applied(vectors.combined([0.0, 1.0]))

    def nearness(model):
        pairs = zip(model.parameters(), wanted.parameters(), strict=True)
        return -sum(float((mine - other).square().sum()) for mine, other in pairs)

    assert greedy_shares(vectors, nearness) == [0.0, 1.0]
    assert greedy_shares(vectors, lambda model: 0.0) == [0.5, 0.5]


def test_shares():
    assert shares([2, 2]) == [0.5, 0.5]
    with pytest.raises(BadInput, match="sum to 0"):
        shares([1, -1])
    first, second = cocktail_shares([1.0, 1.0 + 5 * np.log(3)])
    assert (first, second) == pytest.approx((0.75, 0.25))
    with pytest.raises(BadInput, match="temperature 0"):
        cocktail_shares([1.0], 0)


@pytest.mark.parametrize(
    "method", ["greedy_soup", "cocktail", "self_positioning", "fisher", "regmean"]
)
def test_methods_that_choose_by_data_want_some(parents, method):
    base, models = parents
    with pytest.raises(BadInput, match=f"{method} chooses by data: give a probe"):
        merge(base, models, method)


def test_bad_input(parents):
    base, models = parents
    with pytest.raises(BadInput, match="give one above 0 for each"):
        merge(base, models, weights=[1])
    with pytest.raises(BadInput, match="ties has no option 'densty'; it has density, granularity"):
        merge(base, models, "ties", densty=0.1)
    with pytest.raises(BadInput, match="1 tasks of 2 models"):
        merge(base, models, "fisher", probe={"one": PROBE["animals"]})


def test_an_unknown_method_is_named(parents):
    base, models = parents
    with pytest.raises(BadInput, match="slrep"):
        merge(base, models, "slrep")
