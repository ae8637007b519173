from math import exp, log1p, sqrt

import pytest
import torch
from tests.objectives.contrastive_vectors import (
    EAST,
    LABELS,
    NEAR_EAST,
    NEAR_NORTH,
    NORTH,
    columns,
    loss_of,
)

from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.focal_weight import FocalWeight


def test_focal_weight_worked_by_hand():
    # Logits 8 (own) and 6: p = 1 / (1 + e⁻²) = 0.8808, 1 - p = 0.1192, whose root is 0.3453; the loss is 0.1269.
    plain, odds = log1p(exp(-2)), exp(-2)
    weight = sqrt(odds / (1 + odds))
    found = loss_of([EAST, NORTH], [NEAR_EAST, NEAR_NORTH], focal=FocalWeight(gamma=0.5))
    assert weight == pytest.approx(0.3453, abs=1e-4)
    assert found == pytest.approx(weight * plain, rel=1e-5)


def test_focal_weights_of_unlike_rows_worked_by_hand():
    # The first row is right by 0.2 (1 - p = 0.1192), the second wrong by 0.2 (1 - p = 0.8808): logits 8, 6 and 6, 8.
    easy, hard = log1p(exp(-2)), log1p(exp(2))
    light, heavy = sqrt(0.119203), sqrt(0.880797)
    pairs = [EAST, EAST], [NEAR_EAST, NEAR_NORTH]
    found = loss_of(*pairs, focal=FocalWeight())
    assert found == pytest.approx((light * easy + heavy * hard) / 2, rel=1e-5)
    # Renormalised, the weights have the mean 1.
    found = loss_of(*pairs, focal=FocalWeight(renormalise=True))
    assert found == pytest.approx((light * easy + heavy * hard) / (light + heavy), rel=1e-5)


def test_gamma_of_zero_is_the_plain_loss():
    vectors = columns(dtype=torch.float32)
    plain, weighed = (
        Contrastive(None, focal=focal).loss(vectors[0], vectors[1:], LABELS)
        for focal in (None, FocalWeight(gamma=0.0))
    )
    assert weighed.item() == plain.item()


def test_weights_of_nearly_certain_rows_are_not_lost_to_rounding():
    # p = 1 - e⁻⁴⁰ rounds to 1, even in double precision; (1 - p)^½ is e⁻²⁰.
    against = torch.tensor([-40.0, 0.0, 40.0])
    found = FocalWeight(gamma=0.5)(against)
    assert found.tolist() == pytest.approx([exp(-20), sqrt(0.5), 1.0], rel=1e-5)


def test_the_weight_learns_only_where_it_is_asked_to():
    against = torch.zeros(1, requires_grad=True)
    assert not FocalWeight()(against).requires_grad
    FocalWeight(gamma=2.0, detach=False)(against).sum().backward()
    # The derivative of (1 - p)² by the log odds is 2 (1 - p)² p = 2 · ¼ · ½.
    assert against.grad.item() == pytest.approx(0.25)


@pytest.mark.parametrize("gamma", [-1, float("nan"), float("inf")])
def test_impossible_exponents_are_refused(gamma):
    with pytest.raises(BadInput, match=f"gamma={gamma}: give 0 or more; the paper has 0.5"):
        FocalWeight(gamma=gamma)
