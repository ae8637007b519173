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
TinyArchitecture = Callable[[str], "tuple[Path, SentenceTransformer]"]

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


@pytest.fixture(scope="session")
def tiny_decoder_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a randomly initialised Llama: 3 layers, 32 dimensions, bytes as tokens, a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    signs = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({sign: n for n, sign in enumerate(signs)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.chat_template = "{% for m in messages %}user: {{ m['content'] }}{% endfor %}"
    folder = tmp_path_factory.mktemp("tiny-llama")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(signs),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=256,
        )
        LlamaModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


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


@pytest.fixture(scope="session")
def tiny_architecture(tmp_path_factory: pytest.TempPathFactory) -> TinyArchitecture:
    """A factory: a randomly initialised masked-language model of an architecture, and the model made of its encoder.

    Called with ``bert``, ``roberta``, ``distilbert``, ``modernbert`` or ``mpnet`` it returns the folder of the whole
    masked-language model and a fresh text model of its encoder: 2 layers, 32 dimensions, without dropout.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoConfig, AutoModelForMaskedLM

    folders: dict[str, Path] = {}

    def make(kind: str) -> tuple[Path, SentenceTransformer]:
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp(kind)
            tokenizer = _byte_pairs() if kind in ("roberta", "modernbert") else _tokenizer()
            tokenizer.save_pretrained(folders[kind])
            with torch.random.fork_rng():
                torch.manual_seed(0)
                config = AutoConfig.for_model(
                    kind, **_tiny(kind), vocab_size=len(tokenizer), pad_token_id=0
                )
                whole = AutoModelForMaskedLM.from_config(config)
                for (
                    weight
                ) in whole.parameters():  # no bias is 0, so that it is seen when one is lost
                    torch.nn.init.normal_(weight, std=0.2)
            whole.save_pretrained(folders[kind])
        body = Transformer(str(folders[kind]), max_seq_length=48)
        pooling = Pooling(32, "cls")
        return folders[kind], SentenceTransformer(modules=[body, pooling], device="cpu").eval()

    return make


def _tiny(kind: str) -> dict[str, object]:
    if kind == "distilbert":
        return {
            "dim": 32,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 64,
            "max_position_embeddings": 64,
            "dropout": 0.0,
            "attention_dropout": 0.0,
        }
    sizes: dict[str, object] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
    if kind == "modernbert":
        return {**sizes, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    return {**sizes, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def _byte_pairs():
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator([WORDS] * 2, 400, special_tokens=special, show_progress=False)
    learned.post_processor = RobertaProcessing(("</s>", 3), ("<s>", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=learned._tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        bos_token="<s>",
        eos_token="</s>",
        mask_token="<mask>",
        model_max_length=64,
    )
