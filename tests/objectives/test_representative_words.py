from math import exp, log

import pytest
import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from torch import nn

from polyvec.errors import BadInput
from polyvec.objectives.representative_words import (
    RepresentativeWordsLoss,
    RepresentativeWordsPrediction,
    pair_loss,
)
from polyvec.objectives.word_masking import IGNORED
from polyvec.training.equal_budget import EqualBudget, train_equally

POSITIVE = ["cat garden", "stone", "river sea wind"]
NEGATIVE = ["dog moon", "queen", "bread fish table"]
DOCUMENTS = [
    "the cat walks in the garden",
    "the old house is made of stone, the big one too",
    "wind from the sea and rain on the river",
]
PREFERRED = list(zip(POSITIVE, DOCUMENTS, strict=True))
OTHER = list(zip(NEGATIVE, DOCUMENTS, strict=True))


@pytest.fixture(scope="module")
def body(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("body")
    tiny_model()[0].save(str(folder))
    return folder


@pytest.fixture
def ranker(body):
    torch.manual_seed(0)
    return CrossEncoder(str(body), num_labels=1, device="cpu").eval()


def features(model, *columns):
    return [model.preprocess(column) for column in columns]


def test_losses_worked_by_hand() -> None:
    better, worse = torch.tensor([2.0, 0.5]), torch.tensor([0.5, 1.0])
    assert pair_loss(better, worse, "hinge").item() == pytest.approx((0 + 1.5) / 2)
    # p- is 1 / (1 + e^1.5) and 1 / (1 + e^-.5)
    softmax = (2 / (1 + exp(1.5)) + 2 / (1 + exp(-0.5))) / 2
    assert pair_loss(better, worse, "softmax_margin").item() == pytest.approx(softmax)
    logistic = (log(1 + exp(-1.5)) + log(1 + exp(0.5))) / 2
    assert pair_loss(better, worse, "logistic").item() == pytest.approx(logistic)


def test_the_softmax_margin_is_the_authors_margin_between_probabilities() -> None:
    scores = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    probabilities = scores.softmax(dim=1)
    theirs = nn.MarginRankingLoss(margin=1.0)(
        probabilities[:, 0], probabilities[:, 1], torch.ones(9)
    )
    assert pair_loss(scores[:, 0], scores[:, 1], "softmax_margin") == pytest.approx(theirs.item())


@pytest.mark.parametrize("kind", ["hinge", "softmax_margin", "logistic"])
def test_gradients_are_those_of_finite_differences(kind) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = [
        torch.randn(5, dtype=torch.float64, generator=generator).requires_grad_() for _ in "ab"
    ]
    assert torch.autograd.gradcheck(lambda a, b: pair_loss(a, b, kind), scores)


def test_without_words_the_loss_is_that_of_the_models_scores(ranker) -> None:
    objective = RepresentativeWordsPrediction(ranker, mlm_weight=0, rop_weight=2.0).eval()
    found = objective(features(ranker, PREFERRED, OTHER))
    better, worse = (
        torch.from_numpy(ranker.predict(column, activation_fn=nn.Identity()))
        for column in (PREFERRED, OTHER)
    )
    assert found["rop"].item() == pytest.approx(2 * pair_loss(better, worse, "hinge").item())
    assert found["mlm"] == 0


def test_columns_of_texts_and_features_of_pairs_are_the_same(ranker) -> None:
    from_texts, from_pairs = (
        RepresentativeWordsPrediction(ranker, seed=5).eval()(given)
        for given in (
            [POSITIVE, NEGATIVE, DOCUMENTS],
            features(ranker, PREFERRED, OTHER),
        )
    )
    assert from_texts == from_pairs


def test_only_words_of_the_document_are_hidden(ranker) -> None:
    objective = RepresentativeWordsPrediction(ranker, share=0.5)
    ids = ranker.preprocess(PREFERRED)["input_ids"]
    separator = ranker.tokenizer.sep_token_id
    ends = (ids == separator).int().argmax(dim=1)
    touched = torch.zeros_like(ids, dtype=torch.bool)
    for _ in range(50):
        hidden, labels = objective.hide(ids)
        assert torch.equal(labels[labels != IGNORED], ids[labels != IGNORED])
        assert torch.equal(hidden[labels == IGNORED], ids[labels == IGNORED])
        touched |= labels != IGNORED
    for row, end in enumerate(ends.tolist()):
        last = end + 1 + int((ids[row, end + 1 :] == separator).int().argmax())
        assert not touched[row, : end + 1].any()
        assert touched[row, end + 1 : last].all()
        assert not touched[row, last:].any()


def test_pieces_of_a_word_are_hidden_together_up_to_a_share(ranker) -> None:
    objective = RepresentativeWordsPrediction(ranker, share=0.5)
    # [CLS] cat [SEP] cat ##s and dog ##s [SEP]: of 5 pieces of the document 2 are hidden at most.
    ids = ranker.preprocess([("cat", "cats and dogs")])["input_ids"].expand(200, -1)
    _, labels = objective.hide(ids)
    chosen = labels != IGNORED
    assert torch.equal(chosen[:, 3], chosen[:, 4])
    assert torch.equal(chosen[:, 6], chosen[:, 7])
    assert set(chosen.sum(dim=1).tolist()) <= {1, 2}
    assert chosen[:, 3].any()
    assert chosen[:, 5].any()
    assert chosen[:, 6].any()


def test_no_more_than_60_tokens_are_hidden(ranker) -> None:
    objective = RepresentativeWordsPrediction(ranker, share=0.15)
    tokenizer = ranker.tokenizer
    long = " ".join(["stone river cat dog"] * 150)
    ids = tokenizer([("sea", long)] * 2, return_tensors="pt")["input_ids"]
    _, labels = objective.hide(ids)
    assert (labels != IGNORED).sum(dim=1).tolist() == [60, 60]
    _, labels = objective.hide(ids[:, :203])
    assert (labels != IGNORED).sum(dim=1).tolist() == [30, 30]


def test_padding_and_batches_change_nothing(ranker) -> None:
    objective = RepresentativeWordsPrediction(ranker, mlm_weight=0).eval()
    together = objective(features(ranker, PREFERRED, OTHER))["rop"]
    alone = [
        objective(features(ranker, [better], [worse]))["rop"]
        for better, worse in zip(PREFERRED, OTHER, strict=True)
    ]
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), abs=1e-6)
    turned = objective(features(ranker, PREFERRED[::-1], OTHER[::-1]))["rop"]
    assert together.item() == pytest.approx(turned.item(), abs=1e-6)


