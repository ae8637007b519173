"""Heads learn tags from frozen word vectors, and entities are counted as seqeval counts them."""

import numpy as np
import pytest
import torch
from seqeval.metrics import f1_score
from tests.conftest import TinyModel
from torch import nn

from polyvec.errors import BadInput
from polyvec.evaluation.suites.tagging import (
    entity_counts,
    predict_tags,
    tag_scores,
    train_head,
    word_counts,
    word_vectors,
)

GOLD = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]]
FOUND = [["B-PER", "I-PER", "O", "B-ORG"], ["B-LOC", "B-LOC"]]


def test_entities_by_hand() -> None:
    assert entity_counts(GOLD, FOUND).tolist() == [[1, 2, 2], [1, 2, 1]]
    # 2 right of 4 found and 3 true.
    assert tag_scores(GOLD, FOUND)["f1"] == pytest.approx(4 / 7)
    assert tag_scores(GOLD, FOUND)["precision"] == pytest.approx(2 / 4)
    assert tag_scores(GOLD, FOUND)["recall"] == pytest.approx(2 / 3)


def test_f1_is_seqevals() -> None:
    rng = np.random.default_rng(0)
    tags = np.array(["O", "B-A", "I-A", "B-B", "I-B"])
    gold, found = (tags[rng.integers(5, size=(30, 12))].tolist() for _ in range(2))
    assert tag_scores(gold, found)["f1"] == pytest.approx(f1_score(gold, found))


def test_words_by_hand() -> None:
    assert word_counts(GOLD, FOUND).tolist() == [[3, 4, 4], [1, 2, 2]]
    assert tag_scores(GOLD, FOUND)["accuracy"] == pytest.approx(4 / 6)


def test_nothing_found_is_0() -> None:
    assert tag_scores([["O"]], [["O"]])["f1"] == 0.0


def _sentences(seed: int, rule: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    vectors = [torch.randn(6, 4, generator=generator) for _ in range(200)]
    own = [(vector[:, 0] > 0).long() for vector in vectors]
    if rule == "own":
        return vectors, own
    return vectors, [torch.cat([torch.zeros(1).long(), tags[:-1]]) for tags in own]


def _accuracy(kind: str, rule: str) -> float:
    head = train_head(*_sentences(0, rule), tags=2, kind=kind)  # type: ignore[arg-type]
    vectors, targets = _sentences(1, rule)
    right = [
        torch.tensor(found) == t
        for found, t in zip(predict_tags(head, vectors), targets, strict=True)
    ]
    return float(torch.cat(right).float().mean())


def test_a_linear_head_learns_what_a_word_shows() -> None:
    assert _accuracy("linear", "own") > 0.95


def test_only_the_bilstm_sees_the_word_before() -> None:
    assert _accuracy("bilstm", "before") > 0.9
    assert _accuracy("linear", "before") < 0.7


def test_padding_changes_nothing() -> None:
    head = train_head(*_sentences(0, "own"), tags=2)
    vectors, _ = _sentences(1, "own")
    short, long = vectors[0][:2], vectors[1]
    assert predict_tags(head, [short, long])[0] == predict_tags(head, [short])[0]


def test_scale_of_the_vectors_changes_nothing() -> None:
    vectors, targets = _sentences(0, "own")
    judged, _ = _sentences(1, "own")
    small = train_head(vectors, targets, 2)
    large = train_head([1000 * v + 5 for v in vectors], targets, 2)
    assert predict_tags(small, judged) == predict_tags(large, [1000 * v + 5 for v in judged])


def test_unknown_head_is_refused() -> None:
    with pytest.raises(BadInput, match="give linear or bilstm"):
        train_head([torch.ones(1, 2)], [torch.zeros(1).long()], 1, "crf")  # type: ignore[arg-type]


def test_words_are_means_of_their_pieces_in_context(tiny_model: TinyModel) -> None:
    model = tiny_model()
    [vectors] = word_vectors(model, [["walking", "the", "dog"]])
    pieces = model.encode(
        "walking the dog", output_value="token_embeddings", show_progress_bar=False
    ).cpu()
    assert model.tokenizer.tokenize("walking") == ["walk", "##ing"]
    assert torch.allclose(vectors[0], pieces[1:3].mean(0), atol=1e-5)
    assert torch.allclose(vectors[2], pieces[4], atol=1e-5)


def test_words_beyond_the_longest_input_are_zeros(tiny_model: TinyModel) -> None:
    model = tiny_model()
    model.max_seq_length = 4
    [vectors] = word_vectors(model, [["the", "dog", "and", "cat"]])
    assert vectors.shape == (4, 32)
    assert vectors[:2].abs().sum() > 0
    assert vectors[2:].abs().sum() == 0


def test_words_of_models_without_context_stand_alone(tiny_model: TinyModel) -> None:
    class Lengths(nn.Module):
        """A model of one module that knows only how long a text is."""

    model = tiny_model()
    several = word_vectors(model, [["dog"], ["the", "dog"]])
    assert not torch.allclose(several[0][0], several[1][1])
