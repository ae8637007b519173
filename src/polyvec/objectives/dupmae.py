"""DupMAE: beside the vector of [CLS], the vectors of the words have to say which words a text holds.

Xiao, Liu 2022, "RetroMAE v2: Duplex Masked Auto-Encoder For Pre-Training Retrieval-Oriented Language Models"
(arXiv:2211.08769; ACL 2023 with Shao, Cao as RetroMAE-2). To RetroMAE's two losses comes a third: the logits of all
ordinary tokens, their maximum over the text, have to predict the bag of its words. [CLS] then carries meaning, the
words carry words; `polyvec.encoders.duplex_pooling` joins both to one vector.

Where this departs from the authors' code: [SEP] and other special tokens are left out of the maximum and of the bag.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.nn.functional import log_softmax

from polyvec.encoders.max_over_tokens import max_over_tokens
from polyvec.errors import BadInput
from polyvec.objectives.masked_language import word_loss
from polyvec.objectives.retromae import Features, RetroMAE

BagTarget = Literal["set", "count"]


class DupMAE(RetroMAE):
    """The losses of DupMAE: ``mlm``, ``decoder`` and ``bag``. One column of texts.

    Args:
        model: see `polyvec.objectives.retromae.RetroMAE`.
        bag_weight: of the bag's loss; 0.1 in the authors' code, 1 in the paper.
        bag_target: ``set``, each distinct word weighs one over the number of tokens, however often it occurs (the
            authors' code); ``count``, each as its share of the tokens.
        encoder_mask: share of tokens that the encoder does not see.
        decoder_mask: share that each position of the decoder does not see.
        checkpoint: folder of a masked-language model whose head to start from.
        seed: of what is hidden, and of new weights.

    Returns:
        When called with ``(features, labels)``: the three losses, weighted.

    Raises:
        BadInput: as `polyvec.objectives.retromae.RetroMAE`, and when the target of bags is unknown.

    Example:
        >>> objective = DupMAE(model)  # doctest: +SKIP
        >>> objective([model.preprocess(texts)])  # doctest: +SKIP
        {'mlm': tensor(6.92), 'decoder': tensor(7.31), 'bag': tensor(0.81)}
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        bag_weight: float = 0.1,
        bag_target: BagTarget = "set",
        encoder_mask: float = 0.3,
        decoder_mask: float = 0.5,
        checkpoint: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            model,
            encoder_mask=encoder_mask,
            decoder_mask=decoder_mask,
            checkpoint=checkpoint,
            seed=seed,
        )
        if bag_target not in get_args(BagTarget):
            raise BadInput(f"bag target {bag_target!r}: give 'set' or 'count'")
        self.bag_weight = bag_weight
        self.bag_target = bag_target

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The losses of one batch; ``labels`` are not looked at."""
        features, *_ = sentence_features
        vectors, wanted = self.encode(features)
        ids = features["input_ids"]
        content = (self.masker.words(ids) >= 0) & self.long_enough(ids)[:, None]
        strongest = max_over_tokens(
            self.head.transform(vectors),
            self.head.projection.weight,
            self.head.projection.bias,
            content,
        )
        bags = bags_of_words(ids, content, strongest.shape[1], self.bag_target)
        return {
            "mlm": word_loss(self.head, vectors, wanted),
            "decoder": self.decoder_loss(features, vectors[:, 0]),
            "bag": self.bag_weight * bag_loss(strongest, bags),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments that it was built with, besides model, checkpoint and seed."""
        names = ("bag_weight", "bag_target", "encoder_mask", "decoder_mask")
        return {name: getattr(self, name) for name in names}


def bags_of_words(ids: Tensor, content: Tensor, vocabulary: int, target: BagTarget) -> Tensor:
    """How much each word of the vocabulary weighs in each text.

    Args:
        ids: shape (rows, length).
        content: True where a token is ordinary, shape (rows, length).
        vocabulary: its size.
        target: see `DupMAE`.

    Returns:
        Shape (rows, vocabulary); zeros for a text without ordinary tokens.

    Example:
        >>> ids, content = torch.tensor([[0, 2, 2, 1]]), torch.tensor([[False, True, True, True]])
        >>> bags_of_words(ids, content, 3, "set")
        tensor([[0.0000, 0.3333, 0.3333]])
    """
    counts = torch.zeros(len(ids), vocabulary, device=ids.device)
    counts.scatter_add_(1, ids, content.float())
    found = counts if target == "count" else counts.clamp(max=1)
    return found / content.sum(dim=1, keepdim=True).clamp(min=1)


def bag_loss(logits: Tensor, bags: Tensor) -> Tensor:
    """Cross-entropy of bags of words, a mean over texts that have words; 0 where none has.

    Args:
        logits: shape (rows, vocabulary).
        bags: of the same shape.

    Example:
        >>> round(float(bag_loss(torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]]))), 4)  # ln 4
        1.3863
    """
    entropies = -(bags * log_softmax(logits.float(), dim=1)).sum(dim=1)
    return entropies.sum() / bags.any(dim=1).sum().clamp(min=1)
