"""RetroMAE: what each position of the decoder sees, losses by hand, and what makes no sense."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from tests.conftest import TinyArchitecture, TinyModel
from torch.nn.functional import cross_entropy

from polyvec.errors import BadInput
from polyvec.objectives.retromae import MASKS, DecoderLayer, RetroMAE
from polyvec.objectives.word_masking import IGNORED

TEXTS = [
    "a small cat sat in the old garden of the queen",
    "the river and the sea",
    "stones, boats and bread",
    "good music for the long night by the lake in the storm",
]
KINDS = ("bert", "roberta", "distilbert", "modernbert", "mpnet")


@pytest.fixture
def model(tiny_architecture: TinyArchitecture) -> SentenceTransformer:
    return tiny_architecture("bert")[1]


def features_of(model: SentenceTransformer, texts: list[str]) -> dict[str, Any]:
    return dict(model.preprocess(texts))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("queries", ["embeddings", "raw"])
def test_no_position_sees_its_own_token(
    tiny_architecture: TinyArchitecture, kind: str, queries: Any
) -> None:
    """When token i changes, what is predicted at i does not, and something else does."""
    _, model = tiny_architecture(kind)
    objective = RetroMAE(model, queries=queries).eval()
    features = features_of(model, TEXTS[:1])
    sentences = torch.randn(1, 32)
    length = features["input_ids"].shape[1]
    before, labels = objective.decode(features, sentences, generator=seeded())
    assert (labels[0, 1:-1] != IGNORED).all()
    assert labels[0, 0] == labels[0, -1] == IGNORED
    ordinary = features["input_ids"][0, 1]
    for place in range(1, length - 1):
        if features["input_ids"][0, place] == ordinary:
            continue
        ids = features["input_ids"].clone()
        # A token that begins a word as the old one did leaves the words, and so what is hidden, as they were.
        words = objective.masker.words(ids)
        ids[0, place] = ordinary
        if not torch.equal(objective.masker.words(ids), words):
            continue
        after, _ = objective.decode({**features, "input_ids": ids}, sentences, generator=seeded())
        assert torch.equal(after[0, place], before[0, place])
        assert not torch.equal(after, before)


def test_every_position_sees_the_vector_and_nothing_else_of_itself(model) -> None:
    objective = RetroMAE(model).eval()
    features = features_of(model, TEXTS)
    words = objective.masker.words(features["input_ids"])
    seen = objective.visible(words, 0.5, seeded())
    rows, length = words.shape
    assert seen.shape == (rows, length, length)
    assert seen[:, :, 0].all()
    inner = torch.eye(length, dtype=torch.bool)
    inner[0, 0] = False
    assert not seen[:, inner].any()
    # By the vector the loss reaches the encoder.
    sentences = torch.randn(rows, 32, requires_grad=True)
    objective.decoder_loss(features, sentences).backward()
    assert sentences.grad is not None
    assert (sentences.grad.abs().sum(dim=1) > 0).all()


def test_positions_draw_whole_word_masks_of_their_own(model) -> None:
    objective = RetroMAE(model)
    ids = features_of(model, ["houses " * 9 + "cat"])["input_ids"]
    words = objective.masker.words(ids)
    seen = objective.visible(words, 0.5, seeded())[0]
    own = torch.eye(len(seen), dtype=torch.bool)
    hidden = (~seen & ~own).float().sum(dim=1)[1:-1]
    # 19 tokens of which 9 or 10 are hidden; a word of two pieces, of which one is the position itself, shows as one.
    assert hidden.max() <= 10
    assert hidden.min() >= 7
    pairs = [(place, place + 1) for place in range(1, 19, 2)]
    for first, second in pairs:
        others = [row for row in range(len(seen)) if row not in (first, second)]
        assert torch.equal(seen[others, first], seen[others, second])
    assert len({tuple(row.tolist()) for row in seen}) > 10


def test_masks_of_a_text_come_from_a_pool(model, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = RetroMAE(model)
    words = torch.arange(-1, 29)[None]
    draws = []
    choose = objective.masker.choose

    def watched(words, share, count, generator):
        draws.append(count)
        return choose(words, share, count, generator)

    monkeypatch.setattr(objective.masker, "choose", watched)
    objective.visible(words, 0.5, seeded())
    objective.visible(torch.arange(-1, 299)[None], 0.5, seeded())
    assert draws == [30, MASKS]


def test_the_losses_worked_by_hand(model) -> None:
    """Against cross-entropies taken from whole logits, token by token."""
    objective = RetroMAE(model, seed=5).eval()
    features = features_of(model, TEXTS)
    found = objective([features])
    again = RetroMAE(model, seed=5).eval()
    vectors, wanted = again.encode(features)
    logits = again.head(vectors)
    picked = [
        cross_entropy(logits[row, place], wanted[row, place])
        for row, place in (wanted != IGNORED).nonzero().tolist()
    ]
    assert found["mlm"].item() == pytest.approx(torch.stack(picked).mean().item(), abs=1e-5)
    rebuilt, labels = again.decode(features, vectors[:, 0])
    logits = again.head(rebuilt)
    content = objective.masker.words(features["input_ids"]) >= 0
    assert torch.equal(labels != IGNORED, content)
    picked = [
        cross_entropy(logits[row, place], features["input_ids"][row, place])
        for row, place in content.nonzero().tolist()
    ]
    assert found["decoder"].item() == pytest.approx(torch.stack(picked).mean().item(), abs=1e-5)


def test_the_decoder_is_attention_and_a_network_with_norms_behind(model) -> None:
    """One head's worth of loops, by hand, for one text of three positions."""
    layer = DecoderLayer(model, seed=1).eval()
    for weight in layer.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=seeded(2))
    queries, keys = torch.randn(1, 3, 32, generator=seeded()), torch.randn(1, 3, 32)
    visible = torch.tensor([[[True, True, False], [True, False, True], [True, False, False]]])
    found = layer(queries, keys, visible)
    heads = []
    for head in range(2):
        part = slice(16 * head, 16 * head + 16)
        q, k, v = layer.query(queries), layer.key(keys), layer.value(keys)
        scores = q[0, :, part] @ k[0, :, part].T / 4  # the root of 16
        weights = scores.masked_fill(~visible[0], -torch.inf).softmax(dim=1)
        heads.append(weights @ v[0, :, part])
    seen = layer.seen(queries[0] + layer.output(torch.cat(heads, dim=1)))
    expected = layer.thought(seen + layer.narrow(torch.nn.functional.gelu(layer.widen(seen))))
    assert torch.allclose(found[0], expected, atol=1e-5)


