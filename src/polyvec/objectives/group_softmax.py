"""Softmax over groups of one relevant document and some others: how a cross-encoder learns to rank from judgements.

The fine-tuning of PROP (Ma et al. 2021, arXiv:2010.10137) and of many rankers before it (localized contrastive
estimation, Gao, Dai and Callan 2021, arXiv:2101.08751).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from polyvec.errors import BadInput

Features = dict[str, Any]


class GroupSoftmax(nn.Module):
    """Cross-entropy of a relevant document's score among those of a group.

    It takes what sentence-transformers' ``CrossEncoderTrainer`` passes, the columns ``query, positive, negative_1, …``
    of texts, or the features of columns of (query, document) pairs, of which the first are the relevant ones.

    Args:
        model: a cross-encoder with one output.

    Returns:
        When called with ``(inputs, labels)``: the mean over rows, a scalar.

    Raises:
        BadInput: when the model has several outputs, or there is only one document a row.

    Example:
        >>> objective = GroupSoftmax(CrossEncoder(path, num_labels=1))  # doctest: +SKIP
        >>> columns = [[("a cat", "Cats purr.")], [("a cat", "Dogs bark.")]]  # doctest: +SKIP
        >>> objective([model.preprocess(column) for column in columns])  # doctest: +SKIP
        tensor(0.6931)
    """

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__()
        if model.num_labels != 1:
            raise BadInput(
                f"a cross-encoder with {model.num_labels} outputs: a ranker has 1, give num_labels=1"
            )
        self.model = model

    def forward(
        self,
        inputs: Iterable[Features] | Sequence[Sequence[str]],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of one batch; ``labels`` are not looked at, nor ``prompt`` and ``task``, which trainers pass."""
        columns: Sequence[Any] = list(inputs)
        if columns and not isinstance(columns[0], Mapping):
            queries, *documents = columns
            device = next(self.model.parameters()).device
            columns = [
                batch_to_device(
                    self.model.preprocess(list(zip(queries, column, strict=True))), device
                )
                for column in documents
            ]
        scores = [self.model(dict(features))["scores"] for features in columns]
        return group_loss([column.flatten().float() for column in scores])


def group_loss(scores: Sequence[Tensor]) -> Tensor:
    """Cross-entropy of the first scores among all.

    Args:
        scores: of the relevant documents, and then of each column of others, shape (rows,) each.

    Example:
        >>> group_loss([torch.zeros(3), torch.zeros(3), torch.zeros(3)])  # ln 3
        tensor(1.0986)
    """
    if len(scores) < 2:
        raise BadInput(
            f"{len(scores)} columns of documents: give relevant ones and 1 or more of others"
        )
    table = torch.stack(list(scores), dim=1)
    return cross_entropy(table, torch.zeros(len(table), dtype=torch.long, device=table.device))
