"""The terms of the contrastive objective, between the scores of a batch and its loss: how they combine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import softplus

from polyvec.objectives.blockwise_softmax import NOTHING, Bend, Block, Side, blockwise_softmax
from polyvec.objectives.contrastive_batch import Asked, from_all_ranks
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.objectives.progressive_weight import ProgressiveWeight
from polyvec.objectives.soft_labels import SoftLabels
from polyvec.objectives.step_trace import StepTrace


@dataclass(frozen=True, slots=True)
class Terms:
    """What is switched on; see `polyvec.objectives.contrastive.Contrastive`."""

    temperature: float
    margin: float | None
    focal: FocalWeight | None
    mixing: NegativeMixing | None
    progressive: ProgressiveWeight | None
    block_rows: int | None

    def one_way(
        self,
        asked: Asked,
        alike: list[tuple[Tensor, Tensor]],
        mixed: Tensor | None,
        trace: StepTrace | None,
    ) -> Tensor:
        """The mean loss of rows that ask for their answers, also among rows of their own kind."""
        scores = asked.scores()
        positives = scores if self.progressive is None else self.progressive.positive(scores)
        cuts = positives.detach()[:, None]
        logits = positives / self.temperature
        popularity = asked.popularity()
        if popularity is not None:
            logits = logits - popularity[asked.own()[:, 0]]
        each_row = [logits]
        if mixed is not None:
            each_row.append(self._mixed(asked, mixed, cuts, trace))
        if trace is not None:
            trace.add("positive", scores.detach().sum(), of=len(scores))
        hidden = asked.false_negatives(self.margin, scores)
        sides = [Side(asked.rows, asked.columns, partial(hidden.masked, trace=trace), popularity)]
        among_rows = replace(hidden, texts=None, other_texts=None)
        sides += [Side(*pair, partial(among_rows.masked, trace=trace)) for pair in alike]
        losses = _RowLosses(self.focal, trace)
        total = blockwise_softmax(
            sides,
            losses,
            each_row,
            temperature=self.temperature,
            bend=_bend(self.progressive, cuts, self.temperature, trace),
            block_rows=self.block_rows,
        )
        return total / (len(scores) * losses.mean_weight())

    def _mixed(self, asked: Asked, mixed: Tensor, cuts: Tensor, trace: StepTrace | None) -> Tensor:
        """Logits of each row's mixed negatives, shape (rows, mixes)."""
        cosines = (mixed @ asked.rows[..., None]).squeeze(-1)
        logits = cosines / self.temperature
        if self.progressive is not None:
            fixed = cosines.detach().clone()
            bent, slopes = self.progressive.logits(fixed, cuts, self.temperature)
            moved = logits - logits.detach()
            logits = bent + (moved if slopes is None else slopes * moved)
        if self.mixing is not None and self.mixing.guard:
            above = cosines.detach() > asked.scores().detach()[:, None]
            logits = logits.masked_fill(above, NOTHING)
            if trace is not None:
                trace.add("mixed_dropped", above.sum(), of=above.numel())
        return logits

    def taught(
        self, soft: SoftLabels, asked: Asked, group: list[Tensor], teacher: Tensor
    ) -> Tensor:
        """The mean loss against a teacher's probabilities of each row's group."""
        scores = torch.stack([(asked.rows * column).sum(dim=1) for column in group], dim=1)
        if soft.mode == "kl":
            return soft.divergence(scores, teacher).mean()
        hidden = asked.false_negatives(self.margin, scores[:, 0], group=len(group))
        total = blockwise_softmax(
            [Side(asked.rows, asked.columns, hidden.masked)],
            lambda block, rest, each: soft.in_turn(rest, each[0], teacher[block]),
            [scores],
            temperature=soft.student_temperature,
            block_rows=self.block_rows,
        )
        return total / len(scores)


class _RowLosses:
    """What each row of a block loses: the negative log-probability of its answer, times its weight."""

    def __init__(self, focal: FocalWeight | None, trace: StepTrace | None) -> None:
        self._focal = focal
        self._trace = trace
        self._weights: Tensor | float = 0.0
        self._rows: Tensor | float = 0.0

    def __call__(self, block: Block, rest: Tensor, each_row: tuple[Tensor, ...]) -> Tensor:
        logits, *mixed = each_row
        if mixed:
            rest = torch.logaddexp(rest, mixed[0].logsumexp(dim=1))
        against = rest - logits
        losses = softplus(against, threshold=50)
        alone = (rest.detach() < NOTHING / 2).sum()
        if self._trace is not None:
            self._trace.add("rows_without_negatives", alone)
        if self._focal is None:
            return losses
        weights = self._focal(against)
        self._weights += weights.detach().sum()
        self._rows += len(rest) - alone
        if self._trace is not None:
            self._trace.add("focal_weight", weights.detach().sum(), of=len(rest) - alone)
        return weights * losses

    def mean_weight(self) -> Tensor | float:
        """What the loss is divided by: 1, or the mean weight of rows on all ranks that have negatives."""
        if self._focal is None or not self._focal.renormalise:
            return 1.0
        sums = torch.stack([torch.as_tensor(self._weights), torch.as_tensor(self._rows)])
        weights, rows = from_all_ranks(sums[None]).sum(dim=0)
        mean: Tensor = weights / rows.clamp_min(1)
        return mean.clamp_min(torch.finfo(mean.dtype).tiny)


def _bend(
    progressive: ProgressiveWeight | None, cuts: Tensor, temperature: float, trace: StepTrace | None
) -> Bend | None:
    """Logits of scores whose hard ones are weighed."""
    if progressive is None:
        return None

    def bend(block: Block, cosines: Tensor, masked: Tensor) -> tuple[Tensor, Tensor | None]:
        cut = cuts[block]
        if trace is not None:
            hard = (cosines > cut).logical_and_(~masked)
            count = hard.count_nonzero()
            weights = progressive.weight(cosines, cut).masked_fill_(hard.logical_not_(), 0).sum()
            trace.add("hard_share", count, of=masked.numel() - masked.count_nonzero())
            trace.add("hard_weight", weights, of=count)
        return progressive.logits(cosines, cut, temperature)

    if trace is not None:
        for name, value in progressive.state().items():
            trace.add(name, value.clone())
    return bend
