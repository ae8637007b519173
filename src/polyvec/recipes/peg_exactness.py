"""Is the gradient of a batch cut into parts that of the whole? The first part of the experiment on large batches.

Two shortcuts make large batches possible, and both have to be exact: activations are computed twice (GradCache), under
the same dropout, and the gradient of the scores is written down in closed form instead of found through a graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import psutil
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.progressive_weight import Curricular
from polyvec.recipes.measuring import measured
from polyvec.recipes.peg import CLOSED, TWICE
from polyvec.recipes.peg_data import columns
from polyvec.recipes.peg_model import MARGIN, SIZES, TEMPERATURE, whole_encoder
from polyvec.recipes.recipe import Metrics, Run, Scale
from polyvec.training.batch_loss import batch_loss

ROWS = 64
LARGER: dict[Scale, int] = {"cpu": 512, "gpu": 4096}
"""Rows of the batch whose memory is compared with that of `ROWS`."""
_CHUNK = 1024
_T = 0.5
"""Running average of a training that is half over."""


def exactness(run: Run) -> Metrics:
    """Relative gradient differences, and the memory and seconds of a step of few rows and of many."""
    columns_of = columns(SIZES[run.scale].rows)
    model = whole_encoder(run).train()
    few = [column[:ROWS] for column in columns_of[:3]]
    once, twice = (_gradient(model, few, recompute, run.seed) for recompute in (False, True))
    found = {TWICE: _difference(once, twice), CLOSED: closed_form_difference(run.seed)}
    for rows in (ROWS, LARGER[run.scale]):
        for recompute, name in ((True, "computed twice"), (False, "kept")):
            part = [column[:rows] for column in columns_of[:2]]
            memory, seconds = _cost(run, model, part, recompute)
            found[f"MB of a step of {rows:,} rows, {name}"] = memory
            found[f"seconds of a step of {rows:,} rows, {name}"] = seconds
    return found


def closed_form_difference(seed: int, rows: int = ROWS, negatives: int = 2, dim: int = 32) -> float:
    """How far the objective's gradients are from those of the same loss written out, for automatic differentiation.

    Args:
        seed: of the vectors.
        rows: anchors, with a positive and negatives each.
        negatives: of each row.
        dim: of the vectors.

    Returns:
        The largest difference, as a share of the largest number of the gradient.
    """
    generator = torch.Generator().manual_seed(seed)
    meaning = torch.randn(rows, dim, generator=generator)
    given = [
        (meaning + spread * torch.randn(rows, dim, generator=generator)).requires_grad_()
        for spread in (0.8, 0.8, *[1.2] * negatives)
    ]
    progressive = Curricular(start=_T)
    objective = Contrastive(
        SentenceTransformer(modules=[nn.Identity()], device="cpu"),
        TEMPERATURE,
        margin=MARGIN,
        progressive=progressive,
        block_rows=rows // 4 + 1,
    ).eval()
    ours = torch.autograd.grad(objective.loss(given[0], given[1:]), given)
    theirs = torch.autograd.grad(_written_out(given[0], given[1:]), given)
    return max(_difference(mine, other) for mine, other in zip(ours, theirs, strict=True))


def _written_out(anchors: Tensor, passages: Sequence[Tensor]) -> Tensor:
    """The curricular loss, with all of its scores at once."""
    scores = normalize(anchors, dim=1) @ normalize(torch.cat(list(passages)), dim=1).T
    own = torch.eye(*scores.shape, dtype=torch.bool)
    positives = scores.diagonal()[:, None]
    hard = (scores > positives) & ~own
    raised = torch.where(hard, scores * (_T + scores).clamp_min(0), scores)
    masked = (scores > positives + MARGIN) & ~own
    logits = (raised / TEMPERATURE).masked_fill(masked, float("-inf"))
    return cross_entropy(logits, torch.arange(len(anchors)))


def _gradient(
    model: SentenceTransformer, texts: Sequence[Sequence[str]], recompute: bool, seed: int
) -> Tensor:
    """Of all weights of the model, with the dropout of a seed."""
    torch.manual_seed(seed)
    objective = Contrastive(
        model, TEMPERATURE, margin=MARGIN, chunk_tokens=_CHUNK, recompute=recompute
    )
    batch_loss(objective.train(), texts).backward()
    found = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad(set_to_none=True)
    return torch.cat(found)


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / one.abs().max())


def _cost(
    run: Run, model: SentenceTransformer, texts: Sequence[Sequence[str]], recompute: bool
) -> tuple[float, float]:
    """What a step takes: memory beyond what was held before, in MB, and seconds."""
    before = psutil.Process().memory_info().rss / 2**20
    if run.device == "cuda":
        before = torch.cuda.memory_allocated() / 2**20
    with measured(run.device) as cost:
        _gradient(model, texts, recompute, run.seed)
    peak = cost.peak_accelerator_mb if run.device == "cuda" else cost.peak_memory_mb
    return peak - before, cost.wall_seconds
