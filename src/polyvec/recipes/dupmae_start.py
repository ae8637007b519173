"""Where all arms of the DupMAE experiment begin: the lower half of MiniLM, with the word pieces that the texts use."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedTokenizerFast

from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.loading import load, without_weight_bars


def start(
    texts: Sequence[str], *, layers: int, vocabulary: int, length: int
) -> SentenceTransformer:
    """The first layers of MiniLM; its vectors are those of [CLS], which it was not trained for.

    A softmax over all 30,522 word pieces would take most of a step, so only those that the texts use most are kept,
    with their vectors. Any word can still be spelled.

    Args:
        texts: that will be learned from.
        layers: of the six.
        vocabulary: word pieces, at most.
        length: tokens of a text that are read.
    """
    whole = first_layers(load("minilm", "cpu"), layers)
    body: Any = whole[0].auto_model
    tokenizer, kept = _fewer_pieces(whole.tokenizer, texts, vocabulary)
    table = body.embeddings.word_embeddings
    body.embeddings.word_embeddings = nn.Embedding.from_pretrained(
        table.weight[torch.tensor(kept)].detach().clone(), freeze=False, padding_idx=0
    )
    body.config.vocab_size = len(kept)
    for module in body.modules():
        if isinstance(module, nn.Dropout):
            # As in `polyvec.training.fine_tuning`: over so few steps it costs more time than it brings.
            module.p = 0.0
    with TemporaryDirectory() as folder, without_weight_bars():
        body.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        read = Transformer(folder, max_seq_length=length)
    return SentenceTransformer(
        modules=[read, Pooling(body.config.hidden_size, "cls")], device="cpu"
    )


def _fewer_pieces(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], size: int
) -> tuple[PreTrainedTokenizerFast, list[int]]:
    """A tokenizer of the pieces used most, and the numbers that they had; the first is the padding."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    number: dict[str, int] = state["model"]["vocab"]
    special = sorted(tokenizer.all_special_ids)
    written = set("".join(texts).casefold())
    letters = [at for piece, at in number.items() if piece.removeprefix("##") in written]
    used: Counter[int] = Counter()
    for start in range(0, len(texts), 1000):
        for row in tokenizer(texts[start : start + 1000], add_special_tokens=False)["input_ids"]:
            used.update(row)
    common = [at for at, _ in used.most_common()]
    kept = list(dict.fromkeys([*special, *letters, *common]))[:size]
    piece = {at: name for name, at in number.items()}
    new = {piece[at]: place for place, at in enumerate(kept)}
    state["model"]["vocab"] = new
    state["padding"] = state["truncation"] = None
    for added in state["added_tokens"]:
        added["id"] = new[added["content"]]
    for name, told in state["post_processor"].get("special_tokens", {}).items():
        told["ids"] = [new[name]]
    for end in ("sep", "cls"):
        if end in state["post_processor"]:
            name, _ = state["post_processor"][end]
            state["post_processor"][end] = [name, new[name]]
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        **{role: str(token) for role, token in tokenizer.special_tokens_map.items()},
    )
    return made, kept
