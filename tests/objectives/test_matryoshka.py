from math import log

import pytest
import torch
from tests.objectives.contrastive_vectors import (
    EAST,
    LABELS,
    NEAR_EAST,
    NEAR_NORTH,
    ROWS,
    WIDTH,
    columns,
    loss_of,
)

from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.matryoshka import Matryoshka


def test_matryoshka_worked_by_hand():
    # At one number EAST, (0.8, …) and (0.6, …) all become 1: the loss is ln 2 for each row whose first number is
    # above 0. At two it is the usual one.
    pairs = [EAST, NEAR_EAST], [NEAR_EAST, NEAR_NORTH]
    found = loss_of(*pairs, matryoshka=Matryoshka([2, 1], [1.0, 0.5]))
    assert found == pytest.approx(loss_of(*pairs) + 0.5 * log(2), rel=1e-5)


def test_prefixes_are_cut_before_vectors_get_unit_length():
    vectors = columns(dtype=torch.float32)
    longer = [torch.linspace(0.1, 5, ROWS)[:, None] * column for column in vectors]
    objective = Contrastive(None, matryoshka=Matryoshka([WIDTH, 5]))
    found = [objective.loss(v[0], v[1:], LABELS).item() for v in (vectors, longer)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize(
    ("width", "dims"),
    [
        (896, [896, 512, 256, 128, 64]),
        (384, [384, 192, 96]),
        (576, [576, 288, 144, 72]),
        (64, [64]),
        (32, [32]),
        (4096, [4096, 2048, 1024, 512, 256, 128, 64]),
    ],
)
def test_widths_fall_by_half_and_keep_their_weights(width, dims):
    found = Matryoshka().parts(width)
    assert [dim for dim, _ in found] == dims
    assert [weight for _, weight in found] == [1.0, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1][: len(dims)]


def test_given_widths_and_weights_are_kept():
    assert Matryoshka([10, 3], [0.5, 2.0]).parts(10) == [(10, 0.5), (3, 2.0)]
    assert Matryoshka([8, 3]).parts(10) == [(8, 1.0), (3, 0.3)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Matryoshka([64, 128]), "widths that fall"),
        (lambda: Matryoshka([64, 0]), "widths that fall and are 1 or more"),
        (lambda: Matryoshka([]), "widths that fall"),
        (lambda: Matryoshka([64], [1.0, 0.5]), "2 weights for 1 widths: give as many"),
        (lambda: Matryoshka(None, [1.0]), "1 weights for no widths"),
        (lambda: Matryoshka([64, 32], [1.0, -0.5]), "give weights of 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(make, says):
    with pytest.raises(BadInput, match=says):
        make()


def test_wider_prefixes_than_the_model_has_are_refused_when_it_is_built(tiny_model):
    with pytest.raises(
        BadInput, match=r"dims=\[64\] of vectors with 32 numbers: give widths up to 32"
    ):
        Contrastive(tiny_model(), matryoshka=Matryoshka([64]))
