"""The contrastive objective: every other passage of the batch is a negative, and all that can be changed about that.

The loss of dual encoders since Henderson et al. 2017 (arXiv:1705.00652), with explicit hard negatives (Karpukhin et
al. 2020, arXiv:2004.04906) and two guards against false negatives: passages that answer the same question never stand
against one another, and a passage that the model scores clearly above the positive is taken for an unmarked answer
and left out (`polyvec.objectives.false_negatives`).

Its terms act on vectors only, and any of them combine:

- weights of rows by how hard they are (`polyvec.objectives.focal_weight`), and negatives mixed from the mined ones
  (`polyvec.objectives.negative_mixing`), of KaLM-Embedding-V2 (Zhao et al. 2025, arXiv:2506.20923);
- weights of hard negatives that change as training goes on (`polyvec.objectives.progressive_weight`), of PEG (Wu et
  al. 2023, arXiv:2311.11691);
- a teacher's scores (`polyvec.objectives.soft_labels`), of LG-ANNA-Embedding (Choi et al. 2025, arXiv:2506.07438);
- prefixes of vectors that stand for the whole (`polyvec.objectives.matryoshka`).

With ``similarity="dot", temperature=1.0, margin=None`` it is the sampled softmax of Chang et al. 2020 (arXiv:
2002.03932). Their correction for passages that are drawn more often than others is that of Yi et al. 2019 (RecSys,
"Sampling-bias-corrected neural modeling"): each logit loses the log of how often its passage is expected.

Batches that do not fit in memory are embedded in chunks (`polyvec.objectives.chunked_embedding`), and their scores
exist only block by block (`polyvec.objectives.blockwise_softmax`); both give the gradient of the whole batch. Running
averages move once a step, however many chunks, blocks or widths it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.functional import normalize

from polyvec.errors import BadInput
from polyvec.objectives.chunked_embedding import embed_in_chunks, refuse_unrepeatable
from polyvec.objectives.contrastive_batch import Asked, Known, from_all_ranks
from polyvec.objectives.contrastive_terms import Terms
from polyvec.objectives.false_negatives import text_numbers
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing, Pairs
from polyvec.objectives.progressive_weight import ProgressiveWeight
from polyvec.objectives.soft_labels import (
    SoftLabels,
    entropy_share,
    refuse_scores,
    warn_if_extreme,
)
from polyvec.objectives.step_trace import StepTrace
from polyvec.ranks import rank, ranks

Features = dict[str, Any]


class Contrastive(nn.Module):
    """Softmax over similarities of each anchor to all passages of the batch.

    Columns are ``anchor, positive[, negative_1, …]``. An integer ``label`` a row says what the anchor asks for; rows
    with equal labels have the same answers. A row may have several labels (a page and a passage): rows that agree in
    any of them, each compared with its like, have the same answers. Labels that are fractions are a teacher's scores.

    Where processes train together (``torchrun``), passages and labels of all of them stand against each anchor, and
    gradients flow back to the process that a passage comes from. The mean over ranks of losses, and of gradients, is
    that of one process with the joined batch. Every rank has to have as many rows.

    Args:
        model: embeds the columns.
        temperature: similarities are divided by it; sentence-transformers' 0.05 (scale 20) by default. KaLM has 0.01.
        margin: a negative whose cosine is above the positive's by more than this is masked as a likely answer; None
            masks none.
        similarity: ``cos``, or ``dot`` for the inner product, which Chang et al. use with temperature 1.
        symmetric: ask also the other way round, each positive among all anchors; the mean of both losses.
        expanded: each row's softmax also has its anchor against the other anchors, and its positive against the other
            positives.
        expected_counts: how often the passage of a label is expected in a batch, shape (labels,), by the last label
            of a row. Its log is subtracted from the passage's logit (log-q correction). Columns of negatives were
            chosen for their rows, not drawn, and are left as they are.
        focal: weighs rows.
        mixing: makes more hard negatives.
        progressive: weighs hard negatives, changing over training: `Curricular` or `Scheduled`.
        soft_labels: a teacher's loss, added to the contrastive one; labels are then the teacher's scores of positive
            and negatives, shape (rows, 1 + negatives).
        matryoshka: sums up the losses of several widths.
        mask_duplicates: passages of the very tokens of a row's positive, or of the positive of a row with the very
            tokens of its anchor, are no negatives of it.
        block_rows: anchors whose scores are held at a time; by default what fits in a moderate memory.
        chunk_tokens: most padded tokens in one forward pass; by default what suits the device, 1,024 on a CPU. Rows
            are sorted by length first, so that short ones are not padded to the longest of the batch.
        recompute: keep no activations of a chunk and compute them again on the way back: memory for one chunk,
            time of one more forward pass. Gradients are then found by ``backward()``, not by ``torch.autograd.grad``.

    Returns:
        When called with ``(features, labels)``: the mean loss over anchors, a scalar. An anchor without any negative
        that is not masked counts as 0, and is counted in ``trace``.

    Raises:
        BadInput: when terms do not go together, an expected count is not above 0, the correction finds no labels,
            a batch has one passage only, among which there is nothing to choose, a column does not say which of two
            towers it takes, a teacher's score is missing, or the loss is not a number.

    Example:
        >>> objective = Contrastive(model, temperature=0.05)  # doctest: +SKIP
        >>> objective([model.preprocess(anchors), model.preprocess(positives)])  # doctest: +SKIP
        tensor(1.3863)
        >>> from polyvec.objectives.progressive_weight import Curricular
        >>> Contrastive(model, 0.02, focal=FocalWeight(), progressive=Curricular())  # doctest: +SKIP
    """

    expected_counts: Tensor | None

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.05,
        *,
        margin: float | None = 0.1,
        similarity: Literal["cos", "dot"] = "cos",
        symmetric: bool = False,
        expanded: bool = False,
        expected_counts: Tensor | None = None,
        focal: FocalWeight | None = None,
        mixing: NegativeMixing | None = None,
        progressive: ProgressiveWeight | None = None,
        soft_labels: SoftLabels | None = None,
        matryoshka: Matryoshka | None = None,
        mask_duplicates: bool = True,
        block_rows: int | None = None,
        chunk_tokens: int | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        _refuse_numbers(temperature, block_rows, chunk_tokens, expected_counts)
        _refuse_inner_products(similarity, margin, mixing=mixing, progressive=progressive)
        width = getattr(model, "get_embedding_dimension", lambda: None)()
        if matryoshka is not None and width:
            matryoshka.parts(width)
        self.model = model
        self.temperature = temperature
        self.margin = margin
        self.similarity = similarity
        self.symmetric = symmetric
        self.expanded = expanded
        self.focal = focal
        self.mixing = mixing
        self.progressive = progressive
        self.soft_labels = soft_labels
        self.matryoshka = matryoshka
        self.mask_duplicates = mask_duplicates
        self.block_rows = block_rows
        self.chunk_tokens = chunk_tokens
        self.recompute = recompute
        self.register_buffer("expected_counts", expected_counts, persistent=False)
        self._trace = StepTrace()
        self._first = True

    @property
    def trace(self) -> dict[str, float]:
        """Numbers of the last step on this rank, at full width, from anchors to passages.

        ``positive``, the mean similarity of positives; ``masked_share`` of all negatives; ``rows_without_negatives``;
        with a progressive weight ``t`` or ``beta``, the ``hard_share`` of unmasked negatives that are above their
        positive and their mean weight ``hard_weight`` (nan where there is none); with focal weights their mean
        ``focal_weight``; with mixing ``mixed_dropped``, the share that the guard left out; with soft labels
        ``teacher_entropy``, as a share of the greatest.
        """
        return self._trace.numbers()

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
        if self._first and self.recompute and self.model.training and torch.is_grad_enabled():
            for column in features[:2]:
                refuse_unrepeatable(self.model, column, self.chunk_tokens)
        vectors = [self.embed(column) for column in features]
        return self._loss(vectors, labels, self._texts(features))

    def loss(self, anchors: Tensor, passages: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of vectors, of any length where the similarity is the cosine.

        Args:
            anchors: shape (rows, d).
            passages: positives and then each column of negatives, shape (rows, d) each.
            labels: shape (rows,) or (rows, labels of a row), equal where the answers are the same; or a teacher's
                scores, shape (rows, 1 + negatives).
        """
        return self._loss([anchors, *passages], labels, [])

    def embed(self, features: Features) -> Tensor:
        """Vectors of a column, shape (rows, d), chunk by chunk, shortest rows first."""
        return embed_in_chunks(self.model, features, self.chunk_tokens, self.recompute)

    def _texts(self, features: list[Features]) -> list[Tensor]:
        """Numbers of the texts of each column; none where they are not compared, or cannot be."""
        if not self.mask_duplicates:
            return []
        numbers = [text_numbers(column) for column in features]
        found = [column for column in numbers if column is not None]
        return found if len(found) == len(numbers) else []

    def _loss(self, vectors: list[Tensor], labels: Tensor | None, texts: list[Tensor]) -> Tensor:
        if len(vectors) < 3 and len(vectors[0]) * ranks() < 2:
            raise BadInput(
                "a batch of 1 row without negatives: its passage stands against no other, and the loss is always 0; "
                "give 2 rows or more, or a column of negatives"
            )
        # bfloat16 would round a cosine by up to 0.002, which a temperature of 0.05 makes 0.04.
        with torch.autocast(vectors[0].device.type, enabled=False):
            precise = [v.to(torch.promote_types(v.dtype, torch.float32)) for v in vectors]
            loss = self._precise_loss(precise, labels, texts)
        _refuse_no_number(loss, precise)
        self._first = False
        return loss

    def _precise_loss(
        self, vectors: list[Tensor], labels: Tensor | None, texts: list[Tensor]
    ) -> Tensor:
        self._trace = StepTrace()
        teacher = self._teacher(labels, vectors)
        known = Known.of(None if teacher is not None else labels, texts, self.expected_counts)
        if self.training and torch.is_grad_enabled():
            self._advance(vectors[0], vectors[1])
        pairs = self._pairs(vectors)
        width = vectors[0].shape[1]
        parts = [(width, 1.0)] if self.matryoshka is None else self.matryoshka.parts(width)
        total = vectors[0].new_zeros(())
        for number, (dim, weight) in enumerate(parts):
            columns = [self._comparable(column[:, :dim]) for column in vectors]
            trace = None if number else self._trace
            total = total + weight * self._of_width(columns, known, pairs, teacher, trace)
        return total

    def _comparable(self, vectors: Tensor) -> Tensor:
        return normalize(vectors, dim=1) if self.similarity == "cos" else vectors

    def _teacher(self, labels: Tensor | None, vectors: list[Tensor]) -> Tensor | None:
        """The teacher's probabilities, shape (rows, 1 + negatives)."""
        rows, group = len(vectors[0]), len(vectors) - 1
        scored = labels is not None and labels.is_floating_point()
        if self.soft_labels is None:
            if scored:
                raise BadInput(
                    "labels with fractions, and nothing that learns from them: numbers of answers are integers, and a "
                    "teacher's scores need soft_labels=SoftLabels()"
                )
            return None
        if labels is None or not scored:
            raise BadInput(
                "soft labels without a teacher's scores: give labels that are its scores of positive and negatives, "
                f"with fractions, of the shape ({rows}, {group})"
            )
        refuse_scores(labels, rows, group)
        scores = labels.to(vectors[0].dtype)
        targets = self.soft_labels.targets(scores, from_all_ranks(scores).std(correction=0))
        share = entropy_share(targets)
        self._trace.add("teacher_entropy", share)
        if self._first:
            warn_if_extreme(float(share))
        return targets

    def _advance(self, anchors: Tensor, positives: Tensor) -> None:
        """Move what moves once a step."""
        if self.mixing is not None:
            self.mixing.advance()
        if self.progressive is not None:
            with torch.no_grad():
                pairs = self._comparable(anchors), self._comparable(positives)
                self.progressive.advance(from_all_ranks((pairs[0] * pairs[1]).sum(dim=1)))

    def _pairs(self, vectors: list[Tensor]) -> Pairs | None:
        """Which negatives are mixed; drawn for all ranks, so that it does not matter how many there are."""
        if self.mixing is None:
            return None
        rows = len(vectors[0])
        drawn = self.mixing.draw(rows * ranks(), len(vectors) - 2, like=vectors[0])
        return None if drawn is None else drawn.of_rows(slice(rank() * rows, (rank() + 1) * rows))

    def _terms(self) -> Terms:
        return Terms(
            temperature=self.temperature,
            margin=self.margin,
            focal=self.focal,
            mixing=self.mixing,
            progressive=self.progressive,
            block_rows=self.block_rows,
        )

    def _of_width(
        self,
        columns: list[Tensor],
        known: Known,
        pairs: Pairs | None,
        teacher: Tensor | None,
        trace: StepTrace | None,
    ) -> Tensor:
        """The loss of vectors of one width, ready to be compared."""
        anchors, positives, *negatives = columns
        all_positives, *all_negatives = (from_all_ranks(column) for column in columns[1:])
        found = torch.cat([all_positives, *all_negatives]) if negatives else all_positives
        all_anchors = from_all_ranks(anchors) if self.symmetric or self.expanded else anchors
        alike = [(anchors, all_anchors), (positives, all_positives)] if self.expanded else []
        asked = Asked(anchors, positives, found, known, len(all_positives))
        terms = self._terms()
        mixed = None
        if self.mixing is not None and pairs is not None:
            mixed = self.mixing.mix(pairs, anchors, torch.stack(negatives, dim=1))
        loss = terms.one_way(asked, alike, mixed, trace)
        if self.symmetric:
            back = Asked(positives, anchors, all_anchors, known.of_rows(), len(all_anchors))
            loss = (loss + terms.one_way(back, alike, None, None)) / 2
        if self.soft_labels is not None and teacher is not None:
            taught = terms.taught(self.soft_labels, asked, [positives, *negatives], teacher)
            loss = loss + self.soft_labels.weight * taught
        return loss


