"""Representative words prediction: of two word sets, which one stands for the document?

The objective of PROP: Pre-training with Representative Words Prediction for Ad-hoc Retrieval (Ma, Guo, Zhang, Fan, Ji,
Cheng 2021, arXiv:2010.10137), which B-PROP (2021, arXiv:2104.09791) keeps. The pairs come from
`polyvec.data.representative_words`. A cross-encoder reads ``[CLS] words [SEP] document [SEP]`` and learns to score the
more representative set higher, while it predicts hidden words of the document; its score ranks documents for queries
without any judged query. `RepresentativeWordsLoss` is the same for a bi-encoder, which is not in the paper.

Departures: the loss of the scores is the paper's hinge; the authors' code takes a margin between the two softmax
probabilities instead, which is ``softmax_margin`` here. Words are hidden anew each time a document is read, not once
while the data are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.nn.functional import mse_loss, relu, softplus

from polyvec.encoders.language_head import LanguageHead, body_of
from polyvec.errors import BadInput
from polyvec.objectives.masked_language import word_loss
from polyvec.objectives.word_masking import WordMasker

Features = dict[str, Any]
RopLoss = Literal["hinge", "softmax_margin", "logistic"]

_MOST_HIDDEN = 60
"""Tokens of a sequence that are hidden at most; the authors' number."""


