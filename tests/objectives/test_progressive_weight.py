from math import exp, log1p, pi

import pytest
import torch
from tests.objectives.contrastive_vectors import (
    EAST,
    NEAR_EAST,
    NEAR_NORTH,
    NORTH,
    at_step,
    loss_of,
    with_t,
)

from polyvec.errors import BadInput
from polyvec.objectives.progressive_weight import Curricular, Scheduled


def test_a_curriculum_damps_first_and_amplifies_later_worked_by_hand():
    # The positive has 0.6 and the other passage 0.8, which is above it and so hard: its logit is 8 (t + 0.8).
    wrong = [EAST, NORTH], [NEAR_NORTH, NEAR_EAST]
    for t in (0.0, 0.2, 0.9):
        found = loss_of(*wrong, progressive=with_t(Curricular(), t))
        assert found == pytest.approx(log1p(exp(8 * (t + 0.8) - 6)), rel=1e-5)
    plain = loss_of(*wrong)
    assert loss_of(*wrong, progressive=with_t(Curricular(), 0.1)) < plain
    assert loss_of(*wrong, progressive=with_t(Curricular(), 0.3)) > plain
    # Where the positive is above, nothing changes.
    right = [EAST, NORTH], [NEAR_EAST, NEAR_NORTH]
    assert loss_of(*right, progressive=with_t(Curricular(), 0.9)) == loss_of(*right)


def test_a_schedule_worked_by_hand():
    # z = 0.8 - 0.6 = 0.2; over four steps from -2 to 5 the third has β = -2 + 7 · 2 / 4 = 1.5.
    wrong = [EAST, NORTH], [NEAR_NORTH, NEAR_EAST]
    for step, beta in ((0, -2), (1, -2), (3, 1.5), (5, 5), (99, 5)):
        found = loss_of(*wrong, progressive=at_step(Scheduled((-2, 5), steps=4), step))
        assert found == pytest.approx(log1p(exp(8 + 0.2 * beta - 6)), rel=1e-5)
    assert loss_of(*wrong, progressive=Scheduled((5, 5))) == pytest.approx(
        log1p(exp(9 - 6)), rel=1e-5
    )


def test_an_angular_margin_worked_by_hand():
    # cos(60° + 30°) = 0; and beyond 150°, where the cosine would rise again: -1 - (π / 6) sin 150° = -1.2618.
    weight = Curricular(margin=pi / 6)
    found = weight.positive(torch.tensor([0.5, -1.0]))
    assert found.tolist() == pytest.approx([0.0, -1 - pi / 12], abs=1e-6)
    assert (weight.positive(torch.linspace(-1, 0.99, 50)).diff() > 0).all()


def test_a_negative_below_the_turned_positive_is_easy():
    # With the margin the positive of 0.5 counts as 0, so that 0.2 is hard (0.2 · 0.2 at t = 0) and -0.2 is easy.
    weight = Curricular(margin=pi / 6)
    cut = weight.positive(torch.tensor([[0.5]]))
    found, slopes = weight.logits(torch.tensor([[0.2, -0.2]]), cut, 0.5)
    assert found.tolist()[0] == pytest.approx([0.08, -0.4])
    assert slopes.tolist()[0] == pytest.approx([0.4, 1.0])


def test_a_smooth_cut_meets_the_sharp_one_on_either_side_and_has_no_step():
    cosines = torch.linspace(0.2, 0.8, 601)[None]
    cut = torch.tensor([[0.5]])
    sharp, smooth = (
        with_t(Curricular(smooth=way), 0.9).logits(cosines.clone(), cut, 1.0)[0]
        for way in (False, True)
    )
    far = (cosines - 0.5).abs() > 0.2
    assert torch.allclose(sharp[far], smooth[far], atol=1e-4)
    assert sharp.diff().max() > 0.15
    assert smooth.diff().max() < 0.01


def test_a_negative_sum_of_average_and_cosine_counts_as_nothing():
    found, slopes = Curricular(start=0.1).logits(
        torch.tensor([[-0.3]]), torch.tensor([[-0.5]]), 1.0
    )
    assert found.item() == 0
    assert slopes.item() == 0


def test_the_average_starts_at_nothing_and_follows_the_positives():
    weight = Curricular()
    for _ in range(100):
        weight.advance(torch.tensor([0.4, 0.8]))
    assert weight.t.item() == pytest.approx(0.6 * (1 - 0.99**100), rel=1e-4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Curricular(margin=1.6), r"margin of 1.6: give radians in \[0, π/2\)"),
        (lambda: Curricular(margin=-0.1), "margin of -0.1"),
        (lambda: Curricular(ema=0), r"is in \(0, 1\], say 0.01"),
        (lambda: Scheduled(steps=0), "over 0 steps: give 1 step or more"),
        (lambda: Scheduled(), "over None steps: give 1 step or more"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(make, says):
    with pytest.raises(BadInput, match=says):
        make()
