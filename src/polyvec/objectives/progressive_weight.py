"""Weights of hard negatives that change as training goes on: easy ones first, hard ones later.

"Towards Robust Text Retrieval with Progressive Learning" (PEG, Wu et al. 2023, arXiv:2311.11691) weighs negatives by
their difficulty, progressively, in very large batches. Its formula is not public: both weights here are
RECONSTRUCTIONS, and the names in this file are ours.

- `Curricular` carries CurricularFace (Huang et al. 2020, arXiv:2004.00288, of the same laboratory) over to the in-batch
  softmax: the weight follows from the model's own progress.
- `Scheduled` follows the share of training that is over. With a constant weight, ``Scheduled((5, 5))``, it is much like
  the hardness weighting of EmbeddingGemma and LLaVE.
"""

from __future__ import annotations

from math import cos, pi, sin
from typing import Protocol

import torch
from torch import Tensor, nn

from polyvec.errors import BadInput

SMOOTH_WIDTH = 0.02
"""Cosine over which a smooth `Curricular` passes from easy to hard."""


class ProgressiveWeight(Protocol):
    """What the contrastive objective asks of a weight of negatives; cosines go in, logits come out."""

    def advance(self, positives: Tensor) -> None:
        """Begin a step of training, told the cosines of all positives; once a step."""

    def positive(self, cosines: Tensor) -> Tensor:
        """What stands for the cosines of positives, shape (rows,), differentiable."""

    def logits(
        self, cosines: Tensor, positives: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of negatives, and their derivatives by the cosine times the temperature (None where 1).

        Both of the shape of ``cosines``, which may be overwritten, (rows, columns); ``positives`` (rows, 1) are what
        `positive` returned.
        """

    def weight(self, cosines: Tensor, positives: Tensor) -> Tensor:
        """How much negatives count that are above their positives: above 1 amplified, below 1 damped."""

    def state(self) -> dict[str, Tensor]:
        """What moves from step to step, for the trace."""


class Curricular(nn.Module):
    """Hard negatives count little while the model is poor, and much when it has become good.

    A negative is hard where its cosine s is above the positive's (less an angular margin). Its logit is then s (t + s)
    instead of s, where t is a running average of the positives' cosines: damped while t + s < 1, amplified afterwards.
    No gradient flows through t, nor through the place of the cut.

    Args:
        margin: radians that are added to the angle of positives; 0, ours for text, to 0.1. Faces take 0.5.
        ema: share of a step in the running average.
        start: the first value of t. At 0 the average takes some hundred steps; a start at the batch's mean would
            leave no curriculum.
        smooth: pass over the cut smoothly, over `SMOOTH_WIDTH` of cosine, where the original has a step.

    Raises:
        BadInput: when the margin is outside [0, π/2), or the average's share outside (0, 1].

    Example:
        >>> weight = Curricular(start=0.5)
        >>> weight.logits(torch.tensor([[0.8, 0.4]]), torch.tensor([[0.6]]), temperature=1.0)[0]  # 0.8 (0.5 + 0.8)
        tensor([[1.0400, 0.4000]])
    """

    t: Tensor

    def __init__(
        self, margin: float = 0.0, ema: float = 0.01, start: float = 0.0, smooth: bool = False
    ) -> None:
        super().__init__()
        if not 0 <= margin < pi / 2:
            raise BadInput(
                f"an angular margin of {margin}: give radians in [0, π/2), 0.1 at most for text"
            )
        if not 0 < ema <= 1:
            raise BadInput(f"ema={ema}: the share of a step in the average is in (0, 1], say 0.01")
        self.margin = margin
        self.ema = ema
        self.smooth = smooth
        self.register_buffer("t", torch.tensor(float(start)))

    def advance(self, positives: Tensor) -> None:
        """Move the running average, before it is used."""
        self.t.lerp_(positives.mean().to(self.t), self.ema)

    def positive(self, cosines: Tensor) -> Tensor:
        """cos(θ + margin), and beyond π - margin, where that would rise again, a straight line."""
        if not self.margin:
            return cosines
        # At a cosine of 1 the sine has no derivative.
        sines = (1 - cosines.square()).clamp_min(1e-6).sqrt()
        turned = cosines * cos(self.margin) - sines * sin(self.margin)
        line = cosines - self.margin * sin(pi - self.margin)
        return torch.where(cosines > cos(pi - self.margin), turned, line)

    def logits(
        self, cosines: Tensor, positives: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor | None]:
        """Let hard negatives have s (t + s), with the derivative t + 2 s; others as they are."""
        factor = (cosines + self.t.to(cosines.dtype)).clamp_min_(0)
        if self.smooth:
            passed = ((cosines - positives) / SMOOTH_WIDTH).sigmoid_()
            moves = passed * (factor > 0)
            factor.sub_(1).mul_(passed)
            slopes = (1 - passed).mul_(factor).div_(SMOOTH_WIDTH).add_(moves).mul_(cosines)
            slopes += factor.add_(1)
        else:
            easy = cosines <= positives
            slopes = factor + cosines
            slopes.masked_fill_(factor == 0, 0.0).masked_fill_(easy, 1.0)
            factor.masked_fill_(easy, 1.0)
        return cosines.mul_(factor).div_(temperature), slopes

    def weight(self, cosines: Tensor, positives: Tensor) -> Tensor:
        """Tell t + s, as far as the cut is passed."""
        raised = (self.t.to(cosines.dtype) + cosines).clamp_min(0)
        if not self.smooth:
            return raised
        return 1 + (raised - 1) * ((cosines - positives) / SMOOTH_WIDTH).sigmoid()

    def state(self) -> dict[str, Tensor]:
        """The running average."""
        return {"t": self.t}


class Scheduled(nn.Module):
    """Negatives count exp(β (s - s⁺)) times, where β moves from its first to its last value over training.

    β below 0 damps negatives above their positive and amplifies those below it; above 0 it is the other way round. The
    weight is a constant: no gradient flows through it.

    Args:
        beta: first and last β, in units of cosine; ours are -2 and 5.
        steps: of the training, over which β moves in equal parts, and then stays; not needed where it never moves.

    Raises:
        BadInput: when β is to move, and steps are missing.

    Example:
        >>> weight = Scheduled(beta=(-2.0, 5.0), steps=100)
        >>> weight.logits(torch.tensor([[0.8]]), torch.tensor([[0.6]]), temperature=1.0)[0]  # 0.8 - 2 · 0.2
        tensor([[0.4000]])
    """

    step: Tensor

    def __init__(self, beta: tuple[float, float] = (-2.0, 5.0), steps: int | None = None) -> None:
        super().__init__()
        steps = 1 if steps is None and beta[0] == beta[1] else steps
        if steps is None or steps < 1:
            raise BadInput(f"a schedule of beta={beta} over {steps} steps: give 1 step or more")
        self.beta = beta
        self.steps = steps
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def advance(self, positives: Tensor) -> None:
        """Count the step; the first is at the beginning of the schedule."""
        self.step += 1

    def positive(self, cosines: Tensor) -> Tensor:
        """The cosines themselves."""
        return cosines

    def logits(
        self, cosines: Tensor, positives: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor | None]:
        """Add β (s - s⁺), which has no derivative, to the usual logit."""
        beta = self._now().to(cosines.dtype)
        return cosines * (1 / temperature + beta) - beta * positives, None

    def weight(self, cosines: Tensor, positives: Tensor) -> Tensor:
        """exp(β (s - s⁺))."""
        return (self._now().to(cosines.dtype) * (cosines - positives)).exp()

    def state(self) -> dict[str, Tensor]:
        """β of this step."""
        return {"beta": self._now()}

    def _now(self) -> Tensor:
        first, last = self.beta
        return first + (last - first) * ((self.step - 1).clamp_min(0) / self.steps).clamp_max(1.0)
