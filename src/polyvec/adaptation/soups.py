"""Soups: averages of models, of all, of those that help, or of those that are good at a few examples.

Model soups, uniform and greedy: Wortsman et al. 2022 (arXiv:2203.05482). LM-Cocktail, whose weights are a softmax of
losses: Xiao, Liu, Zhang, Xing 2023 (arXiv:2311.13534), with the temperature of 5 of its code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from sentence_transformers import SentenceTransformer

from polyvec.adaptation.task_vectors import TaskVectors
from polyvec.errors import BadInput


def shares(weights: Sequence[float]) -> list[float]:
    """Weights as shares of their sum.

    Raises:
        BadInput: when they sum to 0, or one is not a number.

    Example:
        >>> shares([1, 3])
        [0.25, 0.75]
    """
    total = sum(weights)
    if not abs(total) > 0 or abs(total) == float("inf"):
        raise BadInput(
            f"weights {list(weights)} sum to {total}; give weights with a sum that is not 0"
        )
    return [weight / total for weight in weights]


def cocktail_shares(losses: Sequence[float], temperature: float = 5.0) -> list[float]:
    """LM-Cocktail's shares of models, from the loss of each on a few examples.

    Example:
        >>> [round(share, 2) for share in cocktail_shares([0.0, 5.0])]
        [0.73, 0.27]
    """
    if temperature <= 0:
        raise BadInput(f"temperature {temperature}: give one above 0, say 5")
    found: list[float] = torch.softmax(
        -torch.tensor(losses, dtype=torch.float64) / temperature, 0
    ).tolist()
    return found


def greedy_shares(
    vectors: TaskVectors, score: Callable[[SentenceTransformer], float]
) -> list[float]:
    """Shares of a greedy soup: the best model, and each next one that does not make the soup worse.

    Args:
        vectors: of the models.
        score: of a model on held-out data, higher is better; called at most twice a model.
    """
    units = torch.eye(len(vectors.deltas)).tolist()
    alone = [score(vectors.applied(vectors.combined(unit))) for unit in units]
    order = sorted(range(len(alone)), key=lambda number: -alone[number])
    members, best = [order[0]], alone[order[0]]
    for number in order[1:]:
        tried = [*members, number]
        found = score(vectors.applied(vectors.combined(_even(tried, len(alone)))))
        if found >= best:
            members, best = tried, found
    return _even(members, len(alone))


def _even(members: Sequence[int], models: int) -> list[float]:
    return [1 / len(members) if number in members else 0.0 for number in range(models)]
