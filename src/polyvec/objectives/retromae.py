"""RetroMAE: an encoder learns to put a whole text into its first vector, because a weak decoder has to rebuild it.

Xiao, Liu, Shao, Cao 2022, "RetroMAE: Pre-Training Retrieval-oriented Language Models Via Masked Auto-Encoder"
(arXiv:2205.12035). The encoder reads a text with 30 % of its words hidden and predicts them. Its vector of [CLS] and a
decoder of one layer then rebuild every word of the text: in *enhanced decoding* each position sees the vector and its
own random half of the other words, so that every word gives a loss and none can lean on many neighbours. Texts go in,
no pairs. The vectors of a model trained so are a start for fine-tuning and no similarity by themselves.

Where this departs from the authors' code: random masks are drawn for whole batches at once instead of in a loop over
words; the share of hidden words is of a text's ordinary tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention
from transformers import PreTrainedConfig

from polyvec.encoders.language_head import LanguageHead, body_of
from polyvec.errors import BadInput
from polyvec.objectives.masked_language import hide_words, word_loss
from polyvec.objectives.word_masking import IGNORED, WordMasker

Features = dict[str, Any]
Decoding = Literal["enhanced", "basic"]
Queries = Literal["embeddings", "raw"]
MASKS = 256
"""Random masks of a text that its positions choose from, at most; the authors' number."""
FEWEST_TOKENS = 3
"""Ordinary tokens of a text below which nothing is learned from it."""


