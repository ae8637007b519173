"""A contrastive batch: who asks among which columns, and what is known about them, on all processes together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor

from polyvec.errors import BadInput
from polyvec.objectives.false_negatives import FalseNegatives
from polyvec.ranks import rank, ranks


def from_all_ranks(rows: Tensor) -> Tensor:
    """The rows of all processes that train together, in the order of their ranks; gradients flow back."""
    if ranks() == 1:
        return rows
    gather = all_gather_with_grad if rows.requires_grad else all_gather
    gathered: Tensor = gather(rows.contiguous())
    return gathered


@dataclass(frozen=True, slots=True)
class Known:
    """Numbers of rows and texts, and how popular answers are; see `FalseNegatives`.

    Args:
        keys: of this rank's rows, shape (rows, keys), or None.
        all_keys: of those of all ranks.
        texts: of this rank's positives, shape (rows,), or None.
        other_texts: of the columns of negatives on all ranks.
        popularity: what each positive's logit loses, on all ranks, shape (all rows,), or None.
    """

    keys: Tensor | None
    all_keys: Tensor | None
    texts: Tensor | None = None
    other_texts: Tensor | None = None
    popularity: Tensor | None = None

    @classmethod
    def of(
        cls, labels: Tensor | None, texts: Sequence[Tensor], expected_counts: Tensor | None
    ) -> Known:
        """What labels (rows,) or (rows, labels of a row) and the numbers of each column's texts (rows,) tell."""
        popularity = None
        if expected_counts is not None:
            if labels is None:
                raise BadInput(
                    "log-q correction without labels: give a label a row, the passage's number in expected_counts"
                )
            last = from_all_ranks(labels if labels.ndim == 1 else labels[:, -1])
            popularity = expected_counts.to(last.device)[last].log()
        keys = [] if labels is None else [labels[:, None] if labels.ndim == 1 else labels]
        keys += [numbers[:, None] for numbers in texts[:2]]
        mine = torch.cat(keys, dim=1) if keys else None
        negatives = [from_all_ranks(numbers) for numbers in texts[2:]]
        return cls(
            keys=mine,
            all_keys=None if mine is None else from_all_ranks(mine),
            texts=texts[1] if negatives else None,
            other_texts=torch.cat(negatives) if negatives else None,
            popularity=popularity,
        )

    def of_rows(self) -> Known:
        """Without what is known about passages only."""
        return Known(self.keys, self.all_keys)


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows that ask, the answer of each, and the columns they are asked among.

    Args:
        rows: shape (rows, d).
        answers: shape (rows, d).
        columns: the answers of all rows on all ranks and then, column by column, the negatives, shape (columns, d).
        known: about them.
        all_rows: how many of the columns are answers.
    """

    rows: Tensor
    answers: Tensor
    columns: Tensor
    known: Known
    all_rows: int

    def scores(self) -> Tensor:
        """Inner products of rows and answers, shape (rows,)."""
        return (self.rows * self.answers).sum(dim=1)

    def own(self, group: int = 1) -> Tensor:
        """Columns of each row's answer and of its next negatives, shape (rows, group)."""
        first = torch.arange(len(self.rows), device=self.rows.device) + rank() * len(self.rows)
        return first[:, None] + self.all_rows * torch.arange(group, device=first.device)

    def false_negatives(
        self, margin: float | None, scores: Tensor, group: int = 1
    ) -> FalseNegatives:
        """What masks columns, given the scores of the answers; ``group`` columns of each row are its own."""
        known = self.known
        return FalseNegatives(
            positives=scores.detach(),
            own=self.own(group),
            margin=margin,
            keys=known.keys,
            all_keys=known.all_keys,
            texts=known.texts,
            other_texts=known.other_texts,
        )

    def popularity(self) -> Tensor | None:
        """What each column's logit loses, shape (columns,)."""
        if self.known.popularity is None:
            return None
        lost = self.columns.new_zeros(len(self.columns))
        lost[: self.all_rows] = self.known.popularity
        return lost
