"""Hard negatives: wrong answers that a ranker takes for right ones, without those that are right and nobody has marked.

The guards, each a choice of its own:

- a *band of ranks*: the very best of a ranking are the likeliest to be right (Karpukhin et al. 2020, arXiv:2004.04906;
  KaLM-Embedding-V2, Zhao et al. 2025, arXiv:2506.20923, takes ranks 50 to 100);
- *ranking consistency* (KaLM): a query whose own positive does not score as well as the text at a certain rank teaches
  nothing, and is left out;
- a *threshold by the positive's own score* (NV-Retriever, Moreira et al. 2024, arXiv:2407.15831; LG-ANNA-Embedding,
  Choi et al. 2025, arXiv:2506.07438): a negative has to score below a share of it (``ratio``), or below it by a margin.

Texts that equal a positive or the query are never negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyvec.errors import BadInput
from polyvec.training.rankers import Ids, Ranker, Scores

NONE = -1
"""Stands where a query has too few negatives."""
MOST_WITHOUT = 0.5
"""Share of queries without any negative above which mining stops: the thresholds do not fit the ranker."""
_BINS = 20


@dataclass(frozen=True, slots=True)
class MiningReport:
    """What became of the candidates.

    Attributes:
        queries: how many were asked.
        inconsistent: queries left out because their positive ranks too low.
        candidates: texts in the band of ranks, of the queries that were kept.
        right: candidates that are positives, or have the text of one or of the query.
        above_threshold: candidates that score too near to the positive.
        mined: candidates that remained and were taken.
        filled: random texts that were added where too few remained.
        missing: places that stayed empty.
        thresholds: a histogram: edges and counts.
    """

    queries: int
    inconsistent: int
    candidates: int
    right: int
    above_threshold: int
    mined: int
    filled: int
    missing: int
    thresholds: dict[str, list[float]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Mined:
    """Negatives of queries.

    Attributes:
        negatives: numbers of texts, shape (queries, n); `NONE` where there are too few.
        scores: of the negatives, the ranker's; minus infinity where there is none.
        positive_scores: of the positive that decides, shape (queries,).
        kept: whether a query passed ranking consistency, shape (queries,).
        report: what was dropped, and why.
    """

    negatives: Ids
    scores: Scores
    positive_scores: Scores
    kept: NDArray[np.bool_]
    report: MiningReport


def mine_hard_negatives(
    rank: Ranker,
    queries: Sequence[str],
    positives: Sequence[Sequence[int]],
    corpus: Sequence[str],
    *,
    ranks: tuple[int, int] = (10, 100),
    n: int = 7,
    consistency_topk: int | None = None,
    rule: Literal["ratio", "margin"] | None = "ratio",
    value: float = 0.95,
    positives_by: Literal["min", "max"] = "min",
    choose: Literal["hardest", "random"] = "hardest",
    fill: Literal["random"] | None = "random",
    seed: int = 0,
) -> Mined:
    """Find hard negatives for each query.

    Args:
        rank: built of the corpus.
        queries: what is asked.
        positives: numbers of the texts that answer each query; one or more.
        corpus: the texts.
        ranks: first and last rank of candidates, from 0, the last one not among them.
        n: negatives of a query.
        consistency_topk: leave a query out whose best positive scores below the text at this rank, from 0 (KaLM: 50).
        rule: ``ratio``: a negative scores below ``value`` times the positive's score, or, where that is below 0, below
            it by as much of its size; ``margin``: below it by ``value``; None: any score will do.
        value: the ratio, in (0, 1], or the margin, 0 or more. NV-Retriever's 0.95.
        positives_by: of several positives, the one with the lowest or the highest score decides.
        choose: the hardest that remain, or ``n`` of them at random.
        fill: add random texts where too few remain, or None.
        seed: of what is random.

    Raises:
        BadInput: when sizes do not fit, a query has no positive, or more than half of the queries keep no candidate.

    Example:
        >>> from polyvec.training.rankers import LexicalRanker
        >>> corpus = ["red wine", "white wine", "red brick", "blue sea"]
        >>> mined = mine_hard_negatives(
        ...     LexicalRanker(corpus), ["red wine"], [[0]], corpus, ranks=(0, 4), n=1
        ... )
        >>> corpus[mined.negatives[0, 0]] in ("white wine", "red brick")
        True
    """
    _refuse_impossible(queries, positives, corpus, ranks, n, rule, value)
    rng = np.random.default_rng(seed)
    first, last = ranks
    depth = max(last, (consistency_topk or 0) + 1)
    ids, scores = rank.search(queries, depth)
    own = _own_scores(rank, queries, positives)
    decisive = (np.nanmin if positives_by == "min" else np.nanmax)(own, axis=1)
    kept = _consistent(np.nanmax(own, axis=1), scores, consistency_topk)
    ids, scores = ids[:, first:last], scores[:, first:last]
    right = _right(ids, queries, positives, corpus)
    cuts = _thresholds(decisive, rule, value)
    near = ~right & (scores >= cuts[:, None])
    usable = ~right & ~near & kept[:, None] & (ids >= 0)
    _refuse_nothing_left(usable, kept, rule, value)
    chosen, found = _chosen(ids, scores, usable, n, rng if choose == "random" else None)
    mined = int((chosen >= 0).sum())
    known = [set(row[unusable].tolist()) for row, unusable in zip(ids, right | near, strict=True)]
    filled = _fill(chosen, kept, known, queries, positives, corpus, rng) if fill else 0
    report = MiningReport(
        queries=len(queries),
        inconsistent=int((~kept).sum()),
        candidates=int((ids[kept] >= 0).sum()),
        right=int(right[kept].sum()),
        above_threshold=int(near[kept].sum()),
        mined=mined,
        filled=filled,
        missing=int((chosen[kept] < 0).sum()),
        thresholds=_histogram(cuts[kept]),
    )
    if filled:
        found = np.where(np.isneginf(found) & (chosen >= 0), rank.scores(queries, chosen), found)
    return Mined(chosen, found, decisive.astype(np.float32), kept, report)


def _refuse_impossible(
    queries: Sequence[str],
    positives: Sequence[Sequence[int]],
    corpus: Sequence[str],
    ranks: tuple[int, int],
    n: int,
    rule: str | None,
    value: float,
) -> None:
    if len(queries) != len(positives):
        raise BadInput(
            f"{len(queries)} queries and {len(positives)} lists of positives: give one for each"
        )
    for number, own in enumerate(positives):
        if not own or min(own) < 0 or max(own) >= len(corpus):
            raise BadInput(
                f"query {number} has the positives {list(own)}: give one or more numbers of texts from 0 to "
                f"{len(corpus) - 1}"
            )
    if not 0 <= ranks[0] < ranks[1] or n < 1:
        raise BadInput(
            f"ranks {ranks}, n={n}: give a band such as (10, 100), and 1 negative or more"
        )
    if rule not in ("ratio", "margin", None):
        raise BadInput(f"rule {rule!r}: give ratio, margin or none")
    if (rule == "ratio" and not 0 < value <= 1) or (rule == "margin" and not value >= 0):
        raise BadInput(
            f"{rule} {value}: give a ratio in (0, 1], say 0.95, or a margin of 0 or more"
        )


def _own_scores(
    rank: Ranker, queries: Sequence[str], positives: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Scores of each query's positives, shape (queries, most positives), nan where it has fewer."""
    ids = np.full((len(queries), max(map(len, positives))), NONE, np.int64)
    for row, own in enumerate(positives):
        ids[row, : len(own)] = own
    return np.where(ids >= 0, rank.scores(queries, ids).astype(np.float64), np.nan)


