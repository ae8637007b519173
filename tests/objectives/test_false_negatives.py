import pytest
import torch

from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.false_negatives import FalseNegatives, text_numbers

SCORES = torch.tensor([[0.5, 0.65, 0.4, 0.7], [0.2, 0.3, 0.9, 0.1]])
OWN = torch.tensor([[0], [1]])


def masked(**known):
    options = {"positives": SCORES[:, :2].diagonal(), "own": OWN, "margin": None, **known}
    return FalseNegatives(**options).masked(slice(0, 2), SCORES.clone()).int().tolist()


def test_own_columns_are_no_negatives():
    assert masked() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert masked(own=torch.tensor([[0, 2], [1, 3]])) == [[1, 0, 1, 0], [0, 1, 0, 1]]


def test_the_margin_worked_by_hand():
    # Positives 0.5 and 0.3: 0.65 and 0.7 are above the first by 0.15 and 0.2, 0.9 above the second by 0.6.
    assert masked(margin=0.1) == [[1, 1, 0, 1], [0, 1, 1, 0]]
    assert masked(margin=0.18) == [[1, 0, 0, 1], [0, 1, 1, 0]]
    assert masked(margin=0.6001) == [[1, 0, 0, 0], [0, 1, 0, 0]]


def test_rows_that_share_a_key_hide_the_answers_of_one_another_and_texts_hide_negatives():
    keys = torch.tensor([[1, 7], [2, 7]])
    assert masked(keys=keys, all_keys=keys) == [[1, 1, 0, 0], [1, 1, 0, 0]]
    crossed = torch.tensor([[1, 2], [2, 1]])  # compared each with its like
    assert masked(keys=crossed, all_keys=crossed) == [[1, 0, 0, 0], [0, 1, 0, 0]]
    texts = {"texts": torch.tensor([5, 6]), "other_texts": torch.tensor([6, 5])}
    assert masked(**texts) == [[1, 0, 0, 1], [0, 1, 1, 0]]


def padded(rows, side, extra=0):
    """Token numbers and mask, with the padding on a side."""
    length = max(map(len, rows)) + extra
    ids, mask = torch.zeros(len(rows), length).long(), torch.zeros(len(rows), length).long()
    for number, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(length - len(row), None)
        ids[number, place] = torch.tensor(row)
        mask[number, place] = 1
    return {"input_ids": ids, "attention_mask": mask, "modality": "text"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_numbers_of_texts_do_not_depend_on_padding(side):
    rows = [[5, 6], [5, 6, 7], [6, 5], [5], [5, 6]]
    numbers = text_numbers(padded(rows, "right"))
    assert torch.equal(numbers, text_numbers(padded(rows, side, extra=3)))
    assert numbers[0] == numbers[4]
    assert len(numbers.unique()) == 4


def test_unlike_texts_have_unlike_numbers():
    rows = torch.cartesian_prod(torch.arange(60), torch.arange(60), torch.arange(20))
    assert len(text_numbers({"input_ids": rows}).unique()) == len(rows)


@pytest.mark.parametrize(
    "features",
    [
        {"numbers": torch.ones(2, 3)},
        {"input_ids": torch.ones(6).long(), "offsets": torch.tensor([0, 3])},
        {"input_ids": torch.ones(2, 3).long(), "pixel_values": torch.ones(2, 3, 4, 4)},
        {"input_ids": torch.ones(2, 3).long(), "weights": torch.ones(2, 3)},
    ],
)
def test_inputs_that_are_not_tokens_alone_have_no_numbers(features):
    assert text_numbers(features) is None


def loss_and_trace(model, *columns, **options):
    objective = Contrastive(model, margin=None, **options)
    with torch.no_grad():
        loss = objective([model.preprocess(list(column)) for column in columns])
    return loss.item(), objective.trace


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model().eval()


def test_the_same_text_is_no_negative_of_itself(model):
    # Row 2 has the positive of row 0 (so each hides the other's), and the negative of row 1 is that text too.
    anchors = ["a cat", "the sea", "a small cat"]
    positives = ["cat in the garden", "water", "cat in the garden"]
    negatives = ["dog", "cat in the garden", "house"]
    loss, trace = loss_and_trace(model, anchors, positives, negatives)
    # Of 5 negatives of each of 3 rows: rows 0 and 2 miss one positive and one negative each.
    assert trace["masked_share"] == pytest.approx(4 / 15)
    other, unmasked = loss_and_trace(model, anchors, positives, negatives, mask_duplicates=False)
    assert unmasked["masked_share"] == 0
    assert loss < other


def test_answers_to_the_same_question_do_not_stand_against_one_another(model):
    questions = ["a cat", "a cat", "the sea"]
    _, trace = loss_and_trace(model, questions, ["small cat", "cat run", "water"])
    assert trace["masked_share"] == pytest.approx(2 / 6)
    _, trace = loss_and_trace(
        model, questions, ["small cat", "cat run", "water"], expanded=True, symmetric=True
    )
    assert trace["masked_share"] == pytest.approx(6 / 18)


def test_other_texts_are_left_alone(model):
    _, trace = loss_and_trace(model, ["a cat", "the sea"], ["small cat", "water"], ["dog", "house"])
    assert trace["masked_share"] == 0