def _refuse_numbers(
    temperature: float,
    block_rows: int | None,
    chunk_tokens: int | None,
    expected_counts: Tensor | None,
) -> None:
    if not 0 < temperature < float("inf"):
        raise BadInput(f"temperature={temperature}: give a number above 0, such as 0.05")
    for name, size in (("block_rows", block_rows), ("chunk_tokens", chunk_tokens)):
        if size is not None and size < 1:
            raise BadInput(f"{name}={size}: give 1 or more, or None for what suits the machine")
    if expected_counts is not None and not bool((expected_counts > 0).all()):
        raise BadInput("expected_counts: every passage is expected somewhere; give counts above 0")


def _refuse_inner_products(similarity: str, margin: float | None, **of_cosines: object) -> None:
    """Refuse inner products for terms that read cosines."""
    if similarity not in ("cos", "dot"):
        raise BadInput(f"similarity {similarity!r}: give cos or dot")
    if similarity == "cos":
        return
    if margin is not None:
        raise BadInput(
            f"similarity='dot' with a margin of {margin}: inner products have no scale to read it on; give margin=None"
        )
    for name, term in of_cosines.items():
        if term is not None:
            raise BadInput(
                f"similarity='dot' with {name}={type(term).__name__}: it is made for cosines; give similarity='cos'"
            )


def _refuse_no_number(loss: Tensor, vectors: list[Tensor]) -> None:
    if loss.isfinite():
        return
    for number, column in enumerate(vectors):
        bad = (~column.isfinite().all(dim=1)).nonzero()
        if len(bad):
            name = ("anchor", "positive")[number] if number < 2 else f"negative_{number - 1}"
            raise BadInput(
                f"the loss is {loss.item()}, because the model's vector of column {name}, row {bad[0].item()} of the "
                "batch is not finite: train with a lower learning rate, or in float32"
            )
    raise BadInput(
        f"the loss is {loss.item()} of finite vectors: give a higher temperature, or shorter vectors"
    )
