"""Which columns of a contrastive batch are left out, because they may well answer the row they stand against.

Passages of the same answer, by label or because their text is the same (at a batch of 3,000 there is nearly always a
pair), and passages that the model scores clearly above the positive: the margin mask of NV-Retriever (Moreira et al.
2024, arXiv:2407.15831) and Qwen3-Embedding, on live scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyvec.objectives.step_trace import StepTrace


@dataclass(frozen=True, slots=True)
class FalseNegatives:
    """The mask of a block of scores.

    Columns are the passages of all rows, in the order of rows and ranks, and then those of explicit negatives.

    Args:
        positives: scores of the rows with their own passages, shape (rows,).
        own: numbers of the columns that belong to each row and are no negatives, shape (rows, own).
        margin: columns above the positive by more are masked; None masks none.
        keys: numbers of each row, shape (rows, keys); rows with one in common, each compared with its like, have the
            same answers. None where nothing is known.
        all_keys: of all ranks, in the order of columns, shape (all rows, keys).
        texts: number of each row's positive text, shape (rows,); None where texts are not compared.
        other_texts: numbers of the texts of explicit negatives, in the order of their columns.
    """

    positives: Tensor
    own: Tensor
    margin: float | None
    keys: Tensor | None = None
    all_keys: Tensor | None = None
    texts: Tensor | None = None
    other_texts: Tensor | None = None

    def masked(self, block: slice, scores: Tensor, trace: StepTrace | None = None) -> Tensor:
        """Which scores of a block of rows are left out, shape (rows of the block, columns)."""
        if self.margin is None:
            masked = torch.zeros_like(scores, dtype=torch.bool)
        else:
            masked = scores > (self.positives[block] + self.margin)[:, None]
        if self.keys is not None and self.all_keys is not None:
            of_rows = masked[:, : len(self.all_keys)]
            for mine, all_of_them in zip(self.keys[block].T, self.all_keys.T, strict=True):
                of_rows |= mine[:, None] == all_of_them
        if self.texts is not None and self.other_texts is not None:
            masked[:, -len(self.other_texts) :] |= self.texts[block, None] == self.other_texts
        own = self.own[block]
        masked.scatter_(1, own, True)
        if trace is not None:
            trace.add(
                "masked_share", masked.count_nonzero() - own.numel(), masked.numel() - own.numel()
            )
        return masked


def text_numbers(features: Mapping[str, Any]) -> Tensor | None:
    """A number for each row's tokens, equal where they are equal, wherever the padding stands, shape (rows,).

    Numbers of different texts are equal about once in 2⁶⁴ pairs. None for inputs that are not tokens alone.

    Example:
        >>> tokens = torch.tensor([[5, 6, 0], [0, 5, 6], [6, 5, 0]])
        >>> mask = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 1, 0]])
        >>> a, b, c = text_numbers({"input_ids": tokens, "attention_mask": mask})
        >>> bool(a == b), bool(a == c)
        (True, False)
    """
    ids = features.get("input_ids")
    if not isinstance(ids, Tensor) or ids.ndim != 2:
        return None
    tensors = {name: value for name, value in features.items() if isinstance(value, Tensor)}
    mask = tensors.pop("attention_mask", torch.ones_like(ids))
    if any(value.shape != ids.shape or value.is_floating_point() for value in tensors.values()):
        return None
    mask = (mask > 0).long()
    places = mask.cumsum(dim=1)
    found = ids.new_zeros(len(ids), dtype=torch.long)
    for number, name in enumerate(sorted(tensors)):
        mixed = _stirred(_stirred(tensors[name].long()) + places + (number << 32))
        found += (mixed * mask).sum(dim=1)
    return found


def _stirred(numbers: Tensor) -> Tensor:
    """Whole numbers, each turned into one whose 64 bits look random (after splitmix64, Steele et al. 2014)."""
    numbers = numbers * -0x61C8864680B583EB
    numbers = _folded(numbers, 30) * -0x40A7B892E31B1A47
    numbers = _folded(numbers, 27) * -0x6B2FB644ECCEEE15
    return _folded(numbers, 31)


def _folded(numbers: Tensor, bits: int) -> Tensor:
    """Upper bits laid over lower ones; torch shifts copies of the sign in, which would make two numbers one."""
    return numbers ^ ((numbers >> bits) & ((1 << (64 - bits)) - 1))
