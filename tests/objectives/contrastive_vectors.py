"""Vectors and losses that tests of the contrastive objective share."""

import torch

from polyvec.objectives.contrastive import Contrastive

ROWS, NEGATIVES, WIDTH = 64, 3, 12
LABELS = torch.arange(ROWS) // 2
COUNTS = torch.linspace(0.5, 3, ROWS)

# Vectors of length 1, whose cosines are those in the comments of each test.
EAST, NORTH = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
NEAR_EAST, NEAR_NORTH = torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8])


def columns(rows=ROWS, negatives=NEGATIVES, dtype=torch.float64, seed=0):
    """Vectors that lie close to one another, so that some negatives are above their positive."""
    generator = torch.Generator().manual_seed(seed)
    meaning = torch.randn(rows, WIDTH, generator=generator)
    near = [meaning + 0.8 * torch.randn(rows, WIDTH, generator=generator) for _ in range(2)]
    far = [meaning + 1.5 * torch.randn(rows, WIDTH, generator=generator) for _ in range(negatives)]
    return [column.to(dtype).requires_grad_() for column in (*near, *far)]


def teacher_scores(seed=1):
    return torch.randn(ROWS, 1 + NEGATIVES, generator=torch.Generator().manual_seed(seed))


def with_t(progressive, value):
    progressive.t.fill_(value)
    return progressive


def at_step(scheduled, step):
    scheduled.step.fill_(step)
    return scheduled


def loss_of(anchors, *passages, labels=None, **options):
    objective = Contrastive(None, **{"temperature": 0.1, "margin": 3.0, **options}).eval()
    return objective.loss(torch.stack(anchors), [torch.stack(p) for p in passages], labels).item()
