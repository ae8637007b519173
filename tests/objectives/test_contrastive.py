from math import exp, log, log1p

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.nn.functional import normalize

from polyvec.objectives.contrastive import Contrastive

ANCHORS = [
    "a cat",
    "the old stone house by the lake",
    "run",
    "bread and fish on the table",
    "queen",
]
POSITIVES = [
    "a small cat sat in the garden of the queen, near the river, and slept in the sun all day long",
    "stone house",
    "to walk fast",
    "good food",
    "the woman who rules, and who lives in the big stone house with many doors; the king is away",
]
NEGATIVES = ["a dog", "wood house by the sea, all alone in the storm", "sleep", "bad food", "king"]

# Anchors and passages of length 1 whose cosines are those in the comments of each test.
EAST, NORTH = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
NEAR_EAST, NEAR_NORTH = torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8])


def loss_of(anchors, *passages, labels=None, **options):
    objective = Contrastive(None, **{"temperature": 0.1, "margin": 3.0, **options})
    labels = None if labels is None else torch.tensor(labels)
    return objective.loss(torch.stack(anchors), [torch.stack(p) for p in passages], labels).item()


def test_loss_of_two_pairs_worked_by_hand():
    # Cosines [[0.8, 0.6], [0.6, 0.8]], logits 8 and 6: -ln(e⁸ / (e⁸ + e⁶)) = ln(1 + e⁻²) each.
    assert loss_of([EAST, NORTH], [NEAR_EAST, NEAR_NORTH]) == pytest.approx(
        log1p(exp(-2)), rel=1e-5
    )
    # Crossed, the positive has 6 and the negative 8.
    assert loss_of([EAST, NORTH], [NEAR_NORTH, NEAR_EAST]) == pytest.approx(log1p(exp(2)), rel=1e-5)


def test_loss_with_a_column_of_negatives_worked_by_hand():
    # Every anchor faces both positives and both negatives: the logits of the first are 8, 6, 10, 0,
    # those of the second 6, 8, 0, 10, with the positive at 8.
    found = loss_of([EAST, NORTH], [NEAR_EAST, NEAR_NORTH], [EAST, NORTH])
    assert found == pytest.approx(log(exp(8) + exp(6) + exp(10) + exp(0)) - 8, rel=1e-5)


def test_two_columns_of_negatives_count_like_one_after_the_other():
    negatives = [EAST, NORTH], [NEAR_NORTH, EAST]
    found = loss_of([EAST, NORTH], [NEAR_EAST, NEAR_NORTH], *negatives)
    # First anchor: 8, 6 | 10, 0 | 6, 10. Second: 6, 8 | 0, 10 | 8, 0.
    first = log(sum(map(exp, [8, 6, 10, 0, 6, 10]))) - 8
    second = log(sum(map(exp, [6, 8, 0, 10, 8, 0]))) - 8
    assert found == pytest.approx((first + second) / 2, rel=1e-5)


def test_rows_with_equal_labels_are_no_negatives_of_one_another():
    pairs = [EAST, NORTH], [NEAR_EAST, NEAR_NORTH]
    assert loss_of(*pairs, labels=[7, 7]) == 0
    assert loss_of(*pairs, labels=[7, 8]) == loss_of(*pairs)


def test_equal_labels_mask_only_each_other():
    # Rows 0 and 2 ask the same and have 8 against 6 once each, row 1 has 8 against 6 twice.
    found = loss_of([EAST, NORTH, EAST], [NEAR_EAST, NEAR_NORTH, NEAR_EAST], labels=[1, 2, 1])
    worked = (log1p(exp(-2)) + log1p(2 * exp(-2)) + log1p(exp(-2))) / 3
    assert found == pytest.approx(worked, rel=1e-5)


def test_equal_labels_do_not_mask_explicit_negatives():
    found = loss_of([EAST, NORTH], [NEAR_EAST, NEAR_NORTH], [EAST, NORTH], labels=[7, 7])
    assert found == pytest.approx(log(exp(8) + exp(10) + exp(0)) - 8, rel=1e-5)


@pytest.mark.parametrize(
    ("margin", "masked"), [(0.1, True), (0.19, True), (0.21, False), (0.5, False)]
)
def test_a_negative_above_the_positive_by_more_than_the_margin_is_masked(margin, masked):
    # Positive 0.6, negative 0.8: above by 0.2.
    found = loss_of([EAST, NORTH], [NEAR_NORTH, NEAR_EAST], margin=margin)
    assert found == pytest.approx(0 if masked else log1p(exp(2)), rel=1e-5)