def _consistent(best: NDArray[np.float64], scores: Scores, topk: int | None) -> NDArray[np.bool_]:
    if topk is None or topk >= scores.shape[1]:
        return np.ones(len(best), np.bool_)
    # A rounding apart is no rank apart.
    return best >= scores[:, topk] - 1e-6


def _right(
    ids: Ids, queries: Sequence[str], positives: Sequence[Sequence[int]], corpus: Sequence[str]
) -> NDArray[np.bool_]:
    """Which candidates are positives, or have the text of one or of the query, however it is written."""
    texts = np.array([_plain(text) for text in corpus], object)
    found = np.zeros(ids.shape, np.bool_)
    for row, (query, own) in enumerate(zip(queries, positives, strict=True)):
        taboo = {texts[number] for number in own} | {_plain(query)}
        found[row] = [number >= 0 and texts[number] in taboo for number in ids[row]]
    return found


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _thresholds(
    decisive: NDArray[np.float64], rule: str | None, value: float
) -> NDArray[np.float64]:
    """The score from which on a candidate is too near, shape (queries,)."""
    if rule is None:
        return np.full(len(decisive), np.inf)
    if rule == "margin":
        return decisive - value
    # A share of a score below 0 would be above it.
    found: NDArray[np.float64] = decisive - (1 - value) * np.abs(decisive)
    return found