class RetroMAE(nn.Module):
    """The losses of RetroMAE: ``mlm`` of the encoder, ``decoder`` of the rebuilt text. One column of texts.

    Args:
        model: a text model whose architecture has a known head; its vector is trained to be that of [CLS], so that it
            should pool so (``cls``) when it is used.
        encoder_mask: share of a text's tokens that the encoder does not see; 0.3, at most 0.5 helps.
        decoder_mask: share that each position of the decoder does not see; 0.5 with ``enhanced``, 0.7 with ``basic``.
        decoding: ``enhanced``, or ``basic``: one pass over a text with words hidden, which predicts these only.
        queries: how a position asks: ``embeddings``, norm(h + position), as in DupMAE's code; ``raw``, h + position, as
            in RetroMAE's.
        checkpoint: folder of a masked-language model whose head to start from.
        seed: of what is hidden, and of new weights.

    Attributes:
        skipped: texts so far that had fewer than `FEWEST_TOKENS` ordinary tokens; they add to no loss.

    Returns:
        When called with ``(features, labels)``: the two losses, each a mean over tokens.

    Raises:
        BadInput: when a share is not between 0 and 1, a mode is unknown, or the architecture has no known head; when
            called, if texts are longer than the encoder has positions.

    Example:
        >>> objective = RetroMAE(model)  # doctest: +SKIP
        >>> objective([model.preprocess(texts)])  # doctest: +SKIP
        {'mlm': tensor(6.92), 'decoder': tensor(7.31)}
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        encoder_mask: float = 0.3,
        decoder_mask: float = 0.5,
        decoding: Decoding = "enhanced",
        queries: Queries = "embeddings",
        checkpoint: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < encoder_mask < 1 or not 0 < decoder_mask < 1:
            raise BadInput(
                f"masks of {encoder_mask:g} and {decoder_mask:g}: give shares between 0 and 1"
            )
        if decoding not in get_args(Decoding) or queries not in get_args(Queries):
            raise BadInput(
                f"decoding {decoding!r} with queries {queries!r}: give 'enhanced' or 'basic', "
                "and 'embeddings' or 'raw'"
            )
        self.model = model
        self.encoder_mask = encoder_mask
        self.decoder_mask = decoder_mask
        self.decoding = decoding
        self.queries = queries
        self.head = LanguageHead(model, checkpoint, seed)
        self.decoder = DecoderLayer(model, seed)
        self.positions = None if self.head.positions is not None else _table(model, seed)
        self.masker = WordMasker(model.tokenizer)
        self.skipped = 0
        self._generator = torch.Generator().manual_seed(seed)

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The losses of one batch; ``labels`` are not looked at."""
        features, *_ = sentence_features
        vectors, wanted = self.encode(features)
        return {
            "mlm": word_loss(self.head, vectors, wanted),
            "decoder": self.decoder_loss(features, vectors[:, 0]),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments that it was built with, besides model, checkpoint and seed."""
        names = ("encoder_mask", "decoder_mask", "decoding", "queries")
        return {name: getattr(self, name) for name in names}

    def encode(self, features: Features) -> tuple[Tensor, Tensor]:
        """Hide words and encode: vectors of tokens (rows, length, d), and the labels of the hidden ones."""
        ids = features["input_ids"]
        self._refuse_too_long(ids.shape[1])
        hidden, wanted = hide_words(self.masker, ids, self.encoder_mask, self._generator)
        read = self.model({**features, "input_ids": hidden})
        short = ~self.long_enough(ids)
        self.skipped += int(short.sum())
        return read["token_embeddings"], wanted.masked_fill(short[:, None], IGNORED)

    def long_enough(self, ids: Tensor) -> Tensor:
        """Which rows of ids (rows, length) have enough ordinary tokens to learn from, shape (rows,)."""
        ordinary = self.masker.words(ids) >= 0
        return ordinary.sum(dim=1) >= FEWEST_TOKENS

    def decoder_loss(self, features: Features, sentences: Tensor) -> Tensor:
        """Mean cross-entropy of the text that the decoder rebuilds.

        Args:
            features: of the whole text.
            sentences: its vector, shape (rows, d).
        """
        rebuilt, labels = self.decode(features, sentences)
        return word_loss(self.head, rebuilt, labels)

    def decode(
        self,
        features: Features,
        sentences: Tensor,
        *,
        share: float | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Rebuild texts from their vectors.

        Args:
            features: of whole texts.
            sentences: their vectors, shape (rows, d).
            share: of the tokens that are not seen; ``decoder_mask`` by default.
            generator: of what is not seen, on the CPU; by default the objective's own.

        Returns:
            Rebuilt vectors of tokens (rows, length, d), and the labels of those that were to be predicted.
        """
        ids, real = features["input_ids"], features["attention_mask"].bool()
        share, generator = share or self.decoder_mask, generator or self._generator
        words = self.masker.words(ids.cpu())
        left_out = (words < 0).to(ids.device) | ~self.long_enough(ids)[:, None]
        content = ids.masked_fill(left_out, IGNORED)
        if self.decoding == "basic":
            chosen = self.masker.choose(words, share, 1, generator)[:, 0].to(ids.device)
            keys = self._keys(ids.masked_fill(chosen, self.masker.mask_id), sentences)
            visible = real[:, None].expand(-1, ids.shape[1], -1)
            return self.decoder(keys, keys, visible), content.masked_fill(~chosen, IGNORED)
        visible = self.visible(words, share, generator).to(ids.device) & real[:, None]
        asked = self._queries(sentences, ids.shape[1])
        return self.decoder(asked, self._keys(ids, sentences), visible), content

    def visible(self, words: Tensor, share: float, generator: torch.Generator) -> Tensor:
        """What each position of the decoder may see of the others: its own random part, never itself.

        The first column, the text's vector, is always seen; by position 0 as well, which predicts nothing, so that no
        row of attention is empty.

        Args:
            words: number of each token's word, -1 for special tokens, shape (rows, length).
            share: of a row's ordinary tokens that a position does not see.
            generator: of the random parts.

        Returns:
            Shape (rows, length, length), True where the position of the second axis sees that of the third.
        """
        rows, length = words.shape
        count = min(length, MASKS)
        hidden = self.masker.choose(words, share, count, generator)
        choice = torch.randint(count, (rows, length, 1), generator=generator)
        own = hidden.gather(1, choice.expand(-1, -1, length))
        seen = ~(own | torch.eye(length, dtype=torch.bool))
        seen[:, :, 0] = True
        return seen

    def _refuse_too_long(self, length: int) -> None:
        if length > self._longest:
            raise BadInput(
                f"texts of {length} tokens: the encoder has {self._longest} positions; "
                f"set model.max_seq_length to at most {self._longest}"
            )

    def _keys(self, ids: Tensor, sentences: Tensor) -> Tensor:
        """What can be seen: words with their positions, and the text's vector in the place of [CLS]."""
        return self._led(self._placed(self.head.embed(ids)), sentences)

    def _led(self, words: Tensor, sentences: Tensor) -> Tensor:
        """Words (rows, length, d) with the text's vector in the place of the first."""
        return torch.cat([sentences[:, None].to(words.dtype), words[:, 1:]], dim=1)

    def _queries(self, sentences: Tensor, length: int) -> Tensor:
        """What each position asks with: the text's vector and the position."""
        if self.queries == "raw":
            return sentences[:, None] + self._table[:length]
        return self._placed(self.head.at_each_position(sentences, length))

    def _placed(self, vectors: Tensor) -> Tensor:
        """Vectors with the decoder's own positions, where the encoder has no table of them."""
        return vectors if self.positions is None else vectors + self._table[: vectors.shape[1]]

    @property
    def _table(self) -> Tensor:
        """Positions, shape (positions, d): the encoder's, or the decoder's own."""
        own = self.head.positions if self.positions is None else self.positions.weight
        assert own is not None
        return own

    @property
    def _longest(self) -> int:
        return len(self._table)


class DecoderLayer(nn.Module):
    """One transformer layer that is read from with other queries than keys; norms follow, as in BERT.

    Args:
        model: whose width, heads and inner width it has.
        seed: of its weights.
    """

    def __init__(self, model: SentenceTransformer, seed: int = 0) -> None:
        super().__init__()
        config = body_of(model).config
        width = config.hidden_size
        # DistilBERT calls it otherwise.
        inner = getattr(config, "intermediate_size", None) or config.hidden_dim
        self.heads = config.num_attention_heads
        self.dropout = nn.Dropout(_dropout(config))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.query, self.key, self.value, self.output = (
                _linear(width, width) for _ in range(4)
            )
            self.widen, self.narrow = _linear(width, inner), _linear(inner, width)
        self.seen, self.thought = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to(model.device)

    def forward(self, queries: Tensor, keys: Tensor, visible: Tensor) -> Tensor:
        """Read.

        Args:
            queries: shape (rows, length, d).
            keys: shape (rows, length, d).
            visible: shape (rows, length, length), True where a query may see a key; each sees one at least.

        Returns:
            Shape (rows, length, d).
        """
        parts = (self.query(queries), self.key(keys), self.value(keys))
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        forgotten = self.dropout.p if self.training else 0.0
        read = scaled_dot_product_attention(
            query, key, value, attn_mask=visible[:, None], dropout_p=forgotten
        )
        seen = self.seen(queries + self.dropout(self.output(read.transpose(1, 2).flatten(2))))
        inner = self.narrow(gelu(self.widen(seen)))
        thought: Tensor = self.thought(seen + self.dropout(inner))
        return thought


def _dropout(config: PreTrainedConfig) -> float:
    """The encoder's share of dropped numbers; architectures call it differently, and some have none."""
    names = ("hidden_dropout_prob", "dropout")
    return next((float(getattr(config, name)) for name in names if hasattr(config, name)), 0.0)


def _linear(width: int, out: int) -> nn.Linear:
    """A layer with BERT's initial weights."""
    layer = nn.Linear(width, out)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def _table(model: SentenceTransformer, seed: int) -> nn.Embedding:
    """Positions for a decoder whose encoder knows them by rotations only."""
    config = body_of(model).config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        table = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        nn.init.normal_(table.weight, std=0.02)
    return table.to(model.device)
