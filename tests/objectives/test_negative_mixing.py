from math import exp, log, log1p, sqrt

import pytest
import torch
from tests.objectives.contrastive_vectors import EAST, NEAR_EAST, NEAR_NORTH, NORTH, loss_of

from polyvec.errors import BadInput
from polyvec.objectives.negative_mixing import NegativeMixing


class Halves(NegativeMixing):
    """Mixes half of the first negative and half of the second."""

    def draw(self, rows, negatives, like):
        drawn = super().draw(rows, negatives, like)
        drawn.first.fill_(0)
        drawn.second.fill_(1)
        drawn.share.fill_(0.5)
        return drawn


def test_mixing_worked_by_hand():
    # One query, EAST; its positive has 0.8, its negatives, NORTH and (0.6, 0.8), have 0 and 0.6.
    # Pair-wise: (0.3, 0.9) / √0.9 has 0.3162.
    pairs = [EAST], [NEAR_EAST], [NORTH], [NEAR_NORTH]
    found = loss_of(*pairs, mixing=Halves(pairwise=1, listwise=0))
    logits = [0, 6, 10 * 0.3 / sqrt(0.9)]
    assert found == pytest.approx(log(sum(map(exp, [8, *logits]))) - 8, rel=1e-5)
    # List-wise: shares of softmax (0, 0.6) / 0.6 are 0.2689 and 0.7311: (0.4386, 0.8538), which has 0.4570.
    u = 1 / (1 + exp(-1))
    x, y = 0.6 * u, 1 - u + 0.8 * u
    found = loss_of(*pairs, mixing=Halves(pairwise=0, listwise=1, temperature=0.6))
    logits = [0, 6, 10 * x / sqrt(x * x + y * y)]
    assert found == pytest.approx(log(sum(map(exp, [8, *logits]))) - 8, rel=1e-5)


def test_a_mix_above_the_positive_is_dropped_and_counted():
    # Negatives at (0.8, ±0.6) mix to EAST itself, with 1 against the positive's 0.9.
    positive = torch.tensor([0.9, sqrt(0.19)])
    pairs = [EAST], [positive], [NEAR_EAST], [torch.tensor([0.8, -0.6])]
    for guard, mixes in ((True, []), (False, [10])):
        found = loss_of(*pairs, mixing=Halves(pairwise=1, listwise=0, guard=guard))
        expected = log(sum(map(exp, [9, 8, 8, *mixes]))) - 9
        assert found == pytest.approx(expected, rel=1e-5)


def test_pairs_are_of_two_and_change_with_step_and_seed_only():
    mixing = NegativeMixing(pairwise=50, seed=1)
    like = torch.zeros(1)
    first = mixing.draw(20, 3, like)
    assert (first.first != first.second).all()
    assert set(first.first.flatten().tolist()) == set(first.second.flatten().tolist()) == {0, 1, 2}
    assert ((first.share > 0) & (first.share < 1)).all()
    assert first.share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert first.share.var().item() == pytest.approx(1 / 20, abs=0.01)  # of Beta(2, 2)
    assert torch.equal(first.share, mixing.draw(20, 3, like).share)
    other = NegativeMixing(pairwise=50, seed=2).draw(20, 3, like)
    mixing.advance()
    assert not torch.equal(first.share, other.share)
    assert not torch.equal(first.share, mixing.draw(20, 3, like).share)


def test_negatives_learn_from_mixes_unless_these_are_detached():
    anchors, negatives = torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.6, 0.8], [0.0, 1.0]]])
    for detach in (False, True):
        parents = negatives.clone().requires_grad_()
        mixing = NegativeMixing(detach=detach)
        mixed = mixing.mix(mixing.draw(1, 2, anchors), anchors, parents)
        assert mixed.shape == (1, 3, 2)
        assert torch.allclose(mixed.norm(dim=2), torch.ones(1, 3))
        assert mixed.requires_grad != detach


def test_mixes_stand_against_their_own_query_only():
    # The negatives of the second row are its own anchor, so that its mixes have 1 with it and 0 with the first.
    rows = [EAST, NORTH], [EAST, NORTH], [NEAR_EAST, NORTH], [NEAR_NORTH, NORTH]
    mixing = Halves(pairwise=1, listwise=0, guard=False)
    found = loss_of(*rows, mixing=mixing)
    half = 1.4 / sqrt(2 * 1.4**2)  # of (1.4, 1.4), made of the first row's
    first = [0, 8, 0, 6, 0, 10 * half]
    second = [0, 6, 10, 8, 10, 10]
    worked = [log(exp(10) + sum(map(exp, logits))) - 10 for logits in (first, second)]
    assert found == pytest.approx(sum(worked) / 2, rel=1e-5)


def test_too_few_negatives_are_not_mixed_and_a_warning_says_so():
    with pytest.warns(UserWarning, match="1 negatives a row: nothing is mixed; give 2 or more"):
        found = loss_of([EAST], [NEAR_EAST], [NORTH], mixing=NegativeMixing())
    assert found == pytest.approx(log1p(exp(-8)), rel=1e-5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: NegativeMixing(pairwise=0, listwise=0), "and not 0 of both"),
        (lambda: NegativeMixing(pairwise=-1), "0 or more of the first"),
        (lambda: NegativeMixing(listwise=2), "0 or 1 of the second"),
        (lambda: NegativeMixing(temperature=0), "all have to be above 0"),
        (lambda: NegativeMixing(beta=(2.0, 0.0)), "all have to be above 0"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(make, says):
    with pytest.raises(BadInput, match=says):
        make()
