"""Encoders small enough to be trained from nothing on a laptop: for experiments in which every arm begins alike."""

from __future__ import annotations

from collections.abc import Iterable
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import BertWordPieceTokenizer
from tokenizers.processors import BertProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from polyvec.encoders.loading import without_weight_bars

_SPECIAL = {name: f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def word_pieces(texts: Iterable[str], size: int = 8000) -> PreTrainedTokenizerFast:
    """Learn a lower-cased WordPiece vocabulary.

    Args:
        texts: what it is learned from.
        size: tokens in it, at most.

    Example:
        >>> word_pieces(["words and more words"] * 20, size=60).tokenize("More words")
        ['more', 'words']
    """
    learned = BertWordPieceTokenizer(lowercase=True)
    special = list(_SPECIAL.values())
    learned.train_from_iterator(texts, vocab_size=size, special_tokens=special, show_progress=False)
    ends = [(_SPECIAL[name], special.index(_SPECIAL[name])) for name in ("sep", "cls")]
    learned.post_processor = BertProcessing(*ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=learned._tokenizer,
        **{f"{name}_token": token for name, token in _SPECIAL.items()},
    )


def small_encoder(
    tokenizer: PreTrainedTokenizerFast,
    *,
    layers: int,
    hidden: int,
    length: int,
    seed: int,
    pooling: Literal["mean", "cls"] = "mean",
) -> SentenceTransformer:
    """An untrained BERT with pooling: every call with the same arguments gives the same weights.

    Args:
        tokenizer: for example from `word_pieces`.
        layers: transformer layers.
        hidden: width; there is a head for every 32 of it, and four times as many units between.
        length: tokens that it reads at most, special ones among them.
        seed: of the weights.
        pooling: ``mean`` of the tokens' vectors, or that of the first (``cls``).
    """
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 32),
        intermediate_size=4 * hidden,
        max_position_embeddings=length,
    )
    with TemporaryDirectory() as folder, torch.random.fork_rng(), without_weight_bars():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        body = Transformer(folder, max_seq_length=length)
    return SentenceTransformer(modules=[body, Pooling(hidden, pooling)], device="cpu")
