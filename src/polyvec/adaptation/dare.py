"""DARE: drop most of what fine-tuning changed, and make up for it by scaling what is left.

Yu, Yu, Yu, Huang, Li 2023, "Language Models are Super Mario" (arXiv:2311.03099). Each change is dropped with a
probability and the others are divided by what is left of 1, so that the expectation stays. It is a preparation of task
vectors: merge afterwards by any sum of them, or by TIES. (mergekit's ``rescale`` matches the L1 norm of each weight
instead.)
"""

from __future__ import annotations

from dataclasses import replace

import torch

from polyvec.adaptation.task_vectors import TaskVectors
from polyvec.errors import BadInput


def dare(vectors: TaskVectors, *, drop: float = 0.9, seed: int = 0) -> TaskVectors:
    """Thin task vectors out at random.

    Args:
        vectors: of the models.
        drop: probability of each change to be dropped. The paper's .9 wants changes that are tiny, well below .002.
        seed: of the draws.

    Raises:
        BadInput: when the probability is not at least 0 and below 1.
    """
    if not 0 <= drop < 1:
        raise BadInput(f"drop {drop}: give a probability of at least 0 and below 1, say .9")
    generator = torch.Generator().manual_seed(seed)
    thinned = [
        {
            name: value * (torch.rand(value.shape, generator=generator) >= drop) / (1 - drop)
            for name, value in delta.items()
        }
        for delta in vectors.deltas
    ]
    return replace(vectors, deltas=thinned)
