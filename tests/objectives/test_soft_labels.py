from math import exp, log, log1p

import pytest
import torch
from tests.objectives.contrastive_vectors import (
    EAST,
    NEAR_EAST,
    NORTH,
    columns,
    loss_of,
    teacher_scores,
)

from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.soft_labels import SoftLabels, entropy_share


def test_soft_labels_worked_by_hand():
    # The student has 8 and 0 (temperature 0.1), the teacher 4 : 1.
    scores = torch.tensor([[log(4), 0.0]])
    soft = SoftLabels(temperature=1.0, student_temperature=0.1)
    found = loss_of([EAST], [NEAR_EAST], [NORTH], labels=scores, soft_labels=soft)
    student = [1 / (1 + exp(-8)), 1 / (1 + exp(8))]
    divergence = sum(p * log(p / q) for p, q in zip([0.8, 0.2], student, strict=True))
    assert found == pytest.approx(log1p(exp(-8)) + divergence, rel=1e-5)


def test_soft_labels_in_turn_worked_by_hand():
    # The teacher puts the negative first: its target is 8 among 0 (and nothing else), then 0 is alone.
    scores = torch.tensor([[0.0, log(3)]])
    soft = SoftLabels(temperature=1.0, student_temperature=0.1, mode="m3")
    found = loss_of([EAST], [NORTH], [NEAR_EAST], labels=scores, soft_labels=soft)
    assert found == pytest.approx(log1p(exp(8)) + 0.75 * log1p(exp(-8)), rel=1e-5)


def test_the_teachers_own_temperature_follows_the_spread_of_its_scores():
    # Scores of 0 and 4 spread by 2, so that the temperature is 1; ten times as far apart they say the same.
    scores = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    for factor in (1, 10):
        found = SoftLabels().targets(factor * scores, factor * scores.std(correction=0))
        expected = 1 / (1 + exp(-4))
        assert found.diagonal().tolist() == pytest.approx([expected] * 2)
    assert SoftLabels().targets(torch.ones(1, 2), torch.zeros(())).tolist() == [[0.5, 0.5]]


def test_a_student_that_agrees_has_nothing_to_learn():
    targets = torch.tensor([[0.7, 0.2, 0.1]])
    soft = SoftLabels(student_temperature=0.02)
    agreeing = (0.02 * targets.log()).requires_grad_()
    divergence = soft.divergence(agreeing, targets)
    assert divergence.item() == pytest.approx(0, abs=1e-6)
    divergence.sum().backward()
    assert agreeing.grad.abs().max().item() < 1e-5


def test_entropy_is_told_as_a_share_of_the_greatest():
    assert entropy_share(torch.tensor([[0.5, 0.5]])).item() == pytest.approx(1)
    assert entropy_share(torch.tensor([[1.0, 0.0]])).item() == 0
    assert entropy_share(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).item() == pytest.approx(0.5)


def test_soft_labels_without_negatives_are_refused():
    vectors = columns(negatives=0)
    with pytest.raises(BadInput, match="soft labels without a column of negatives"):
        Contrastive(None, soft_labels=SoftLabels()).loss(vectors[0], vectors[1:], torch.ones(64, 1))


def test_hard_and_empty_soft_labels_are_warned_of():
    vectors = columns()
    for temperature, says in ((1e-2, "hard labels"), (1e3, "next to nothing")):
        objective = Contrastive(None, soft_labels=SoftLabels(temperature=temperature))
        with pytest.warns(UserWarning, match=says):
            objective.loss(vectors[0], vectors[1:], teacher_scores())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SoftLabels(weight=0), "give numbers above 0, or 'auto'"),
        (lambda: SoftLabels(temperature=0.0), "give numbers above 0, or 'auto'"),
        (lambda: SoftLabels(student_temperature=-1), "give numbers above 0"),
        (lambda: SoftLabels(mode="mse"), "'mse': give kl or m3"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(make, says):
    with pytest.raises(BadInput, match=says):
        make()
