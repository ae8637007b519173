"""What tests share: a tiny model that needs no download, and that none of them uses the network."""

from __future__ import annotations

import os

# Before anything imports huggingface_hub, which reads this once.
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TinyModel = Callable[[], "SentenceTransformer"]

WORDS = """
a an the and or not of to in on for with from by is are was be it this that which one two three
many few all no array axis batch class code column data database dense document error example
false file filter folder function graph index input integer join key language layer learn line
list loss matrix mean merge model module name network node number object output package page parse
path point pool query random read return row sample save search section server set shape size sort
source space string sum table task tensor test text time token train tree true type unit user
value vector vocabulary weight window word write zero able better big fast first good last long
new old open same short slow small apple bird boat bread cat city dog door fish forest garden
house king lake moon mountain music queen rain river road sea ship star stone storm street sun
teacher village water wind winter build call change close find give go grow keep know make move
play run see stand start stop take tell turn walk
"""


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a randomly initialised BERT: 2 layers, 32 dimensions, 64 tokens, mean pooling."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel

    body = tmp_path_factory.mktemp("tiny-bert")
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(body)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
        BertModel(config).save_pretrained(body)
    folder = tmp_path_factory.mktemp("tiny-model")
    transformer = Transformer(str(body), max_seq_length=64)
    model = SentenceTransformer(modules=[transformer, Pooling(32, "mean")], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_model_path: Path) -> TinyModel:
    """A factory: each call opens a fresh copy of the tiny model."""
    from sentence_transformers import SentenceTransformer

    return lambda: SentenceTransformer(str(tiny_model_path), device="cpu")


def _tokenizer():
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(n) for n in range(ord("a"), ord("z") + 1)]
    signs = list("0123456789.,:;?!()[]{}<>=+-*/_'\"")
    pieces = [f"##{piece}" for piece in [*letters, *"0123456789", "s", "ed", "ing", "er", "ly"]]
    vocabulary = {
        p: n
        for n, p in enumerate(dict.fromkeys([*special, *letters, *signs, *pieces, *WORDS.split()]))
    }
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
