import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    GPT2Config,
    GPT2Model,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MPNetConfig,
    MPNetForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from polyvec.encoders.language_head import LanguageHead
from polyvec.encoders.small_encoder import word_pieces
from polyvec.errors import BadInput
from polyvec.objectives.dupmae import DupMAE
from polyvec.objectives.masked_language import MaskedLanguage

TEXTS = ["the cat sat on the mat", "dogs bark at the moon while the cat sat"]
SIZE = {"vocab_size": 70, "pad_token_id": 0, "max_position_embeddings": 40}
WIDE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
KINDS = {
    "bert": (BertForMaskedLM, BertConfig(**SIZE, **WIDE, intermediate_size=64)),
    "roberta": (RobertaForMaskedLM, RobertaConfig(**SIZE, **WIDE, intermediate_size=64)),
    "mpnet": (MPNetForMaskedLM, MPNetConfig(**SIZE, **WIDE, intermediate_size=64)),
    "distilbert": (
        DistilBertForMaskedLM,
        DistilBertConfig(**SIZE, dim=32, n_layers=1, n_heads=2, hidden_dim=64),
    ),
    "modernbert": (
        ModernBertForMaskedLM,
        ModernBertConfig(**SIZE, **WIDE, intermediate_size=64, cls_token_id=2, sep_token_id=3),
    ),
}


@pytest.fixture(scope="module")
def tokenizer():
    return word_pieces(["the cat sat on the mat while dogs bark loudly at the moon"] * 30, 70)


def saved(kind, tokenizer, folder):
    """A masked-language model as its library saves it."""
    make, config = KINDS[kind]
    torch.manual_seed(0)
    full = make(config).eval()
    full.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return full


def opened(folder):
    body = Transformer(str(folder), max_seq_length=32)
    return SentenceTransformer(modules=[body, Pooling(32, "cls")], device="cpu").eval()


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_of_a_checkpoint_gives_its_logits(kind, tokenizer, tmp_path):
    full = saved(kind, tokenizer, tmp_path)
    model = opened(tmp_path)
    head = LanguageHead(model, tmp_path)
    assert head.trained
    features = model.preprocess(TEXTS)
    with torch.no_grad():
        hidden = model(dict(features))["token_embeddings"]
        wanted = full(features["input_ids"], attention_mask=features["attention_mask"]).logits
        torch.testing.assert_close(head(hidden), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_projection_is_tied_to_the_word_embeddings(kind, tokenizer, tmp_path):
    saved(kind, tokenizer, tmp_path)
    model = opened(tmp_path)
    head = LanguageHead(model)
    assert not head.trained
    assert head.projection.weight is model[0].auto_model.get_input_embeddings().weight


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_first_layer_is_given(kind, tokenizer, tmp_path):
    saved(kind, tokenizer, tmp_path)
    model = opened(tmp_path)
    head = LanguageHead(model)
    ids = model.preprocess(TEXTS[:1])["input_ids"]
    word = model[0].auto_model.get_input_embeddings()(ids[:, 2])
    torch.testing.assert_close(
        head.at_each_position(word, ids.shape[1])[:, 2], head.embed(ids)[:, 2]
    )
    assert (head.positions is None) == (kind == "modernbert")


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_is_pre_trained(kind, tokenizer, tmp_path):
    saved(kind, tokenizer, tmp_path)
    model = opened(tmp_path)
    for objective in (MaskedLanguage(model, share=0.5), DupMAE(model)):
        found = objective([model.preprocess(TEXTS)])
        loss = sum(found.values()) if isinstance(found, dict) else found
        loss.backward()
        assert torch.isfinite(loss)


def test_a_checkpoint_without_a_head_leaves_it_untrained(tokenizer, tmp_path):
    full = saved("bert", tokenizer, tmp_path / "full")
    full.bert.save_pretrained(tmp_path / "body")
    tokenizer.save_pretrained(tmp_path / "body")
    model = opened(tmp_path / "body")
    assert not LanguageHead(model, tmp_path / "body").trained
    with pytest.raises(BadInput, match="no such file"):
        LanguageHead(model, tmp_path)


def test_the_same_seed_gives_the_same_head(tokenizer, tmp_path):
    saved("bert", tokenizer, tmp_path)
    model = opened(tmp_path)
    first, again, other = (LanguageHead(model, seed=seed) for seed in (1, 1, 2))
    states = [
        head.state_dict()["transform.0.predictions.transform.dense.weight"]
        for head in (first, again, other)
    ]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_an_unknown_architecture_is_refused(tokenizer, tmp_path):
    GPT2Model(GPT2Config(vocab_size=70, n_embd=32, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="no masked-language head is known for gpt2"):
        LanguageHead(opened(tmp_path))
