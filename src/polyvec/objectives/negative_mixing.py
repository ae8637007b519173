"""Hard negatives that are mixed from mined ones, without embedding anything again.

Mixing among negatives as MoCHi does it (Kalantidis et al. 2020, arXiv:2010.01028), in the two ways of KaLM-Embedding-V2
(Zhao et al. 2025, arXiv:2506.20923), whose code for it is not public:

- pair-wise, m = λ n_a + (1 - λ) n_b of two of a row's negatives, with λ from Beta(2, 2);
- list-wise, m = Σ u_k n_k over all of them, with u the softmax of their cosines with the query.

Mixes get unit length, and stand only against the query whose negatives they are made of. The temperature of the
list-wise softmax, how many mixes there are, and the guard are ours: a mix of two texts near the answer may come closer
to the query than the answer itself, and is then left out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from polyvec.errors import BadInput


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which negatives of each row are mixed, and the share of the first, shape (rows, pairwise) each."""

    first: Tensor
    second: Tensor
    share: Tensor

    def of_rows(self, rows: slice) -> Pairs:
        """Those of some rows."""
        return Pairs(self.first[rows], self.second[rows], self.share[rows])


class NegativeMixing(nn.Module):
    """Mixes of the negatives of a row.

    Args:
        pairwise: mixes of two negatives.
        listwise: mixes of all of them, 0 or 1: a second would be the same.
        beta: of the distribution of a pair's shares; (1, 1) draws them evenly.
        temperature: of the list-wise softmax over cosines; high means nearly the mean of all.
        detach: take mixes as constants, from which the negatives do not learn.
        guard: leave out mixes whose cosine with the query is above the positive's.
        seed: of pairs and shares; the same seed and step give the same on any number of ranks.

    Raises:
        BadInput: when a number is out of its range, or nothing is to be mixed.

    Example:
        >>> mixing = NegativeMixing(pairwise=1, listwise=0)
        >>> negatives = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # one row, two negatives
        >>> one = torch.tensor([[1]])
        >>> half = Pairs(first=0 * one, second=one, share=0.5 * one)
        >>> mixing.mix(half, torch.tensor([[1.0, 0.0]]), negatives)
        tensor([[[0.7071, 0.7071]]])
    """

    step: Tensor

    def __init__(
        self,
        pairwise: int = 2,
        listwise: int = 1,
        beta: tuple[float, float] = (2.0, 2.0),
        temperature: float = 0.1,
        detach: bool = False,
        guard: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if pairwise < 0 or listwise not in (0, 1) or not pairwise + listwise:
            raise BadInput(
                f"pairwise={pairwise}, listwise={listwise}: give 0 or more of the first and 0 or 1 of the second, "
                "and not 0 of both"
            )
        if min(beta) <= 0 or temperature <= 0:
            raise BadInput(f"beta={beta}, temperature={temperature}: all have to be above 0")
        self.pairwise = pairwise
        self.listwise = listwise
        self.beta = beta
        self.temperature = temperature
        self.detach = detach
        self.guard = guard
        self.seed = seed
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def advance(self) -> None:
        """Go on to other pairs and shares; once for each step of training."""
        self.step += 1

    def draw(self, rows: int, negatives: int, like: Tensor) -> Pairs | None:
        """This step's pairs and shares, the same at each call until the next `advance`.

        Args:
            rows: of the batch.
            negatives: of each row.
            like: whose device and precision the shares get.

        Returns:
            None where there are fewer than two negatives, of which nothing can be mixed.
        """
        if negatives < 2:
            warnings.warn(
                f"{negatives} negatives a row: nothing is mixed; give 2 or more", stacklevel=2
            )
            return None
        rng = np.random.default_rng([self.seed, int(self.step)])
        first = rng.integers(0, negatives, (rows, self.pairwise))
        second = (first + rng.integers(1, negatives, first.shape)) % negatives
        share = rng.beta(*self.beta, first.shape)
        return Pairs(
            torch.from_numpy(first).to(like.device),
            torch.from_numpy(second).to(like.device),
            torch.from_numpy(share).to(like),
        )

    def mix(self, pairs: Pairs, anchors: Tensor, negatives: Tensor) -> Tensor:
        """Mixes of each row's negatives, of unit length.

        Args:
            pairs: of which negatives, and with which shares.
            anchors: shape (rows, d), of unit length.
            negatives: shape (rows, negatives, d), of unit length.

        Returns:
            Pair-wise mixes and then the list-wise one, shape (rows, pairwise + listwise, d).
        """
        mixed = []
        if self.pairwise:
            rows = torch.arange(len(negatives), device=negatives.device)[:, None]
            share = pairs.share[..., None]
            parents = negatives[rows, pairs.first], negatives[rows, pairs.second]
            mixed.append(share * parents[0] + (1 - share) * parents[1])
        if self.listwise:
            cosines = (negatives @ anchors[..., None]).squeeze(-1)
            shares = (cosines / self.temperature).softmax(dim=1)
            mixed.append(shares[:, None] @ negatives)
        found = normalize(torch.cat(mixed, dim=1), dim=2)
        return found.detach() if self.detach else found