def test_one_pass_gives_the_scores_and_the_vectors_that_they_come_from(ranker) -> None:
    objective = RepresentativeWordsPrediction(ranker).eval()
    given = ranker.preprocess(PREFERRED)
    scores, vectors = objective.encode(given)
    whole = ranker[0].auto_model
    pooled = whole.bert.pooler(vectors)
    assert torch.allclose(whole.classifier(pooled).flatten(), scores, atol=1e-6)
    assert not whole.bert._forward_hooks


def test_both_losses_reach_the_model_and_a_weight_of_zero_stops_one(ranker) -> None:
    for weights, moved, still in (
        ({}, ("classifier", "head"), ()),
        ({"rop_weight": 0.0}, ("head",), ("classifier",)),
        ({"mlm_weight": 0.0}, ("classifier",), ("head",)),
    ):
        objective = RepresentativeWordsPrediction(ranker, **weights).train()
        objective.zero_grad()
        sum(objective([POSITIVE, NEGATIVE, DOCUMENTS]).values()).backward()
        grads = {
            "classifier": ranker[0].auto_model.classifier.weight.grad,
            "head": next(objective.head.transform.parameters()).grad,
        }
        for name in moved:
            assert grads[name].any(), (weights, name)
        for name in still:
            assert grads[name] is None or not grads[name].any(), (weights, name)
        assert ranker[0].auto_model.bert.embeddings.word_embeddings.weight.grad.any()


def test_what_is_hidden_follows_the_seed(ranker) -> None:
    ids = ranker.preprocess(PREFERRED)["input_ids"]
    same = [RepresentativeWordsPrediction(ranker, seed=seed).hide(ids)[1] for seed in (1, 1, 2)]
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], same[2])


