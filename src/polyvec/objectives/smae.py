"""SMAE: masked auto-encoding at every size of a model, so that its first layers and numbers learn to hold texts too.

Zhuang, Wang, Zheng, Koopman, Zuccon 2024, "Starbucks: Improved Training for 2D Matryoshka Embeddings"
(arXiv:2410.13230). The encoder reads a text with a fifth of its words hidden. For each size, a layer and a number of
dimensions, the first numbers of that layer's states have to predict the hidden words, and what the head makes of those
of [CLS] is all that a decoder of one layer is told of the text, whose words it rebuilds with two fifths hidden from it,
those that the encoder did not see among them. Texts go in, no pairs; `polyvec.objectives.elastic` comes after.

Where this departs from the authors' code: masks are drawn for whole batches at once, and their shares are of a text's
ordinary tokens; where an encoder's first layer has another form than BERT's, the decoder starts untrained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.functional import pad

from polyvec.encoders.language_head import body_of
from polyvec.encoders.layer_vectors import layer_count, read_all_layers
from polyvec.errors import BadInput
from polyvec.objectives.elastic_schedule import FixedSizes, Size, starbucks_sizes
from polyvec.objectives.masked_language import word_loss
from polyvec.objectives.retromae import DecoderLayer, Features, RetroMAE


class SMAE(RetroMAE):
    """The losses of SMAE: half of ``mlm`` and half of ``decoder``, means over sizes. One column of texts.

    Args:
        model: see `polyvec.objectives.retromae.RetroMAE`.
        sizes: layers and dimensions; the full size is trained whether it stands among them or not. By default
            Starbucks' diagonal, six sizes from 32 dimensions up where the model has so many layers.
        encoder_mask: share of a text's tokens that the encoder does not see.
        decoder_mask: share that the decoder does not see; no smaller.
        checkpoint: folder of a masked-language model whose head to start from.
        seed: of what is hidden, and of new weights.

    Attributes:
        sizes: all that are trained, the full one last.

    Raises:
        BadInput: as `polyvec.objectives.retromae.RetroMAE`; when the model has no such size, or the decoder is to see
            more than the encoder.

    Example:
        >>> objective = SMAE(model)  # doctest: +SKIP
        >>> objective([model.preprocess(texts)])  # doctest: +SKIP
        {'mlm': tensor(3.61), 'decoder': tensor(3.74)}
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        sizes: Sequence[Size] | None = None,
        encoder_mask: float = 0.2,
        decoder_mask: float = 0.4,
        checkpoint: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            model,
            encoder_mask=encoder_mask,
            decoder_mask=decoder_mask,
            decoding="basic",
            checkpoint=checkpoint,
            seed=seed,
        )
        if encoder_mask > decoder_mask:
            raise BadInput(
                f"masks of {encoder_mask:g} and {decoder_mask:g}: give the decoder's the larger share"
            )
        layers, width = layer_count(model), int(body_of(model).config.hidden_size)
        if sizes is None:
            count, narrowest = min(6, layers), min(32, width)
            sizes = list(starbucks_sizes(layers, width, count, narrowest).values())
        given = [(layer, dim) for layer, dim in sizes]
        self.sizes: list[Size] = [*FixedSizes(given).sizes(layers, width), (layers, width)]
        _copy_first_layer(model, self.decoder)

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The losses of one batch; ``labels`` are not looked at."""
        features, *_ = sentence_features
        (read, asked), (seen, rebuilt) = self.hide(features["input_ids"])
        states = read_all_layers(self.model, {**features, "input_ids": read})[
            "all_layer_embeddings"
        ]
        words = self._placed(self.head.embed(seen))
        real = features["attention_mask"].bool()
        visible = real[:, None].expand(-1, real.shape[1], -1)
        encoded, decoded = [], []
        for layer, dim in self.sizes:
            vectors = first_numbers(states[layer], dim)
            keys = self._led(words, vectors[:, 0])
            encoded.append(word_loss(self.head, vectors, asked))
            decoded.append(word_loss(self.head, self.decoder(keys, keys, visible), rebuilt))
        return {
            "mlm": torch.stack(encoded).mean() / 2,
            "decoder": torch.stack(decoded).mean() / 2,
        }

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments that it was built with, besides model, checkpoint and seed."""
        return {
            "sizes": [list(size) for size in self.sizes],
            "encoder_mask": self.encoder_mask,
            "decoder_mask": self.decoder_mask,
        }

    def hide(self, ids: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """What the encoder and the decoder read, each with its labels, all of shape (rows, length).

        What is hidden from the encoder is hidden from the decoder as well.
        """
        self._refuse_too_long(ids.shape[1])
        short = ~self.long_enough(ids)
        self.skipped += int(short.sum())
        here = ids.cpu()
        shares = (self.decoder_mask, self.encoder_mask)
        more, fewer = self.masker.choose_nested(self.masker.words(here), shares, self._generator)
        encoder, decoder = (
            self.masker.hide(here, chosen & ~short.cpu()[:, None], self._generator)
            for chosen in (fewer, more)
        )
        return _to(encoder, ids.device), _to(decoder, ids.device)

    def _led(self, words: Tensor, sentences: Tensor) -> Tensor:
        """The decoder is told of a text what the head makes of its vector."""
        return super()._led(words, self.head.transform(sentences))


def first_numbers(states: Tensor, dim: int) -> Tensor:
    """States with zeros behind their first numbers, which is the same to a dense layer as if its columns were cut.

    Args:
        states: shape (…, width).
        dim: how many numbers to keep.

    Example:
        >>> first_numbers(torch.tensor([[1.0, 2.0, 3.0]]), 2)
        tensor([[1., 2., 0.]])
    """
    return pad(states[..., :dim], (0, states.shape[-1] - dim))


def _to(pair: tuple[Tensor, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    return pair[0].to(device), pair[1].to(device)


def _copy_first_layer(model: SentenceTransformer, decoder: DecoderLayer) -> None:
    """Start a decoder as the encoder's first layer, where that has the form of BERT's: six dense layers, two norms."""
    body = body_of(model)
    stack = next(
        part
        for part in body.modules()
        if isinstance(part, nn.ModuleList) and len(part) == body.config.num_hidden_layers
    )
    pairs: list[tuple[nn.Module, nn.Module]] = []
    for kind in (nn.Linear, nn.LayerNorm):
        own, theirs = (
            [part for part in layer.modules() if isinstance(part, kind)]
            for layer in (decoder, stack[0])
        )
        if [part.weight.shape for part in own] != [part.weight.shape for part in theirs]:
            return
        pairs += zip(own, theirs, strict=True)
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())
        if isinstance(mine, nn.LayerNorm) and isinstance(other, nn.LayerNorm):
            mine.eps = other.eps
