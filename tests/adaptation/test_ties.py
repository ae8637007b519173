import pytest
import torch

from polyvec.adaptation.dare import dare
from polyvec.adaptation.task_vectors import TaskVectors
from polyvec.adaptation.ties import ties
from polyvec.errors import BadInput


def vectors(*rows):
    return TaskVectors(
        None, [{"w": torch.tensor(row)} for row in rows], [str(n) for n in range(len(rows))]
    )


def test_trimmed_elected_and_averaged_by_hand():
    # Half of each is kept: (4, ., ., -3), (., 5, ., 2); signs of the sums: +, +, (none), -.
    given = vectors([4.0, 1.0, 0.5, -3.0], [1.0, 5.0, 0.2, 2.0])
    found = ties(given, density=0.5)["w"]
    # No entry of the third is left. In the fourth, -3 wins over 2 and stands alone.
    assert found.tolist() == [4.0, 5.0, 0.0, -3.0]
    assert ties(given, density=0.5, scale=0.5)["w"].tolist() == [2.0, 2.5, 0.0, -1.5]


def test_those_that_agree_are_averaged():
    found = ties(vectors([2.0, -1.0], [4.0, -3.0], [-1.0, 5.0]), density=1.0)["w"]
    assert found.tolist() == [3.0, 5.0]


def test_a_tie_takes_the_sign_that_most_weights_have():
    found = ties(vectors([1.0, 2.0, 2.0], [-1.0, 2.0, 2.0]), density=1.0)["w"]
    assert found.tolist() == [1.0, 2.0, 2.0]


def test_trimming_each_weight_by_itself_keeps_some_of_each():
    given = TaskVectors(
        None, [{"a": torch.tensor([10.0, 9.0]), "b": torch.tensor([0.1, 0.2])}], ["one"]
    )
    assert ties(given, density=0.5)["b"].tolist() == [0.0, 0.0]
    assert ties(given, density=0.5, granularity="tensor")["b"].tolist() == pytest.approx([0.0, 0.2])


def test_dare_keeps_the_expectation():
    given = TaskVectors(None, [{"w": torch.ones(100_000)}], ["one"])
    found = dare(given, drop=0.9, seed=1).deltas[0]["w"]
    assert found.unique().tolist() == pytest.approx([0.0, 10.0])
    assert float(found.mean()) == pytest.approx(1, abs=0.05)
    assert torch.equal(found, dare(given, drop=0.9, seed=1).deltas[0]["w"])
    assert not torch.equal(found, dare(given, drop=0.9, seed=2).deltas[0]["w"])


@pytest.mark.parametrize("density", [0.0, 1.5])
def test_impossible_densities_are_refused(density):
    with pytest.raises(BadInput, match=r"density .* above 0 and at most 1"):
        ties(vectors([1.0]), density=density)


def test_impossible_drops_are_refused():
    with pytest.raises(BadInput, match="drop 1"):
        dare(vectors([1.0]), drop=1)