def test_the_margin_masks_explicit_negatives_too():
    # Positive 0.8, negatives 1 and 0; 1 is above by 0.2.
    found = loss_of([EAST, NORTH], [NEAR_EAST, NEAR_NORTH], [EAST, NORTH], margin=0.1)
    assert found == pytest.approx(log(exp(8) + exp(6) + exp(0)) - 8, rel=1e-5)


def test_what_is_masked_gets_no_gradient():
    anchors = torch.stack([EAST, NORTH])
    passages = torch.stack([NEAR_NORTH, NEAR_EAST]).requires_grad_()
    Contrastive(None, margin=0.1).loss(anchors, [passages]).backward()
    assert not passages.grad.any()


def test_the_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(4, 6, dtype=torch.float64, generator=generator) for _ in range(3)]
    columns = [row.requires_grad_() for row in rows]
    objective = Contrastive(None, temperature=0.2, margin=3.0)
    labels = torch.tensor([0, 1, 2, 1])

    def run(anchors, *passages):
        unit = [normalize(column, dim=1) for column in (anchors, *passages)]
        return objective.loss(unit[0], unit[1:], labels)

    assert torch.autograd.gradcheck(run, columns)


def test_cosines_are_not_rounded_under_autocast():
    generator = torch.Generator().manual_seed(0)
    anchors, passages = (
        normalize(torch.randn(8, 32, generator=generator), dim=1) for _ in range(2)
    )
    objective = Contrastive(None)
    exact = objective.loss(anchors, [passages])
    with torch.autocast("cpu", torch.bfloat16):
        assert objective.loss(anchors, [passages]) == exact


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model().eval()


def features_of(model, *columns):
    return [model.preprocess(list(column)) for column in columns]


def gradients(objective, *columns, labels=None, seed=None):
    objective.model.zero_grad()
    if seed is not None:
        torch.manual_seed(seed)
    loss = objective(features_of(objective.model, *columns), labels)
    loss.backward()
    return loss.item(), {
        n: p.grad.clone() for n, p in objective.model.named_parameters() if p.grad is not None
    }


def assert_same(found, expected, tolerance=1e-5):
    (loss, grads), (expected_loss, expected_grads) = found, expected
    assert loss == pytest.approx(expected_loss, abs=tolerance)
    assert grads.keys() == expected_grads.keys()
    for name, gradient in grads.items():
        assert torch.allclose(gradient, expected_grads[name], atol=tolerance), name


@pytest.mark.parametrize("columns", [(ANCHORS, POSITIVES), (ANCHORS, POSITIVES, NEGATIVES)])
def test_agrees_with_sentence_transformers_where_nothing_is_masked(model, columns):
    ours = Contrastive(model, temperature=0.05, margin=3.0)
    theirs = MultipleNegativesRankingLoss(model, scale=20)
    theirs.model = model
    assert_same(gradients(ours, *columns), gradients(theirs, *columns))


def test_the_order_of_rows_does_not_matter(model):
    objective = Contrastive(model, chunk_tokens=40)
    labels = torch.tensor([0, 1, 2, 1, 3])
    order = [3, 0, 4, 1, 2]
    shuffled = [[column[n] for n in order] for column in (ANCHORS, POSITIVES)]
    found = gradients(objective, *shuffled, labels=labels[order])
    assert_same(found, gradients(objective, ANCHORS, POSITIVES, labels=labels))


def test_labels_or_their_absence_reach_the_loss(model):
    objective = Contrastive(model)
    features = features_of(model, ANCHORS, POSITIVES)
    with torch.no_grad():
        assert objective(features, torch.zeros(5, dtype=torch.long)).item() == 0
        assert objective(features).item() > 0


def test_trains_in_sentence_transformers_own_trainer(tiny_model, tmp_path):
    model = tiny_model()
    rows = Dataset.from_dict(
        {
            "anchor": ANCHORS[:4],
            "positive": POSITIVES[:4],
            "negative_1": NEGATIVES[:4],
            "label": [0, 1, 2, 3],
        }
    )
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        max_steps=4,
        learning_rate=1e-2,
        logging_steps=1,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    objective = Contrastive(model, margin=3.0, recompute=True, chunk_tokens=30)
    before = gradients(objective, ANCHORS, POSITIVES)[0]
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=rows, loss=objective
    )
    trainer.train()
    model.eval()
    assert gradients(objective, ANCHORS, POSITIVES)[0] < before
    assert len([entry for entry in trainer.state.log_history if "loss" in entry]) == 4
