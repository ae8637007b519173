"""DupMAE: its three losses on a text of six tokens, by hand."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import TinyArchitecture

from polyvec.errors import BadInput
from polyvec.objectives.dupmae import DupMAE, bag_loss, bags_of_words
from polyvec.objectives.retromae import RetroMAE
from polyvec.objectives.word_masking import IGNORED

SIX = "sea cat sea river"
"""With [CLS] and [SEP] six tokens."""


@pytest.fixture
def model(tiny_architecture: TinyArchitecture) -> SentenceTransformer:
    return tiny_architecture("bert")[1]


def features_of(model: SentenceTransformer, *texts: str) -> dict[str, Any]:
    return dict(model.preprocess(list(texts)))


def by_hand(logits: list[float], wanted: int) -> float:
    """Cross-entropy of one word."""
    largest = max(logits)
    return log(sum(exp(logit - largest) for logit in logits)) + largest - logits[wanted]


@pytest.mark.parametrize(("target", "weights"), [("set", (1, 1, 1)), ("count", (2, 1, 1))])
def test_the_losses_of_six_tokens_by_hand(model, target: Any, weights: tuple[int, ...]) -> None:
    features = features_of(model, SIX)
    ids = features["input_ids"][0].tolist()
    assert len(ids) == 6
    objective = DupMAE(model, bag_target=target, encoder_mask=0.5, seed=4).eval()
    found = objective([features])

    again = DupMAE(model, bag_target=target, encoder_mask=0.5, seed=4).eval()
    vectors, labels = again.encode(features)
    logits: list[list[float]] = again.head(vectors)[0].tolist()
    hidden = [place for place in range(6) if labels[0, place] != IGNORED]
    assert len(hidden) == 2  # half of four
    mlm = sum(by_hand(logits[place], ids[place]) for place in hidden) / 2
    assert found["mlm"].item() == pytest.approx(mlm, abs=1e-4)

    rebuilt, _ = again.decode(features, vectors[:, 0])
    told: list[list[float]] = again.head(rebuilt)[0].tolist()
    decoder = sum(by_hand(told[place], ids[place]) for place in (1, 2, 3, 4)) / 4
    assert found["decoder"].item() == pytest.approx(decoder, abs=1e-4)

    # The largest logit of each word over the four ordinary tokens; [CLS] and [SEP] are left out.
    strongest = [
        max(logits[place][word] for place in (1, 2, 3, 4)) for word in range(len(logits[0]))
    ]
    sea, cat, river = ids[1], ids[2], ids[4]
    bag = sum(
        weight / 4 * by_hand(strongest, word)
        for weight, word in zip(weights, (sea, cat, river), strict=True)
    )
    assert found["bag"].item() == pytest.approx(0.1 * bag, abs=1e-4)


def test_bags_of_words_by_hand() -> None:
    ids = torch.tensor([[0, 4, 2, 4, 1, 3], [0, 2, 1, 3, 3, 3]])
    content = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0]]).bool()
    thirds = bags_of_words(ids, content, 5, "set")
    assert torch.allclose(thirds, torch.tensor([[0, 0, 1, 0, 1], [0, 0, 3, 0, 0]]) / 3)
    counted = bags_of_words(ids, content, 5, "count")
    assert torch.allclose(counted, torch.tensor([[0, 0, 1, 0, 2], [0, 0, 3, 0, 0]]) / 3)


def test_texts_without_words_do_not_thin_the_mean() -> None:
    logits = torch.tensor([[2.0, 0.0], [5.0, 1.0]])
    full = bag_loss(logits[:1], torch.tensor([[1.0, 0.0]]))
    thinned = bag_loss(logits, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert full.item() == thinned.item() == pytest.approx(log(1 + exp(-2)))
    assert bag_loss(logits, torch.zeros(2, 2)).item() == 0


def test_the_first_two_losses_are_retromaes(model) -> None:
    features = features_of(model, SIX, "the old stone house by the lake")
    retro, dup = (kind(model, seed=2).eval()([features]) for kind in (RetroMAE, DupMAE))
    assert retro["mlm"].item() == dup["mlm"].item()
    assert retro["decoder"].item() == dup["decoder"].item()


def test_the_bag_reaches_every_part_of_encoder_and_head(model) -> None:
    objective = DupMAE(model)
    objective([features_of(model, SIX)])["bag"].backward()
    assert all(weight.grad is not None for weight in objective.head.parameters())
    first = model[0].auto_model.embeddings.word_embeddings.weight
    assert first.grad is not None
    assert all(weight.grad is None for weight in objective.decoder.parameters())


def test_padding_and_other_texts_change_no_bag(model) -> None:
    """With nothing hidden, which chance would hide elsewhere in another batch."""

    def bag_of(*texts: str) -> float:
        objective = DupMAE(model, encoder_mask=0.01).eval()
        features = features_of(model, *texts)
        vectors = objective.model(dict(features))["token_embeddings"]
        # The bag's loss of vectors that were read whole.
        objective.encode = lambda given: (vectors, torch.full_like(given["input_ids"], IGNORED))
        found: float = objective([features])["bag"].item()
        return found

    long = "the old stone house by the lake, and a boat on the river in the storm"
    alone, other = bag_of(SIX), bag_of(long)
    assert bag_of(SIX, long) == pytest.approx((alone + other) / 2, abs=1e-5)
    assert bag_of(long, SIX) == pytest.approx((alone + other) / 2, abs=1e-5)
    assert bag_of(SIX, "cat", "") == pytest.approx(alone, abs=1e-5)  # short texts are skipped


def test_a_target_that_makes_no_sense(model) -> None:
    with pytest.raises(BadInput, match="bag target 'tfidf': give 'set' or 'count'"):
        DupMAE(model, bag_target="tfidf")  # type: ignore[arg-type]