def test_it_learns_and_what_was_saved_scores_the_same(ranker, tmp_path) -> None:
    objective = RepresentativeWordsPrediction(ranker)
    train_equally(
        objective, [PREFERRED, OTHER], EqualBudget(steps=30), batch=3, learning_rate=3e-3, seed=0
    )
    better, worse = (
        ranker.predict(column, activation_fn=nn.Identity()) for column in (PREFERRED, OTHER)
    )
    assert (better > worse).all()
    ranker.save_pretrained(str(tmp_path), create_model_card=False)
    again = CrossEncoder(str(tmp_path), device="cpu")
    assert again.predict(PREFERRED, activation_fn=nn.Identity()) == pytest.approx(better, abs=1e-6)


def test_the_trainer_of_cross_encoders_takes_it(ranker, tmp_path) -> None:
    rows = Dataset.from_dict({"positive": POSITIVE, "negative": NEGATIVE, "document": DOCUMENTS})
    before = ranker.predict(PREFERRED)
    trainer = CrossEncoderTrainer(
        model=ranker,
        args=CrossEncoderTrainingArguments(
            str(tmp_path), max_steps=2, learning_rate=1e-2, report_to=[], save_strategy="no"
        ),
        train_dataset=rows,
        loss=RepresentativeWordsPrediction(ranker),
    )
    trainer.train()
    assert (ranker.predict(PREFERRED) != before).all()


def test_rankers_and_settings_that_make_no_sense(ranker, body) -> None:
    several = CrossEncoder(str(body), num_labels=3, device="cpu")
    with pytest.raises(BadInput, match="a cross-encoder with 3 outputs: a ranker has 1"):
        RepresentativeWordsPrediction(several)
    with pytest.raises(BadInput, match="loss 'pointwise': give hinge, softmax_margin, logistic"):
        RepresentativeWordsPrediction(ranker, rop_loss="pointwise")
    with pytest.raises(BadInput, match="weights 0 and 0: give 0 or more, and not 0 twice"):
        RepresentativeWordsPrediction(ranker, rop_weight=0, mlm_weight=0)
    objective = RepresentativeWordsPrediction(ranker)
    for columns in ([POSITIVE, NEGATIVE], features(ranker, PREFERRED, OTHER, OTHER)):
        with pytest.raises(BadInput, match=f"{len(columns)} columns: give the texts of positive"):
            objective(columns)


class Vectors(nn.Module):
    """A model whose features are its vectors."""

    def forward(self, given):
        return {"sentence_embedding": given["vectors"]}


def columns_of(*vectors):
    return [{"vectors": torch.tensor([vector])} for vector in vectors]


def test_gaps_of_a_bi_encoder_worked_by_hand() -> None:
    # Scores 1 * 1 + 2 * 3 = 7 and 0 * 1 + 1 * 3 = 3, so the gap is 4.
    given = columns_of([1.0, 2.0], [0.0, 1.0], [1.0, 3.0])
    loss = RepresentativeWordsLoss(Vectors(), gap_scale=2.0)
    assert loss(given, torch.tensor([2.5])).item() == pytest.approx((4 - 5) ** 2)
    assert RepresentativeWordsLoss(Vectors(), "hinge")(given).item() == 0
    turned = [given[1], given[0], given[2]]
    assert RepresentativeWordsLoss(Vectors(), "hinge")(turned).item() == pytest.approx(5)


def test_a_bi_encoder_learns_from_gaps(tiny_model) -> None:
    model = tiny_model()
    objective = RepresentativeWordsLoss(model, gap_scale=0.1)
    columns = [POSITIVE, NEGATIVE, DOCUMENTS]
    losses = train_equally(
        objective,
        columns,
        EqualBudget(steps=30),
        batch=3,
        learning_rate=3e-3,
        seed=0,
        labels=[20, 30, 25],
    )
    assert losses[-1] < losses[0] / 2


def test_what_a_bi_encoder_cannot_learn_from() -> None:
    given = columns_of([1.0], [1.0], [1.0])
    with pytest.raises(BadInput, match="margin_mse compares with gaps: give a column label"):
        RepresentativeWordsLoss(Vectors())(given)
    with pytest.raises(BadInput, match="2 columns: give positive, negative and document"):
        RepresentativeWordsLoss(Vectors())(given[:2])
    with pytest.raises(BadInput, match="loss 'mse': give margin_mse, hinge, softmax_margin"):
        RepresentativeWordsLoss(Vectors(), "mse")
