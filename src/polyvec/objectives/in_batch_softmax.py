"""In-batch softmax: every other passage of the batch is a negative.

The loss of dual encoders since Henderson et al. 2017 (arXiv 1705.00652), with explicit hard negatives (Karpukhin et
al. 2020, arXiv 2004.04906) and two guards against false negatives: passages that answer the same question never
stand against one another, and a passage that the model scores clearly above the positive is taken for an unmarked
answer and left out (the margin mask of NV-Retriever, Moreira et al. 2024, arXiv 2407.15831, on live scores).

With ``similarity="dot", temperature=1.0, margin=None`` it is the sampled softmax of Chang et al. 2020 (arXiv
2002.03932). Their correction for passages that are drawn more often than others is that of Yi et al. 2019 (RecSys,
"Sampling-bias-corrected neural modeling"): each logit loses the log of how often its passage is expected.

Batches that do not fit in memory are embedded in chunks whose activations are recomputed on the way back: the
gradient is that of the whole batch (GradCache, Gao et al. 2021, arXiv 2101.06983; here through PyTorch's own
checkpointing, which also replays dropout).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, pad
from torch.utils.checkpoint import checkpoint

from polyvec.encoders.token_batches import default_batch_tokens
from polyvec.errors import BadInput
from polyvec.ranks import rank, ranks

Features = dict[str, Any]


class InBatchSoftmax(nn.Module):
    """Softmax over similarities of each anchor to all passages of the batch.

    Columns are ``anchor, positive[, negative_1, …]``. An integer ``label`` a row says what the anchor asks for; rows
    with equal labels have the same answers. A row may have several labels (a page and a passage): rows that agree in
    any of them, each compared with its like, have the same answers.

    Where processes train together (``torchrun``), passages and labels of all of them stand against each anchor, and
    gradients flow back to the process that a passage comes from. The mean over ranks of losses, and of gradients, is
    that of one process with the joined batch. Every rank has to have as many rows.

    Args:
        model: embeds the columns.
        temperature: similarities are divided by it; sentence-transformers' 0.05 (scale 20) by default.
        margin: a negative whose cosine is above the positive's by more than this is masked as a likely answer; None
            masks none.
        chunk_tokens: most padded tokens in one forward pass; by default what suits the device, 2,048 on a CPU. Rows
            are sorted by length first, so that short ones are not padded to the longest of the batch.
        recompute: keep no activations of a chunk and compute them again on the way back: memory for one chunk,
            time of one more forward pass.
        similarity: ``cos``, or ``dot`` for the inner product, which Chang et al. use with temperature 1.
        symmetric: ask also the other way round, each positive among all anchors; the mean of both losses.
        expected_counts: how often the passage of a label is expected in a batch, shape (labels,), by the last label
            of a row. Its log is subtracted from the passage's logit (log-q correction). Columns of negatives were
            chosen for their rows, not drawn, and are left as they are.

    Returns:
        When called with ``(features, labels)``: the mean loss over anchors, a scalar.

    Raises:
        BadInput: when a margin is given for inner products, an expected count is not above 0, the correction finds no
            labels, a batch has one passage only, among which there is nothing to choose, or a column does not say
            which of two towers it takes.

    Example:
        >>> objective = InBatchSoftmax(model, temperature=0.05)  # doctest: +SKIP
        >>> objective([model.preprocess(anchors), model.preprocess(positives)])  # doctest: +SKIP
        tensor(1.3863)
    """

    expected_counts: Tensor | None

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.05,
        margin: float | None = 0.1,
        chunk_tokens: int | None = None,
        recompute: bool = False,
        similarity: Literal["cos", "dot"] = "cos",
        symmetric: bool = False,
        expected_counts: Tensor | None = None,
    ) -> None:
        super().__init__()
        _refuse_impossible(similarity, margin, expected_counts)
        self.model = model
        self.temperature = temperature
        self.margin = margin
        self.chunk_tokens = chunk_tokens
        self.recompute = recompute
        self.similarity = similarity
        self.symmetric = symmetric
        self.register_buffer("expected_counts", expected_counts, persistent=False)

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> Tensor:
        """The loss of one batch; ``labels`` of shape (rows,), (rows, labels of a row) or None."""
        features = list(sentence_features)
        # A router alone leaves this key, and takes its default where it says nothing.
        if any("task" in column and column["task"] is None for column in features):
            raise BadInput(
                "a model with two towers, and a column that does not say which it takes: give the trainer "
                "router_mapping={'anchor': 'query', 'positive': 'document'}, or preprocess a task"
            )
        columns = [self.embed(column) for column in features]
        if self.similarity == "cos":
            columns = [normalize(column, dim=1) for column in columns]
        anchors, *passages = columns
        return self.loss(anchors, passages, labels)

    def loss(self, anchors: Tensor, passages: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of vectors, of unit length where the similarity is the cosine.

        Args:
            anchors: shape (rows, d).
            passages: positives and then each column of negatives, shape (rows, d) each.
            labels: shape (rows,) or (rows, labels of a row), equal where the answers are the same.
        """
        positives, *negatives = (_from_all_ranks(column) for column in passages)
        found = torch.cat([positives, *negatives])
        if len(found) < 2:
            raise BadInput(
                "a batch of 1 row without negatives: its passage stands against no other, and the loss is always 0; "
                "give 2 rows or more, or a column of negatives"
            )
        all_labels = None if labels is None else _from_all_ranks(labels)
        same = None if labels is None or all_labels is None else _agree(labels, all_labels)
        loss = self._one_way(anchors, found, same, self._popularity(all_labels, len(found)))
        if not self.symmetric:
            return loss
        return (loss + self._one_way(passages[0], _from_all_ranks(anchors), same, None)) / 2

    def _one_way(
        self, asking: Tensor, found: Tensor, same: Tensor | None, popularity: Tensor | None
    ) -> Tensor:
        # bfloat16 would round a cosine by up to 0.002, which the temperature makes 0.04.
        with torch.autocast(asking.device.type, enabled=False):
            scores = asking @ found.T
        rows = torch.arange(len(asking), device=asking.device)
        # Passages come in the order of ranks, this one's among them.
        own = rows + rank() * len(asking)
        masked = torch.zeros_like(scores, dtype=torch.bool)
        if self.margin is not None:
            masked |= scores.detach() > scores.detach()[rows, own, None] + self.margin
        if same is not None:
            masked[:, : same.shape[1]] |= same
        masked[rows, own] = False
        logits = scores / self.temperature
        if popularity is not None:
            logits = logits - popularity
        return cross_entropy(logits.masked_fill(masked, float("-inf")), own)

    def _popularity(self, labels: Tensor | None, passages: int) -> Tensor | None:
        """What each passage's logit loses, shape (passages,)."""
        if self.expected_counts is None:
            return None
        if labels is None:
            raise BadInput(
                "log-q correction without labels: give a label a row, the passage's number in expected_counts"
            )
        last = labels if labels.ndim == 1 else labels[:, -1]
        expected = self.expected_counts.to(last.device)[last]
        return pad(expected.log(), (0, passages - len(last)))

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


def _refuse_impossible(
    similarity: str, margin: float | None, expected_counts: Tensor | None
) -> None:
    if similarity not in ("cos", "dot"):
        raise BadInput(f"similarity {similarity!r}: give cos or dot")
    if similarity == "dot" and margin is not None:
        raise BadInput(
            f"similarity='dot' with a margin of {margin}: inner products have no scale to read it on; give margin=None"
        )
    if expected_counts is not None and not bool((expected_counts > 0).all()):
        raise BadInput("expected_counts: every passage is expected somewhere; give counts above 0")


def _from_all_ranks(rows: Tensor) -> Tensor:
    """The rows of all processes that train together, in the order of their ranks; gradients flow back."""
    if ranks() == 1:
        return rows
    gathered: Tensor = (all_gather_with_grad if rows.requires_grad else all_gather)(rows)
    return gathered


def _agree(labels: Tensor, others: Tensor) -> Tensor:
    """Which rows have an equal label, each compared with its like, shape (rows, others)."""
    equal = labels[:, None] == others[None, :]
    return equal.any(dim=2) if equal.ndim == 3 else equal


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
