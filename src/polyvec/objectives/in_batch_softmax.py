"""In-batch softmax: every other passage of the batch is a negative.

The loss of dual encoders since Henderson et al. 2017 (arXiv 1705.00652), with explicit hard negatives (Karpukhin et
al. 2020, arXiv 2004.04906) and two guards against false negatives: passages that answer the same question never
stand against one another, and a passage that the model scores clearly above the positive is taken for an unmarked
answer and left out (the margin mask of NV-Retriever, Moreira et al. 2024, arXiv 2407.15831, on live scores).

Batches that do not fit in memory are embedded in chunks whose activations are recomputed on the way back: the
gradient is that of the whole batch (GradCache, Gao et al. 2021, arXiv 2101.06983; here through PyTorch's own
checkpointing, which also replays dropout).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torch.utils.checkpoint import checkpoint

from polyvec.encoders.token_batches import default_batch_tokens

Features = dict[str, Any]


class InBatchSoftmax(nn.Module):
    """Softmax over cosine similarities of each anchor to all passages of the batch.

    Columns are ``anchor, positive[, negative_1, …]``. An integer ``label`` a row says what the anchor asks for; rows
    with equal labels have the same answers.

    Args:
        model: embeds the columns.
        temperature: cosines are divided by it; sentence-transformers' 0.05 (scale 20) by default.
        margin: a negative whose cosine is above the positive's by more than this is masked as a likely answer.
        chunk_tokens: most padded tokens in one forward pass; by default what suits the device, 2,048 on a CPU. Rows
            are sorted by length first, so that short ones are not padded to the longest of the batch.
        recompute: keep no activations of a chunk and compute them again on the way back: memory for one chunk,
            time of one more forward pass.

    Returns:
        When called with ``(features, labels)``: the mean loss over anchors, a scalar.

    Example:
        >>> objective = InBatchSoftmax(model, temperature=0.05)  # doctest: +SKIP
        >>> objective([model.preprocess(anchors), model.preprocess(positives)])  # doctest: +SKIP
        tensor(1.3863)
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.05,
        margin: float = 0.1,
        chunk_tokens: int | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.margin = margin
        self.chunk_tokens = chunk_tokens
        self.recompute = recompute

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> Tensor:
        """The loss of one batch; ``labels`` of shape (rows,) or None."""
        anchors, *passages = [normalize(self.embed(column), dim=1) for column in sentence_features]
        return self.loss(anchors, passages, labels)

    def loss(self, anchors: Tensor, passages: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of unit vectors.

        Args:
            anchors: shape (rows, d).
            passages: positives and then each column of negatives, shape (rows, d) each.
            labels: shape (rows,), equal where the answers are the same.
        """
        # bfloat16 would round a cosine by up to 0.002, which the temperature makes 0.04.
        with torch.autocast(anchors.device.type, enabled=False):
            cosines = anchors @ torch.cat(passages).T
        rows = torch.arange(len(anchors), device=anchors.device)
        masked = cosines.detach() > cosines.detach()[rows, rows, None] + self.margin
        if labels is not None:
            same = labels[:, None] == labels[None, :]
            masked[:, : len(anchors)] |= same
        masked[rows, rows] = False
        return cross_entropy((cosines / self.temperature).masked_fill(masked, float("-inf")), rows)

    def embed(self, features: Features) -> Tensor:
        """Vectors of a column, shape (rows, d), chunk by chunk, shortest rows first."""
        lengths = features["attention_mask"].sum(dim=1) if "attention_mask" in features else None
        if lengths is None:
            return self._embed_chunk(features)
        budget = self.chunk_tokens or default_batch_tokens(lengths.device)
        order = torch.argsort(lengths, stable=True)
        chunks = [
            self._embed_chunk(_rows(features, rows)) for rows in _chunks(order, lengths, budget)
        ]
        return torch.cat(chunks)[torch.argsort(order)]

    def _embed_chunk(self, features: Features) -> Tensor:
        def run(part: Features) -> Tensor:
            vectors: Tensor = self.model(dict(part))["sentence_embedding"]
            return vectors.float()

        if self.recompute and torch.is_grad_enabled():
            recomputed: Tensor = checkpoint(run, features, use_reentrant=False)
            return recomputed
        return run(features)


def _chunks(order: Tensor, lengths: Tensor, budget: int) -> list[Tensor]:
    """Cut rows, sorted by length, so that rows times longest row of each chunk stays within the budget."""
    chunks = []
    start = 0
    longest = lengths[order].tolist()
    for end in range(1, len(longest) + 1):
        if end == len(longest) or (end + 1 - start) * longest[end] > budget:
            chunks.append(order[start:end])
            start = end
    return chunks


def _rows(features: Features, rows: Tensor) -> Features:
    """The given rows of every tensor, without the columns in which all of them are padding."""
    padded = features["attention_mask"].shape
    used = features["attention_mask"][rows].any(dim=0)
    used[0] |= ~used.any()
    return {
        name: value[rows][:, used]
        if isinstance(value, Tensor) and value.shape[:2] == padded
        else value[rows]
        if isinstance(value, Tensor)
        else value
        for name, value in features.items()
    }
