"""Elastic training: one model that is good at several depths and widths, over any contrastive objective.

One engine, of which the published methods are settings (`PRESETS`):

- 2D Matryoshka (Li, Li, Li, Xie, Li 2024, arXiv:2402.14776) draws a layer and a width in each step; ESE, its second
  version, takes all layers at one width, weighted by depth, and compresses;
- Starbucks (Zhuang, Wang, Zheng, Koopman, Zuccon 2024, arXiv:2410.13230) takes a fixed list of sizes;
- sentence-transformers' `AdaptiveLayerLoss` and `Matryoshka2dLoss` are the first with other weights.

All sizes of a step come from one forward pass, and every size is brought to unit length by itself. Unlike in released
code, the full model is not pulled towards the small ones (`KLAlignment.detach`), no layer is weighed by a slip of
brackets, and what the first layer is given is never taken for a layer.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import Tensor, nn
from torch.nn.functional import normalize

from polyvec.encoders.layer_vectors import LayerVectors, layer_count
from polyvec.errors import BadInput
from polyvec.objectives.chunked_embedding import embed_in_chunks
from polyvec.objectives.elastic_alignment import Alignment, KLAlignment, PCACompress
from polyvec.objectives.elastic_schedule import (
    WEIGHTINGS,
    AllLayers,
    FixedSizes,
    RandomSize,
    Schedule,
    Size,
    starbucks_sizes,
)

Features = dict[str, Any]
PRESETS = ("2dmse", "2dmse-code", "ese", "starbucks", "starbucks-scores")


class Elastic(nn.Module):
    """Trains an objective at several sizes of its model.

    Args:
        model: a transformer with pooling; the base's.
        base: an objective that takes vectors: `polyvec.objectives.contrastive.Contrastive`, or a loss of
            sentence-transformers with ``compute_loss_from_embeddings`` (CoSENT, in-batch negatives, …).
        schedule: which sizes are trained beside the full one.
        weighting: how much a layer counts: ``uniform``, ``log``, ``ese`` or ``inverse``.
        alignment: pulls small sizes towards the full one; None leaves them alone.
        full_weight: of the full model's loss.
        reduction: ``mean`` over all sizes, the full one among them (Starbucks' paper), or their ``sum`` (its code).
        chunk_tokens: most padded tokens in one forward pass; by default what suits the device.
        recompute: keep no activations, and compute them again on the way back.
        seed: of the sizes that are drawn.

    Returns:
        When called with ``(features, labels)``: the loss, a scalar. With a schedule of the full size alone it is the
        base's, bit for bit.

    Raises:
        BadInput: when the model has no layers, the base takes no vectors, or the schedule holds a size that the model
            does not have.

    Example:
        >>> objective = Elastic(model, Contrastive(model), starbucks(model))  # doctest: +SKIP
        >>> objective([model.preprocess(anchors), model.preprocess(positives)])  # doctest: +SKIP
        tensor(2.41)
    """

    def __init__(
        self,
        model: SentenceTransformer,
        base: nn.Module,
        schedule: Schedule,
        *,
        weighting: str = "uniform",
        alignment: Alignment | None = None,
        full_weight: float = 1.0,
        reduction: Literal["mean", "sum"] = "mean",
        chunk_tokens: int | None = None,
        recompute: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not any(hasattr(base, name) for name in ("compute_loss_from_embeddings", "loss")):
            raise BadInput(
                f"{type(base).__name__} takes no vectors, so it cannot be asked of several sizes: give Contrastive, or "
                "a loss of sentence-transformers with compute_loss_from_embeddings"
            )
        if weighting not in WEIGHTINGS:
            raise BadInput(f"weighting {weighting!r}: give {', '.join(WEIGHTINGS)}")
        self.model = model
        self.base = base
        self.schedule = schedule
        self.weighting = weighting
        self.alignment = alignment
        self.full_weight = full_weight
        self.reduction = reduction
        self.chunk_tokens = chunk_tokens
        self.recompute = recompute
        self.layers = layer_count(model)
        self.width = int(model.get_embedding_dimension() or 0)
        schedule.sizes(self.layers, self.width)
        self._random = random.Random(seed)

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> Tensor:
        """The loss of one batch."""
        sizes = self.schedule.draw(self.layers, self.width, self._random)
        wanted = sorted({layer for layer, _ in sizes} | {self.layers})
        columns = [self._embedded(column, wanted) for column in sentence_features]
        return self._loss(columns, sizes, labels)

    def _embedded(self, features: Features, layers: Sequence[int]) -> dict[int, Tensor]:
        """Layer → vectors of a column, shape (rows, width), of no certain length."""
        reader: Any = LayerVectors(self.model, layers)
        found = embed_in_chunks(reader, features, self.chunk_tokens, self.recompute)
        return dict(zip(layers, found.split(self.width, dim=1), strict=True))

    def _loss(
        self, columns: Sequence[dict[int, Tensor]], sizes: Sequence[Size], labels: Tensor | None
    ) -> Tensor:
        full = [column[self.layers] for column in columns]
        total = self.full_weight * self._of_vectors(
            [self._finished(column) for column in full], labels
        )
        with _standing_still(self.base):
            for layer, dim in sizes:
                small = [column[layer][:, :dim] for column in columns]
                loss = self._of_vectors([normalize(column, dim=1) for column in small], labels)
                weight = WEIGHTINGS[self.weighting](layer, self.layers)
                total = total + weight * loss
                if self.alignment is not None:
                    whole = [column[layer] for column in columns]
                    total = total + self._aligned(full, whole, small, weight)
        return total / (1 + len(sizes)) if self.reduction == "mean" else total

    def _aligned(
        self,
        full: Sequence[Tensor],
        whole: Sequence[Tensor],
        small: Sequence[Tensor],
        weight: float,
    ) -> Tensor:
        assert self.alignment is not None
        if isinstance(self.alignment, PCACompress):
            # ESE compresses each layer's own vector, and weighs it as the layer.
            return weight * self.alignment(whole, small)
        return self.alignment(full, small)

    def _finished(self, vectors: Tensor) -> Tensor:
        """As the model gives them: brought to unit length where it does that."""
        return normalize(vectors, dim=1) if isinstance(self.model[-1], Normalize) else vectors

    def _of_vectors(self, columns: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        known = getattr(self.base, "compute_loss_from_embeddings", None)
        found: Tensor = (
            known(list(columns), labels)
            if known is not None
            else self.base.loss(columns[0], list(columns[1:]), labels)  # type: ignore[operator]
        )
        return found


@contextmanager
def _standing_still(base: nn.Module) -> Iterator[None]:
    """Keep what a base moves once a step (running averages) where the full size has put it."""
    before = base.training
    base.training = False
    try:
        yield
    finally:
        base.training = before


def elastic(model: SentenceTransformer, base: nn.Module, preset: str, **changes: Any) -> Elastic:
    """One of the published methods over an objective.

    Args:
        model: what is trained.
        base: the objective, of the same model.
        preset: ``2dmse`` (of the paper, with the full model detached), ``2dmse-code`` (of the released code, which
            weighs by 1/n and does not detach), ``ese``, ``starbucks`` or ``starbucks-scores``.
        changes: any argument of `Elastic` instead.

    Raises:
        BadInput: when no method is called so.
    """
    layers, width = layer_count(model), int(model.get_embedding_dimension() or 0)
    sizes = list(starbucks_sizes(layers, width, min(6, layers), min(32, width)).values())
    presets: dict[str, dict[str, Any]] = {
        "2dmse": {
            "schedule": RandomSize(),
            "alignment": KLAlignment(temperature=1.0),
            "reduction": "sum",
        },
        "2dmse-code": {
            "schedule": RandomSize(),
            "weighting": "inverse",
            "alignment": KLAlignment(temperature=1.0, detach=False),
            "reduction": "sum",
        },
        "ese": {
            "schedule": AllLayers(min(128, width)),
            "weighting": "ese",
            "alignment": PCACompress(),
            "reduction": "sum",
        },
        "starbucks": {"schedule": FixedSizes(sizes), "alignment": KLAlignment()},
        "starbucks-scores": {
            "schedule": FixedSizes(sizes),
            "alignment": KLAlignment(over="scores", temperature=0.05),
        },
    }
    if preset not in PRESETS:
        raise BadInput(f"elastic preset {preset!r}: give {', '.join(PRESETS)}")
    return Elastic(model, base, **{**presets[preset], **changes})
