"""In-batch softmax with inner products, popular passages, several labels a row, both ways, and over ranks."""

from math import exp, log, log1p

import pytest
import torch

from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive

# Inner products of the anchors (rows) with the passages: [[2, 1], [0, 3]].
ANCHORS = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
PASSAGES = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
WORKED = (log1p(exp(-1)) + log1p(exp(-3))) / 2


def sampled(**options):
    return Contrastive(None, temperature=1.0, margin=None, similarity="dot", **options)


def loss_of(*passages, labels=None, **options):
    labels = None if labels is None else torch.tensor(labels)
    return sampled(**options).loss(ANCHORS, list(passages), labels).item()


def test_inner_products_worked_by_hand():
    # First: -ln(e² / (e² + e¹)) = ln(1 + e⁻¹). Second: -ln(e³ / (e⁰ + e³)) = ln(1 + e⁻³).
    assert loss_of(PASSAGES) == pytest.approx(WORKED, rel=1e-6)


def test_popular_passages_worked_by_hand():
    # Passage 0 is expected 4 times a batch, passage 1 half a time: logits [[2 - ln 4, 1 - ln ½], [0 - ln 4, 3 - ln ½]].
    first = log1p(exp((1 + log(2)) - (2 - log(4))))
    second = log1p(exp((0 - log(4)) - (3 + log(2))))
    counts = torch.tensor([9.0, 4.0, 0.5])
    found = loss_of(PASSAGES, labels=[1, 2], expected_counts=counts)
    assert found == pytest.approx((first + second) / 2, rel=1e-6)
    # Of several labels the last is the passage's.
    several = loss_of(PASSAGES, labels=[[7, 1], [8, 2]], expected_counts=counts)
    assert several == pytest.approx(found)


def test_equal_popularity_changes_nothing():
    counts = torch.full((2,), 3.0)
    found = loss_of(PASSAGES, labels=[0, 1], expected_counts=counts)
    assert found == pytest.approx(WORKED, rel=1e-6)


def test_columns_of_negatives_are_not_corrected():
    # Logits of the first: 2 - ln 4, 1 - ln 4 | 1, 0; of the second: 0 - ln 4, 3 - ln 4 | 0, 1.
    first = log(exp(2 - log(4)) + exp(1 - log(4)) + exp(1) + exp(0)) - 2 + log(4)
    second = log(exp(0 - log(4)) + exp(3 - log(4)) + exp(0) + exp(1)) - 3 + log(4)
    found = loss_of(PASSAGES, ANCHORS, labels=[0, 1], expected_counts=torch.tensor([4.0, 4.0]))
    assert found == pytest.approx((first + second) / 2, rel=1e-6)


def test_both_ways_worked_by_hand():
    # The other way, passages ask for anchors: columns [2, 0] and [1, 3].
    back = (log1p(exp(-2)) + log1p(exp(-2))) / 2
    assert loss_of(PASSAGES, symmetric=True) == pytest.approx((WORKED + back) / 2, rel=1e-6)


def test_masks_hold_both_ways():
    assert loss_of(PASSAGES, labels=[5, 5], symmetric=True) == 0


@pytest.mark.parametrize(
    ("labels", "masked"),
    [
        ([[1, 10], [2, 20]], False),
        ([[1, 10], [1, 20]], True),  # of one page
        ([[1, 10], [2, 10]], True),  # the same passage
        ([[1, 2], [2, 1]], False),  # a page is not compared with a passage
    ],
)
def test_rows_that_agree_in_one_of_several_labels_are_no_negatives(labels, masked):
    assert loss_of(PASSAGES, labels=labels) == pytest.approx(0 if masked else WORKED, rel=1e-6)


def test_the_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    columns = [
        torch.randn(4, 3, dtype=torch.float64, generator=generator).requires_grad_()
        for _ in range(3)
    ]
    counts = torch.rand(5, dtype=torch.float64, generator=generator) + 0.1
    objective = sampled(symmetric=True, expected_counts=counts)
    labels = torch.tensor([[0, 1], [0, 2], [3, 3], [4, 3]])
    assert torch.autograd.gradcheck(
        lambda anchors, *passages: objective.loss(anchors, list(passages), labels), columns
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"similarity": "l2"}, r"^similarity 'l2': give cos or dot$"),
        ({"similarity": "dot"}, r"similarity='dot' with a margin of 0.1: .*give margin=None"),
        ({"expected_counts": torch.tensor([1.0, 0.0])}, r"give counts above 0"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(options, says):
    with pytest.raises(BadInput, match=says):
        Contrastive(None, **options)


def test_a_batch_of_one_row_is_refused_unless_it_brings_negatives():
    one = ANCHORS[:1]
    with pytest.raises(
        BadInput, match=r"1 row without negatives: .* give 2 rows or more, or a col"
    ):
        sampled().loss(one, [PASSAGES[:1]])
    assert sampled().loss(one, [PASSAGES[:1], PASSAGES[1:]]) == pytest.approx(log1p(exp(-1)))


def test_correction_without_labels_is_refused():
    with pytest.raises(BadInput, match="without labels: give a label a row"):
        loss_of(PASSAGES, expected_counts=torch.tensor([1.0]))


def test_vectors_keep_their_length_and_chunks_change_nothing(tiny_model):
    model = tiny_model().eval()
    texts = ["a cat", "the old stone house by the lake", "run", "bread and fish on the table"]
    others = ["a small cat sat in the garden of the queen", "stone house", "walk fast", "good food"]
    found = []
    for options in ({}, {"recompute": True, "chunk_tokens": 8}):
        objective = Contrastive(
            model, 1.0, margin=None, similarity="dot", symmetric=True, **options
        )
        model.zero_grad()
        loss = objective([model.preprocess(texts), model.preprocess(others)])
        loss.backward()
        found.append(
            [
                loss.detach(),
                *(
                    p.grad.clone()
                    for p in model.parameters()
                    if p.requires_grad and p.grad is not None
                ),
            ]
        )
    for plain, chunked in zip(*found, strict=True):
        assert torch.allclose(plain, chunked, atol=1e-5)
    with torch.no_grad():
        vectors = [model.encode(column, convert_to_tensor=True) for column in (texts, others)]
        expected = sampled(symmetric=True).loss(vectors[0], vectors[1:])
    assert found[0][0] == pytest.approx(expected.item(), abs=1e-4)