def _refuse_nothing_left(
    usable: NDArray[np.bool_], kept: NDArray[np.bool_], rule: str | None, value: float
) -> None:
    without = ~usable[kept].any(axis=1)
    if kept.any() and without.mean() > MOST_WITHOUT:
        raise BadInput(
            f"{without.sum()} of {kept.sum()} queries keep no candidate (rule {rule}, value {value}): search deeper "
            "ranks, or give a milder threshold"
        )


def _chosen(
    ids: Ids,
    scores: Scores,
    usable: NDArray[np.bool_],
    n: int,
    rng: np.random.Generator | None,
) -> tuple[Ids, Scores]:
    """The first usable ones of each row, in the order of the ranking, or of chance."""
    order = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    keys = order if rng is None else rng.random(ids.shape)
    best = np.argsort(np.where(usable, keys, np.inf), axis=1, kind="stable")[:, :n]
    taken = np.take_along_axis(usable, best, axis=1)
    chosen = np.full((len(ids), n), NONE, np.int64)
    found = np.full((len(ids), n), -np.inf, np.float32)
    width = best.shape[1]
    chosen[:, :width] = np.where(taken, np.take_along_axis(ids, best, axis=1), NONE)
    found[:, :width] = np.where(taken, np.take_along_axis(scores, best, axis=1), -np.inf)
    return chosen, found


def _fill(
    chosen: Ids,
    kept: NDArray[np.bool_],
    known: Sequence[set[int]],
    queries: Sequence[str],
    positives: Sequence[Sequence[int]],
    corpus: Sequence[str],
    rng: np.random.Generator,
) -> int:
    """Put random texts into empty places, in place, but none that are known to be no negatives; tells how many."""
    before = int((chosen[kept] < 0).sum())
    for row in np.flatnonzero(kept & (chosen < 0).any(axis=1)).tolist():
        taboo = {_plain(corpus[number]) for number in positives[row]} | {_plain(queries[row])}
        taken = set(chosen[row].tolist()) | known[row]
        places = np.flatnonzero(chosen[row] < 0)
        # A few more than needed, since some may be taken or right; a tiny corpus may stay short of texts.
        drawn = rng.permutation(len(corpus))[: len(places) + len(taken) + len(positives[row]) + 8]
        free = [d for d in drawn.tolist() if d not in taken and _plain(corpus[d]) not in taboo]
        chosen[row, places[: len(free)]] = free[: len(places)]
    return before - int((chosen[kept] < 0).sum())


def _histogram(cuts: NDArray[np.float64]) -> dict[str, list[float]]:
    finite = cuts[np.isfinite(cuts)]
    if not len(finite):
        return {"edges": [], "counts": []}
    counts, edges = np.histogram(finite, bins=_BINS)
    return {"edges": edges.tolist(), "counts": counts.astype(float).tolist()}