def test_queries_are_the_vector_with_positions(model) -> None:
    sentences = torch.randn(2, 32)
    normed = RetroMAE(model)._queries(sentences, 5)
    raw = RetroMAE(model, queries="raw")._queries(sentences, 5)
    embeddings = model[0].auto_model.embeddings
    places = embeddings.position_embeddings.weight[:5]
    assert torch.allclose(raw, sentences[:, None] + places, atol=1e-6)
    kinds = embeddings.token_type_embeddings.weight[0]
    assert torch.allclose(normed, embeddings.LayerNorm(raw + kinds), atol=1e-5)


def test_basic_decoding_predicts_what_is_hidden_from_the_rest(model) -> None:
    objective = RetroMAE(model, decoding="basic", decoder_mask=0.5).eval()
    features = features_of(model, TEXTS)
    sentences = torch.randn(4, 32)
    rebuilt, labels = objective.decode(features, sentences, generator=seeded())
    asked = labels != IGNORED
    content = objective.masker.words(features["input_ids"]) >= 0
    assert not (asked & ~content).any()
    assert 0 < int(asked.sum()) < int(content.sum())
    # A hidden token is not seen by anybody: it may as well be another.
    row, place = asked.nonzero()[0].tolist()
    ids = features["input_ids"].clone()
    ids[row, place] = ids[row, 1] if place > 1 else ids[row, 2]
    other, _ = objective.decode({**features, "input_ids": ids}, sentences, generator=seeded())
    assert torch.equal(other, rebuilt)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_loss(tiny_architecture: TinyArchitecture, kind: str) -> None:
    _, model = tiny_architecture(kind)
    objective = RetroMAE(model).eval()
    features = features_of(model, TEXTS[:1])
    padded = {
        name: torch.nn.functional.pad(value, (0, 6), value=1 if kind == "mpnet" else 0)
        if name == "input_ids"
        else torch.nn.functional.pad(value, (0, 6))
        for name, value in features.items()
        if isinstance(value, torch.Tensor)
    }
    words, length = objective.masker.words(features["input_ids"]), features["input_ids"].shape[1]
    sentences = torch.randn(1, 32)
    seen = objective.visible(words, 0.5, seeded())
    wide = torch.ones(1, length + 6, length + 6, dtype=torch.bool)
    wide[:, :length, :length] = seen
    found = []
    for given, mask in ((features, seen), (padded, wide)):
        real = given["attention_mask"].bool()
        keys = objective._keys(given["input_ids"], sentences)
        asked = objective._queries(sentences, keys.shape[1])
        found.append(objective.decoder(asked, keys, mask & real[:, None])[:, :length])
    assert torch.allclose(found[0], found[1], atol=1e-5)
    losses = objective([padded])
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_padded_rows_and_short_texts_give_finite_gradients(model) -> None:
    objective = RetroMAE(model)
    features = features_of(model, [TEXTS[0], "", "cat"])
    sum(objective([features]).values()).backward()  # type: ignore[union-attr]
    for name, weight in objective.named_parameters():
        if weight.grad is not None:
            assert torch.isfinite(weight.grad).all(), name


