"""Choosing whole words to hide: the masker that all masked objectives share.

Whole-word masking as in BERT (Devlin et al. 2019, arXiv:1810.04805, release of May 2019): the pieces of a word are
hidden together, so that none can be guessed from the others. Everything is done on tensors of token ids at once;
there is no loop over texts or tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from polyvec.errors import BadInput

IGNORED = -100
"""Label of a token that no loss looks at; torch's own convention."""
_CONTINUED = "##"
"""How WordPiece writes a token that goes on with a word."""
_BEGUN = ("Ġ", "▁")
"""How BPE and Unigram write a token that begins one."""


class WordMasker:
    """Finds words in token ids, chooses some of them at random, and hides them.

    Args:
        tokenizer: a fast tokenizer of transformers with a mask token.

    Raises:
        BadInput: when the tokenizer has no mask token, or words cannot be told apart in its tokens.

    Example:
        >>> masker = WordMasker(model.tokenizer)  # doctest: +SKIP
        >>> ids = torch.tensor([[101, 7861, 8270, 4667, 2015, 102]])  # doctest: +SKIP
        >>> masker.words(ids)  # [CLS] em ##bed ##ding ##s [SEP]  # doctest: +SKIP
        tensor([[-1,  0,  0,  0,  0, -1]])
    """

    def __init__(self, tokenizer: Any) -> None:
        if tokenizer.mask_token_id is None:
            raise BadInput(
                "the tokenizer has no mask token; give an encoder that was trained with one"
            )
        self.mask_id = int(tokenizer.mask_token_id)
        self._continues = _continues_a_word(tokenizer)
        self._special = torch.zeros(len(self._continues), dtype=torch.bool)
        self._special[torch.tensor(tokenizer.all_special_ids)] = True
        self._ordinary = torch.nonzero(~self._special)[:, 0]

    def words(self, ids: Tensor) -> Tensor:
        """Number of the word that each token belongs to, counted from 0 in each row; -1 for special tokens.

        Args:
            ids: shape (rows, length).

        Returns:
            Shape (rows, length).
        """
        special = self._special.to(ids.device)[ids]
        follows_special = torch.ones_like(special)
        follows_special[:, 1:] = special[:, :-1]
        starts = ~special & (follows_special | ~self._continues.to(ids.device)[ids])
        return (starts.cumsum(dim=1) - 1).masked_fill(special, -1)

    def choose(
        self, words: Tensor, share: float | Tensor, draws: int, generator: torch.Generator
    ) -> Tensor:
        """Choose whole words at random until a share of the tokens of each row is reached.

        The words of a row are taken in random order; a word with which more than ``max(1, round(share * tokens))``
        tokens would be chosen is passed over. Where every word is too long, none is chosen. Special tokens are
        neither chosen nor counted.

        Args:
            words: from `words`, shape (rows, length).
            share: of a row's ordinary tokens; one for all rows, or one each, shape (rows,).
            draws: how many independent choices to make for each row.
            generator: of the random order, on the device of ``words``.

        Returns:
            Shape (rows, draws, length), True where a token was chosen.
        """
        found = self._choose(words, [share], draws, generator)
        return found[0]

    def choose_nested(
        self, words: Tensor, shares: Sequence[float], generator: torch.Generator
    ) -> list[Tensor]:
        """Choose whole words for several shares, those of a smaller share among those of the larger ones.

        All shares take the words in one random order, each until it is reached, as in `choose`.

        Args:
            words: from `words`, shape (rows, length).
            shares: of a row's ordinary tokens, the largest first.
            generator: of the random order, on the device of ``words``.

        Returns:
            For each share shape (rows, length), True where a token was chosen.
        """
        return [chosen[:, 0] for chosen in self._choose(words, shares, 1, generator)]

    def _choose(
        self,
        words: Tensor,
        shares: Sequence[float | Tensor],
        draws: int,
        generator: torch.Generator,
    ) -> list[Tensor]:
        rows, length = words.shape
        count = int(words.max()) + 1
        if count == 0:
            none = torch.zeros(rows, draws, length, dtype=torch.bool, device=words.device)
            return [none] * len(shares)
        real = words >= 0
        sizes = torch.zeros(rows, count, dtype=torch.long, device=words.device)
        sizes.scatter_add_(1, words.clamp(min=0), real.long())
        keys = torch.rand(rows, draws, count, generator=generator, device=words.device)
        order = keys.masked_fill(sizes[:, None] == 0, 2.0).argsort(dim=2)
        in_order = sizes[:, None].expand(-1, draws, -1).gather(2, order)
        of_token = words.clamp(min=0)[:, None].expand(-1, draws, -1)
        found = []
        for share in shares:
            budget = (share * real.sum(dim=1)).round().clamp(min=1).long()[:, None]
            taken = _taken(in_order, budget)
            chosen = torch.zeros_like(taken).scatter(2, order, taken)
            found.append(chosen.gather(2, of_token) & real[:, None])
            # The next share chooses among what this one has taken.
            in_order = in_order * taken
        return found

    def hide(
        self, ids: Tensor, chosen: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Hide chosen tokens as BERT does: 80 % become the mask, 10 % a random token, 10 % stay.

        Args:
            ids: shape (rows, length).
            chosen: shape (rows, length).
            generator: of the random choices, on the device of ``ids``.

        Returns:
            The ids to read, and labels: the id where a token was chosen, `IGNORED` elsewhere.
        """
        luck = torch.rand(ids.shape, generator=generator, device=ids.device)
        places = torch.randint(
            len(self._ordinary), ids.shape, generator=generator, device=ids.device
        )
        hidden = ids.masked_fill(chosen & (luck < 0.8), self.mask_id)
        randomised = chosen & (luck >= 0.8) & (luck < 0.9)
        hidden = torch.where(randomised, self._ordinary.to(ids.device)[places], hidden)
        return hidden, ids.masked_fill(~chosen, IGNORED)


def _taken(in_order: Tensor, budget: Tensor) -> Tensor:
    """Which words fit into a budget when they are taken in order, those passed over that would exceed it.

    Args:
        in_order: tokens of each word, 0 where there is none, shape (rows, draws, words).
        budget: tokens, shape (rows, 1).
    """
    taken = torch.zeros_like(in_order, dtype=torch.bool)
    used = torch.zeros_like(in_order[:, :, 0])
    for place in range(in_order.shape[2]):
        size = in_order[:, :, place]
        fits = (size > 0) & (used + size <= budget)
        taken[:, :, place] = fits
        used = used + size * fits
    return taken


def _continues_a_word(tokenizer: Any) -> Tensor:
    """For each id whether it goes on with the word before it, shape (vocabulary,)."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    kind = type(getattr(backend, "model", None)).__name__
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    if kind == "WordPiece":
        return torch.tensor([token.startswith(_CONTINUED) for token in tokens])
    if kind in ("BPE", "Unigram"):
        return torch.tensor([not token.startswith(_BEGUN) for token in tokens])
    raise BadInput(
        f"words cannot be told apart in the tokens of a {kind} tokenizer; it takes WordPiece, BPE or Unigram"
    )
