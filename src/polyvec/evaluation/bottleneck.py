"""Does a text's vector hold the text? What the decoder of RetroMAE rebuilds from it, and what it would without it.

Nothing but such numbers says when pre-training may stop, or whether it works at all: a decoder that sees too much
ignores the vector, and its loss falls nevertheless (Xiao, Liu, Shao, Cao 2022, arXiv:2205.12035; the measures are
ours).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.util import batch_to_device
from torch import Tensor
from torch.nn.functional import cross_entropy

from polyvec.errors import BadInput
from polyvec.objectives.masked_language import hide_words
from polyvec.objectives.retromae import RetroMAE
from polyvec.objectives.word_masking import IGNORED

RECALL_SHARE = 0.9
"""Of a text's words that a position of the decoder does not see while recall is measured."""


class Bottleneck(BaseEvaluator):
    """What goes through the vector between encoder and decoder of RetroMAE or DupMAE.

    Called with the objective's model it returns, over all tokens of the texts:

    - ``enc_acc``: share of the hidden tokens that the encoder predicts;
    - ``dec_acc``: share of the tokens that the decoder rebuilds, hidden as in training;
    - ``recall``: the same, where each position sees a tenth of the words;
    - ``bottleneck_gain``, the primary metric: nats a token by which the decoder's loss grows when each text is rebuilt
      from another one's vector, hidden as in training and the same for both; near 0 while the vector is not used.

    The same objective gets the same numbers each time, and its own random draws go on as if nothing had been measured.

    Args:
        objective: as trained so far; trained on, its numbers change.
        texts: not trained on; two or more.
        batch: texts at once.
        seed: of what is hidden.

    Raises:
        BadInput: when there are fewer than two texts; when called, if the model is not the objective's.

    Example:
        >>> Bottleneck(objective, held_out)(model)["bottleneck_gain"]  # doctest: +SKIP
        0.84
    """

    def __init__(
        self, objective: RetroMAE, texts: Sequence[str], batch: int = 64, seed: int = 0
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if len(texts) < 2 or batch < 2:
            raise BadInput(
                f"{len(texts)} texts in batches of {batch}: give two or more, so that vectors can be swapped"
            )
        self.objective = objective
        self.texts = list(texts)
        self.batch = batch
        self.seed = seed
        self.primary_metric = "bottleneck_gain"

    def __call__(  # type: ignore[override]
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Measure; training goes on afterwards in the mode in which it was."""
        if model is not self.objective.model:
            raise BadInput("the model is not the objective's; its decoder knows no other vectors")
        training = self.objective.training
        self.objective.eval()
        try:
            total: Counter[str] = Counter()
            for number, features in enumerate(self._batches(model)):
                total.update(self._measure(features, self.seed + number))
        finally:
            self.objective.train(training)
        rebuilt = max(1, total["tokens"])
        return {
            "bottleneck_gain": (total["loss, swapped"] - total["loss"]) / rebuilt,
            "enc_acc": total["predicted"] / max(1, total["hidden"]),
            "dec_acc": total["rebuilt"] / rebuilt,
            "recall": total["recalled"] / max(1, total["tokens, recall"]),
        }

    def _batches(self, model: SentenceTransformer) -> Iterator[dict[str, Any]]:
        """Of two texts at least: a single one at the end goes to the batch before."""
        starts = list(range(0, len(self.texts), self.batch))
        if len(self.texts) - starts[-1] == 1:
            starts.pop()
        for start, end in zip(starts, [*starts[1:], len(self.texts)], strict=True):
            yield batch_to_device(model.preprocess(self.texts[start:end]), model.device)

    @torch.inference_mode()
    def _measure(self, features: dict[str, Any], seed: int) -> dict[str, float]:
        objective = self.objective
        sentences = objective.model(dict(features))["token_embeddings"][:, 0]
        loss, rebuilt, tokens = self._rebuild(features, sentences, objective.decoder_mask, seed)
        swapped, *_ = self._rebuild(features, sentences.roll(1, 0), objective.decoder_mask, seed)
        _, recalled, of = self._rebuild(features, sentences, RECALL_SHARE, seed)
        hidden, wanted = hide_words(
            objective.masker, features["input_ids"], objective.encoder_mask, _seeded(seed)
        )
        read = objective.model({**features, "input_ids": hidden})["token_embeddings"]
        _, predicted, asked = self._compare(read, wanted)
        return {
            "loss": loss,
            "loss, swapped": swapped,
            "rebuilt": rebuilt,
            "tokens": tokens,
            "recalled": recalled,
            "tokens, recall": of,
            "predicted": predicted,
            "hidden": asked,
        }

    def _rebuild(
        self, features: dict[str, Any], sentences: Tensor, share: float, seed: int
    ) -> tuple[float, int, int]:
        """See `_compare`, of a text that is rebuilt."""
        rebuilt, labels = self.objective.decode(
            features, sentences, share=share, generator=_seeded(seed)
        )
        return self._compare(rebuilt, labels)

    def _compare(self, vectors: Tensor, labels: Tensor) -> tuple[float, int, int]:
        """Summed loss of the labelled tokens, how many are predicted right, and how many there are."""
        counted = labels != IGNORED
        logits, wanted = self.objective.head(vectors[counted]).float(), labels[counted]
        loss = float(cross_entropy(logits, wanted, reduction="sum"))
        return loss, int((logits.argmax(dim=1) == wanted).sum()), len(wanted)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
