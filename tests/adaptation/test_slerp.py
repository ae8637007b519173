import math

import pytest
import torch

from polyvec.adaptation.slerp import slerp_coefficients

RIGHT_ANGLE = torch.eye(2, dtype=torch.float64)


def length(coefficients, gram):
    return float((coefficients @ gram @ coefficients).sqrt())


def test_two_at_a_right_angle_keep_their_length():
    found = slerp_coefficients(RIGHT_ANGLE, [1, 1])
    assert found.tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    # A third of the way: sin 60° of the first, sin 30° of the second.
    assert slerp_coefficients(RIGHT_ANGLE, [2, 1]).tolist() == pytest.approx(
        [math.sqrt(3) / 2, 0.5]
    )


def test_a_larger_weight_is_more_of_that_model():
    first, second = slerp_coefficients(RIGHT_ANGLE, [1, 3]).tolist()
    assert second > first


def test_the_third_meets_what_was_merged_before():
    gram = torch.eye(3, dtype=torch.float64)
    found = slerp_coefficients(gram, [1, 1, 2])
    # The first two weigh 1 on average, the third 2: two thirds of a right angle towards it.
    before = math.sin(math.radians(30)) * math.sqrt(0.5)
    assert found.tolist() == pytest.approx([before, before, math.sin(math.radians(60))])
    assert length(found, gram) == pytest.approx(1)


def test_parallel_vectors_are_merged_on_the_line():
    gram = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64)
    assert slerp_coefficients(gram, [1, 1]).tolist() == pytest.approx([0.5, 0.5])


def test_vectors_are_not_brought_to_one_length():
    gram = torch.diag(torch.tensor([1.0, 9.0], dtype=torch.float64))
    assert slerp_coefficients(gram, [1, 1]).tolist() == pytest.approx([math.sqrt(0.5)] * 2)


def test_gradients_by_the_weights_are_right():
    rows = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([0.7, 1.0, 1.6], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda given: slerp_coefficients(rows @ rows.T, given), [weights]
    )
