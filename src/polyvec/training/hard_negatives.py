"""Hard negatives at no extra cost: batches made of pairs whose passages are mistaken for one another.

A negative teaches most when it shares words with the query and still is wrong (Karpukhin et al. 2020, arXiv
2004.04906, take the best wrong passages of BM25). Encoding an extra passage for each query doubles the price of a
step, so here the mined passage joins the batch together with its own query: it is a hard negative of the one and the
positive of the other.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from polyvec.data.bm25 import BM25
from polyvec.data.structure_pairs import Pair

CANDIDATES = 30
"""How deep BM25 is searched for wrong passages."""


def mine(
    pairs: Sequence[Pair], texts: Mapping[str, str], seeds: Sequence[int]
) -> dict[int, list[int]]:
    """For some pairs, the other pairs whose passages BM25 ranks highest for their query.

    Guards against false negatives: a passage of the same answer, or with the same text as the positive, is never
    returned; what remains is left to the margin of the objective.

    Args:
        pairs: all pairs of one task.
        texts: passage id → text.
        seeds: positions in ``pairs`` to search for.

    Returns:
        Position of each seed → positions of the pairs with the hardest wrong passages, hardest first.
    """
    passages = list(dict.fromkeys(pair.passage for pair in pairs))
    owner: dict[str, list[int]] = {}
    for position, pair in enumerate(pairs):
        owner.setdefault(pair.passage, []).append(position)
    index = BM25([texts[passage] for passage in passages])
    found, scores = index.search([pairs[seed].query for seed in seeds], CANDIDATES)
    mined: dict[int, list[int]] = {}
    for seed, ranking, values in zip(seeds, found.tolist(), scores.tolist(), strict=True):
        best = [passages[n] for n, value in zip(ranking, values, strict=True) if value > 0]
        wrong = [
            [n for n in owner[passage] if _is_wrong(pairs[n], pairs[seed], texts)]
            for passage in best
        ]
        mined[seed] = [owners[seed % len(owners)] for owners in wrong if owners]
    return mined


def hard_batches(
    pairs: Sequence[Pair],
    texts: Mapping[str, str],
    size: int,
    count: int,
    seed: int,
    together: int = 4,
) -> list[list[int]]:
    """Compose ``count`` batches of ``size`` pairs of one task, hard negatives side by side.

    A batch is built from random pairs, each joined by up to ``together - 1`` of its mined neighbours. Every pair is
    used once before any is used again, as far as the neighbourhoods allow.

    Args:
        pairs: all pairs of one task; at least ``size``.
        texts: passage id → text.
        size: pairs in a batch.
        count: batches.
        seed: of the order.
        together: pairs in a neighbourhood; 1 gives plain random batches.

    Returns:
        Positions in ``pairs``; no batch holds a position twice.

    Raises:
        ValueError: when there are fewer pairs than a batch holds.
    """
    if len(pairs) < size:
        raise ValueError(f"{len(pairs)} pairs cannot fill a batch of {size}")
    rng = random.Random(seed)
    order = _endless_order(len(pairs), rng)
    used: dict[int, int] = {}
    batches: list[list[int]] = []
    drawn = [[next(order) for _ in range(max(1, size // together))] for _ in range(count)]
    wanted = sorted({position for batch in drawn for position in batch}) if together > 1 else []
    mined = mine(pairs, texts, wanted) if wanted else {}
    for starts in drawn:
        batch: dict[int, None] = {}
        for start in starts:
            near = sorted(mined.get(start, [])[: 3 * together], key=lambda n: used.get(n, 0))
            for position in [start, *near[: together - 1]]:
                batch[position] = None
                used[position] = used.get(position, 0) + 1
        while len(batch) < size:
            batch[next(order)] = None
        batches.append(list(batch)[:size])
    return batches


def _endless_order(length: int, rng: random.Random):  # type: ignore[no-untyped-def]
    while True:
        yield from rng.sample(range(length), length)


def _is_wrong(other: Pair, pair: Pair, texts: Mapping[str, str]) -> bool:
    return (
        other.passage != pair.passage
        and other.answers != pair.answers
        and texts[other.passage].casefold() != texts[pair.passage].casefold()
    )
