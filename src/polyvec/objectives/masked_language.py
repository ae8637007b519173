"""Masked language modelling: predict hidden words from the rest (Devlin et al. 2019, arXiv:1810.04805).

The baseline of every pre-training objective here, and the plainest way to make an encoder read the words of a domain.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from polyvec.encoders.language_head import LanguageHead
from polyvec.objectives.word_masking import IGNORED, WordMasker

Features = dict[str, Any]


class MaskedLanguage(nn.Module):
    """Cross-entropy of hidden whole words. One column of texts; further columns are passed over.

    Args:
        model: a text model whose architecture has a known head (`polyvec.encoders.language_head`).
        share: of the tokens to hide; BERT's 0.15.
        checkpoint: folder of a masked-language model whose head to start from.
        seed: of the words that are hidden, and of an untrained head.

    Returns:
        When called with ``(features, labels)``: the mean loss over hidden tokens, a scalar; 0 where none was hidden.

    Example:
        >>> objective = MaskedLanguage(model)  # doctest: +SKIP
        >>> objective([model.preprocess(texts)])  # doctest: +SKIP
        tensor(7.91, grad_fn=<NllLossBackward0>)
    """

    def __init__(
        self,
        model: SentenceTransformer,
        share: float = 0.15,
        checkpoint: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.share = share
        self.head = LanguageHead(model, checkpoint, seed)
        self.masker = WordMasker(model.tokenizer)
        self._generator = torch.Generator().manual_seed(seed)

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> Tensor:
        """The loss of one batch."""
        features, *_ = sentence_features
        ids = features["input_ids"]
        hidden, wanted = hide_words(self.masker, ids, self.share, self._generator)
        read = self.model({**features, "input_ids": hidden})
        return word_loss(self.head, read["token_embeddings"], wanted)


def hide_words(
    masker: WordMasker, ids: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide a share of the words of each row: the ids to read, and labels. The generator is the CPU's."""
    here = ids.cpu()
    chosen = masker.choose(masker.words(here), share, 1, generator)[:, 0]
    hidden, labels = masker.hide(here, chosen, generator)
    return hidden.to(ids.device), labels.to(ids.device)


def word_loss(head: LanguageHead, vectors: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the labelled tokens, whose logits alone are computed; 0 where there are none.

    Args:
        head: predicts words.
        vectors: of tokens, shape (rows, length, d).
        labels: ids, or `IGNORED`, shape (rows, length).
    """
    counted = labels != IGNORED
    if not counted.any():
        return vectors.sum() * 0.0
    return cross_entropy(head(vectors[counted]).float(), labels[counted])