class RepresentativeWordsPrediction(nn.Module):
    """Prefer the first word set to the second as a cross-encoder's score of (words, document), and predict words.

    It takes what sentence-transformers' ``CrossEncoderTrainer`` passes, the columns ``positive, negative, document`` of
    texts, or the features of two columns of (words, document) pairs, of which the first are preferred. A pair of
    (sentence, passage) and (sentence, other passage) trains the inverse cloze task.

    Only words of the document are hidden, never of the word set: whole ones, until ``share`` of the document's tokens
    are, 60 at most. One pass gives both the score and the predictions, so that the score is that of a document with
    words hidden.

    Args:
        model: with one output; of an architecture whose masked-language head is known.
        rop_loss: ``hinge``, max(0, 1 - s⁺ + s⁻), the paper's; ``softmax_margin``, 2 p⁻ with p the softmax over both
            scores, the authors' code; ``logistic``, log(1 + exp(s⁻ - s⁺)).
        share: of the document's tokens to hide; BERT's .15.
        rop_weight: of the loss of scores; 0 leaves masked language modelling alone.
        mlm_weight: of the loss of words; 0 leaves it out, and hides none.
        checkpoint: folder of a masked-language model whose head to start from.
        seed: of the words that are hidden, and of an untrained head.

    Returns:
        When called with ``(inputs, labels)``: ``{"rop": …, "mlm": …}``, each a mean and a scalar, weighted.

    Raises:
        BadInput: when the model has several outputs, a loss is unknown, or a number of columns is wrong.

    Example:
        >>> objective = RepresentativeWordsPrediction(CrossEncoder(path, num_labels=1))  # doctest: +SKIP
        >>> objective([["cat purr"], ["the moon"], ["A cat purrs at night."]])  # doctest: +SKIP
        {'rop': tensor(1.0313), 'mlm': tensor(5.1160)}
    """

    def __init__(
        self,
        model: CrossEncoder,
        *,
        rop_loss: RopLoss = "hinge",
        share: float = 0.15,
        rop_weight: float = 1.0,
        mlm_weight: float = 1.0,
        checkpoint: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if model.num_labels != 1:
            raise BadInput(
                f"a cross-encoder with {model.num_labels} outputs: a ranker has 1, give num_labels=1"
            )
        _check(rop_loss)
        if rop_weight < 0 or mlm_weight < 0 or rop_weight + mlm_weight == 0:
            raise BadInput(
                f"weights {rop_weight} and {mlm_weight}: give 0 or more, and not 0 twice"
            )
        self.model = model
        self.rop_loss = rop_loss
        self.share = share
        self.rop_weight = rop_weight
        self.mlm_weight = mlm_weight
        self.head = LanguageHead(model, checkpoint, seed)
        self.masker = WordMasker(model.tokenizer)
        self._separator = int(model.tokenizer.sep_token_id)
        self._body = [body_of(model)]  # in a list: it is the model's, and stored with it
        self._generator = torch.Generator().manual_seed(seed)

    def forward(
        self,
        inputs: Iterable[Features] | Sequence[Sequence[str]],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> dict[str, Tensor]:
        """The losses of one batch; ``labels`` are not looked at, nor ``prompt`` and ``task``, which trainers pass."""
        preferred, other = self._features(list(inputs))
        found, words = self.read(preferred)
        others, other_words = self.read(other)
        rop = pair_loss(found, others, self.rop_loss)
        return {
            "rop": self.rop_weight * rop,
            "mlm": self.mlm_weight * (words + other_words) / 2,
        }

    def read(self, features: Features) -> tuple[Tensor, Tensor]:
        """Hide words of the documents: the scores, shape (rows,), and the mean loss of the hidden words, a scalar."""
        if not self.mlm_weight:
            scores, vectors = self.encode(features)
            return scores, vectors.new_zeros(())
        hidden, wanted = self.hide(features["input_ids"])
        scores, vectors = self.encode({**features, "input_ids": hidden})
        return scores, word_loss(self.head, vectors, wanted)

    def encode(self, features: Features) -> tuple[Tensor, Tensor]:
        """One pass: the scores, shape (rows,), and the vectors of all tokens, shape (rows, length, d)."""
        vectors: list[Tensor] = []
        hook = self._body[0].register_forward_hook(
            lambda module, given, output: vectors.append(output[0])
        )
        try:
            scores: Tensor = self.model(dict(features))["scores"]
        finally:
            hook.remove()
        return scores.flatten().float(), vectors[0]

    def hide(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Hide words behind the first separator: the ids to read, and labels, shape (rows, length) both."""
        here = ids.cpu()
        behind = (here == self._separator).cumsum(dim=1) > 0
        words = self.masker.words(here).masked_fill(~behind, -1)
        tokens = (words >= 0).sum(dim=1)
        share = torch.clamp(_MOST_HIDDEN / tokens.clamp(min=1), max=self.share)
        chosen = self.masker.choose(words, share, 1, self._generator)[:, 0]
        hidden, labels = self.masker.hide(here, chosen, self._generator)
        return hidden.to(ids.device), labels.to(ids.device)

    def _features(self, columns: Sequence[Any]) -> tuple[Features, Features]:
        if len(columns) == 2 and all(isinstance(column, Mapping) for column in columns):
            return columns[0], columns[1]
        if len(columns) != 3 or any(isinstance(column, Mapping) for column in columns):
            raise BadInput(
                f"{len(columns)} columns: give the texts of positive, negative and document, "
                "or the features of two columns of (words, document)"
            )
        device = self._body[0].device
        positive, negative, documents = columns
        preferred, other = (
            batch_to_device(self.model.preprocess(list(zip(sets, documents, strict=True))), device)
            for sets in (positive, negative)
        )
        return preferred, other


class RepresentativeWordsLoss(nn.Module):
    """The same preference for a bi-encoder: score of words and document is the product of their vectors.

    Columns are ``positive, negative, document``. With ``margin_mse`` the ``label`` of a row is its gap
    (`polyvec.data.representative_words.WordSets`), and the difference of the two scores is to equal it (MarginMSE,
    Hofstätter et al. 2020, arXiv:2010.02666, with a language model for the teacher).

    Args:
        model: embeds the columns.
        loss: ``margin_mse``, or a loss of `RepresentativeWordsPrediction`, which needs no label.
        gap_scale: gaps are multiplied by it; they are of the order of 3 nats.

    Returns:
        When called with ``(features, labels)``: the mean loss over rows, a scalar.

    Raises:
        BadInput: when the loss is unknown, the columns are not three, or gaps are missing.

    Example:
        >>> objective = RepresentativeWordsLoss(model)  # doctest: +SKIP
        >>> columns = [["cat purr"], ["the moon"], ["A cat purrs at night."]]  # doctest: +SKIP
        >>> objective([model.preprocess(c) for c in columns], torch.tensor([2.5]))  # doctest: +SKIP
        tensor(6.1130, grad_fn=<MseLossBackward0>)
    """

    def __init__(
        self,
        model: SentenceTransformer,
        loss: Literal["margin_mse"] | RopLoss = "margin_mse",
        gap_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if loss != "margin_mse":
            _check(loss, "margin_mse")
        self.model = model
        self.pair_loss = loss
        self.gap_scale = gap_scale

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> Tensor:
        """The loss of one batch; ``labels`` are gaps, shape (rows,), or None."""
        columns = list(sentence_features)
        if len(columns) != 3:
            raise BadInput(f"{len(columns)} columns: give positive, negative and document")
        vectors = [self.model(dict(features))["sentence_embedding"].float() for features in columns]
        positive, negative, document = vectors
        found, other = (positive * document).sum(dim=1), (negative * document).sum(dim=1)
        if self.pair_loss != "margin_mse":
            return pair_loss(found, other, self.pair_loss)
        if labels is None:
            raise BadInput("margin_mse compares with gaps: give a column label of them")
        return mse_loss(found - other, self.gap_scale * labels.to(found))


def pair_loss(preferred: Tensor, other: Tensor, kind: RopLoss) -> Tensor:
    """Mean loss of scores of which the first are to be higher.

    Args:
        preferred: shape (rows,).
        other: shape (rows,).
        kind: see `RepresentativeWordsPrediction`.

    Example:
        >>> pair_loss(torch.tensor([1.5]), torch.tensor([1.0]), "hinge").item()
        0.5
    """
    difference = preferred - other
    if kind == "hinge":
        return relu(1 - difference).mean()
    if kind == "softmax_margin":
        return 2 * torch.sigmoid(-difference).mean()
    return softplus(-difference).mean()


def _check(loss: str, *more: str) -> None:
    known = (*more, "hinge", "softmax_margin", "logistic")
    if loss not in known:
        raise BadInput(f"loss {loss!r}: give {', '.join(known)}")
