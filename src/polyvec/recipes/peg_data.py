"""What the experiment on progressive weights learns from and is asked: docstrings and the functions below them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyvec.data.passages import passages
from polyvec.data.python_packages import read_packages
from polyvec.data.structure_pairs import SUMMARY, structure_pairs
from polyvec.evaluation.exam import Task
from polyvec.recipes.learned_texts import text_fingerprint
from polyvec.recipes.recipe import Source
from polyvec.training.negative_mining import mine_hard_negatives
from polyvec.training.rankers import LexicalRanker

LEARNED = ("docutils", "matplotlib", "numpy", "pandas", "sympy", "transformers")
ASKED = ("networkx", "scipy", "sklearn")
"""Packages that constraints.txt pins, so that their source is the same on every machine; none is in both."""
NEGATIVES = 5
RANKS = (10, 60)
"""Of BM25's ranking, from which negatives are taken."""
RATIO = 0.95
"""A passage that BM25 scores above this share of the positive's score is taken for an answer."""
NOISE = 0.2
"""Share of the rows whose positives are permuted among one another."""


class Pairs(NamedTuple):
    """Docstrings' first sentences, and the code that each of them describes; no text occurs twice."""

    queries: list[str]
    functions: list[str]

    def part(self, rows: Sequence[int]) -> Pairs:
        """Some of the rows."""
        return Pairs([self.queries[n] for n in rows], [self.functions[n] for n in rows])


@cache
def pairs(packages: tuple[str, ...]) -> Pairs:
    """All pairs of some packages, shuffled, always in the same order."""
    documents = read_packages(packages).documents
    pieces = passages(documents)
    texts = {piece.id: piece.text for piece in pieces if piece.kind == "code"}
    found = {
        texts[pair.passage]: pair.query
        for pair in structure_pairs(documents, pieces)
        if pair.task == SUMMARY
    }
    functions = sorted(found)
    random.Random(0).shuffle(functions)
    return Pairs([found[function] for function in functions], functions)


@cache
def learned(rows: int) -> Pairs:
    """The pairs that are learned from."""
    return pairs(LEARNED).part(range(min(rows, len(pairs(LEARNED).queries))))


@cache
def columns(rows: int) -> tuple[list[str], ...]:
    """The pairs that are learned from, with negatives: ``anchor, positive, negative_1`` to ``negative_5``.

    A column is a list of texts, a text a row. A row with too few negatives has others at random.
    """
    given = learned(rows)
    mined = mine_hard_negatives(
        LexicalRanker(given.functions),
        given.queries,
        [[row] for row in range(len(given.queries))],
        given.functions,
        ranks=RANKS,
        n=NEGATIVES,
        rule="ratio",
        value=RATIO,
        fill="random",
        seed=0,
    )
    negatives = [[given.functions[number] for number in column] for column in mined.negatives.T]
    return (given.queries, given.functions, *negatives)


def permuted(functions: Sequence[str], seed: int) -> list[str]:
    """Positives of which a share stand in the wrong rows: each of these is moved to the place of the next."""
    rng = np.random.default_rng(seed)
    moved: NDArray[np.intp] = rng.permutation(len(functions))[: round(NOISE * len(functions))]
    found = list(functions)
    for place, other in zip(moved, np.roll(moved, 1), strict=True):
        found[place] = functions[other]
    return found


@cache
def asked(queries: int, pool: int) -> Task:
    """Docstrings of packages that nothing was learned from, asked among their functions; the same for every seed.

    Args:
        queries: how many, at most.
        pool: functions that are searched, at most, the answers among them.
    """
    given = pairs(ASKED)
    size = min(pool, len(given.functions))
    count = min(queries, size)
    return Task(
        "docstring to function",
        {str(row): given.queries[row] for row in range(count)},
        {str(row): given.functions[row] for row in range(size)},
        {str(row): {str(row): 1} for row in range(count)},
    )


def sources() -> Mapping[str, Source]:
    """Fingerprints of all pairs of the packages."""
    named = {"learned from": LEARNED, "asked": ASKED}
    return {
        f"{how}: docstrings and functions of {', '.join(packages)}": Source(
            text_fingerprint([*pairs(packages).queries, *pairs(packages).functions]),
            len(pairs(packages).queries),
        )
        for how, packages in named.items()
    }