def test_rows_do_not_meet(model) -> None:
    """A text's rebuilt vectors are the same whatever else is in the batch."""
    objective = RetroMAE(model).eval()
    features = features_of(model, TEXTS)
    other = features_of(model, [TEXTS[0], *reversed(TEXTS)])
    length = features["input_ids"].shape[1]
    sentences = torch.randn(4, 32)
    seen = objective.visible(objective.masker.words(features["input_ids"]), 0.5, seeded())
    keys = objective._keys(features["input_ids"], sentences)
    asked = objective._queries(sentences, length)
    real = features["attention_mask"].bool()[:, None]
    together = objective.decoder(asked, keys, seen & real)
    alone = [
        objective.decoder(asked[n : n + 1], keys[n : n + 1], (seen & real)[n : n + 1])
        for n in range(4)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert other["input_ids"].shape[0] == 5


def test_short_texts_are_skipped_and_counted(model) -> None:
    objective = RetroMAE(model, seed=3).eval()
    both = features_of(model, ["cat dog", TEXTS[0], ""])
    assert objective.long_enough(both["input_ids"]).tolist() == [False, True, False]
    _, wanted = objective.encode(both)
    assert objective.skipped == 2
    assert (wanted[0] == IGNORED).all()
    assert (wanted[1] != IGNORED).any()
    _, labels = objective.decode(both, torch.randn(3, 32))
    assert (labels[[0, 2]] == IGNORED).all()
    none = objective([features_of(model, ["cat", "dog"])])
    assert [loss.item() for loss in none.values()] == [0.0, 0.0]
    assert objective.skipped == 4


def test_weights_are_trained_once_each_and_all_of_them(model) -> None:
    objective = RetroMAE(model)
    sum(objective([features_of(model, TEXTS)]).values()).backward()  # type: ignore[union-attr]
    unused = [n for n, p in objective.named_parameters() if p.grad is None or not p.grad.any()]
    # The pooler belongs to the checkpoint and to no objective; a bias before a softmax over keys changes nothing.
    assert [n for n in unused if "pooler" not in n and not n.endswith("decoder.key.bias")] == []


def test_the_seed_decides(model) -> None:
    features = features_of(model, TEXTS)
    first, again, other = (RetroMAE(model, seed=seed).eval()([features]) for seed in (0, 0, 1))
    assert first["decoder"].item() == again["decoder"].item()
    assert first["decoder"].item() != other["decoder"].item()


@pytest.mark.parametrize("decoding", ["enhanced", "basic"])
def test_it_learns_in_sentence_transformers_own_trainer(model, tmp_path, decoding: Any) -> None:
    objective = RetroMAE(model, decoding=decoding)
    features = features_of(model, TEXTS)

    def measured() -> float:
        fixed = copy.deepcopy(objective).eval()
        fixed._generator.manual_seed(9)
        with torch.no_grad():
            return float(sum(fixed([features]).values()))

    before = measured()
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        max_steps=12,
        learning_rate=5e-3,
        logging_steps=1,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    rows = Dataset.from_dict({"text": TEXTS})
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=rows, loss=objective
    )
    trainer.train()
    assert measured() < before
    logged = {name for entry in trainer.state.log_history for name in entry}
    assert {"mlm", "decoder"} <= logged or "loss" in logged


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"encoder_mask": 0}, "masks of 0 and 0.5: give shares between 0 and 1"),
        ({"decoder_mask": 1.0}, "masks of 0.3 and 1: give shares between 0 and 1"),
        ({"decoding": "strong"}, "decoding 'strong' with queries 'embeddings': give 'enhanced'"),
        ({"queries": "none"}, "queries 'none': give 'enhanced' or 'basic', and 'embeddings'"),
    ],
)
def test_settings_that_make_no_sense(model, given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        RetroMAE(model, **given)


def test_models_that_cannot_be_used(tiny_model: TinyModel) -> None:
    model = tiny_model()
    model.tokenizer.mask_token = None
    with pytest.raises(BadInput, match="the tokenizer has no mask token"):
        RetroMAE(model)
    model = tiny_model()
    model[0].auto_model.config.model_type = "t5"
    with pytest.raises(BadInput, match="no masked-language head is known for t5"):
        RetroMAE(model)


@pytest.mark.parametrize("kind", ["bert", "modernbert", "roberta"])
def test_texts_beyond_the_positions_are_refused(
    tiny_architecture: TinyArchitecture, kind: str
) -> None:
    _, model = tiny_architecture(kind)
    model.max_seq_length = 80
    most = 63 if kind == "roberta" else 64  # of RoBERTa's the first is that of padding
    with pytest.raises(BadInput, match=f"texts of 80 tokens: the encoder has {most} positions"):
        RetroMAE(model)([features_of(model, ["cat " * 100])])
