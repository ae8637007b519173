"""What the contrastive objective carries from step to step, and what it refuses."""

import pytest
import torch
from tests.objectives.contrastive_vectors import (
    EAST,
    LABELS,
    NEAR_EAST,
    NEAR_NORTH,
    NORTH,
    ROWS,
    columns,
    teacher_scores,
)

from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.objectives.own_weights import load_own_weights, own_weights, save_own_weights
from polyvec.objectives.progressive_weight import Curricular
from polyvec.objectives.soft_labels import SoftLabels


def test_the_running_average_moves_once_a_step_and_only_in_training():
    vectors = columns(dtype=torch.float32)
    progressive, mixing = Curricular(ema=0.25), NegativeMixing()
    objective = Contrastive(
        None, progressive=progressive, mixing=mixing, matryoshka=Matryoshka([12, 6]), block_rows=5
    )
    mean = torch.nn.functional.cosine_similarity(vectors[0], vectors[1]).mean().item()
    objective.loss(vectors[0], vectors[1:])
    assert progressive.t.item() == pytest.approx(0.25 * mean)
    assert objective.trace["t"] == pytest.approx(0.25 * mean)
    objective.loss(vectors[0], vectors[1:])
    assert progressive.t.item() == pytest.approx((0.25 + 0.75 * 0.25) * mean)
    assert mixing.step.item() == 2
    with torch.no_grad():
        objective.loss(vectors[0], vectors[1:])
    objective.eval().loss(vectors[0], vectors[1:])
    assert progressive.t.item() == pytest.approx((0.25 + 0.75 * 0.25) * mean)
    assert mixing.step.item() == 2


def test_what_moves_is_saved_beside_the_model(tiny_model, tmp_path):
    def make():
        model = tiny_model()
        terms = {"progressive": Curricular(ema=0.5), "mixing": NegativeMixing(seed=5)}
        return Contrastive(model, **terms)

    objective = make()
    vectors = columns(dtype=torch.float32)
    objective.loss(vectors[0], vectors[1:])
    assert own_weights(objective).keys() == {"progressive.t", "mixing.step"}
    save_own_weights(objective, tmp_path)
    again = make()
    assert load_own_weights(again, tmp_path)
    assert again.progressive.t == objective.progressive.t
    losses = [o.loss(vectors[0], vectors[1:]).item() for o in (objective, again)]
    assert losses[0] == losses[1]
    assert not own_weights(Contrastive(tiny_model()))


def test_an_anchor_without_negatives_counts_as_nothing_and_is_counted():
    pairs = [EAST, NORTH, EAST], [NEAR_EAST, NEAR_NORTH, EAST]
    objective = Contrastive(
        None,
        0.1,
        focal=FocalWeight(gamma=0.5, detach=False),
        progressive=Curricular(),
    )
    vectors = [torch.stack(column).requires_grad_() for column in pairs]
    loss = objective.loss(vectors[0], vectors[1:], torch.tensor([1, 1, 1]))
    loss.backward()
    assert loss.item() == 0
    assert objective.trace["rows_without_negatives"] == 3
    assert not any(column.grad.any() for column in vectors)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Contrastive(None, 0), "temperature=0: give a number above 0"),
        (lambda: Contrastive(None, block_rows=0), "block_rows=0: give 1 or more"),
        (lambda: Contrastive(None, chunk_tokens=0), "chunk_tokens=0: give 1 or more"),
        (
            lambda: Contrastive(None, similarity="dot", margin=None, progressive=Curricular()),
            "similarity='dot' with progressive=Curricular: it is made for cosines",
        ),
        (
            lambda: Contrastive(None, similarity="dot", margin=None, mixing=NegativeMixing()),
            "similarity='dot' with mixing=NegativeMixing",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(make, says):
    with pytest.raises(BadInput, match=says):
        make()


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        (torch.zeros(ROWS), {}, "a teacher's scores need soft_labels=SoftLabels()"),
        (None, {"soft_labels": SoftLabels()}, r"soft labels without a teacher's scores.*\(64, 4\)"),
        (LABELS, {"soft_labels": SoftLabels()}, "soft labels without a teacher's scores"),
        (
            torch.zeros(ROWS, 2),
            {"soft_labels": SoftLabels()},
            r"shape \(64, 2\) for 64 rows with 4 passages each",
        ),
        (
            teacher_scores().index_fill(0, torch.tensor([5]), torch.nan),
            {"soft_labels": SoftLabels()},
            "row 5 of the batch: the teacher's score of passage 0 is nan; give one for each of the 4",
        ),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(labels, options, says):
    vectors = columns()
    with pytest.raises(BadInput, match=says):
        Contrastive(None, **options).loss(vectors[0], vectors[1:], labels)


def test_a_loss_that_is_no_number_is_refused_and_says_where_it_comes_from():
    vectors = columns()
    vectors[3].data[7, 2] = torch.inf
    with pytest.raises(
        BadInput, match=r"vector of column negative_2, row 7 .* lower learning rate"
    ):
        Contrastive(None).loss(vectors[0], vectors[1:])
