"""Which pairs are learned, in which order: batches of one task each, tasks mixed, hard negatives side by side."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from datasets import Dataset

from polyvec.data.structure_pairs import CLOZE, Pair
from polyvec.training.hard_negatives import hard_batches

PASSES = 4
"""Most often a pair is seen; more is learning by heart."""
CLOZE_WEIGHT = 0.5
"""Share of inverse cloze against structure of the same size: a heading is nearer to a question than a sentence is."""
SAME_QUERY = 4
"""Most pairs that one query brings into a pass, so that a title of a thousand sections is one voice of many."""


def by_task(pairs: Iterable[Pair], size: int, seed: int) -> dict[str, list[Pair]]:
    """Group pairs by task, at most `SAME_QUERY` a query, tasks with less than a batch left out."""
    rng = random.Random(seed)
    pairs = list(pairs)
    rng.shuffle(pairs)
    seen: Counter[tuple[str, str]] = Counter()
    tasks: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if seen[pair.task, pair.query] < SAME_QUERY:
            seen[pair.task, pair.query] += 1
            tasks[pair.task].append(pair)
    return {task: found for task, found in sorted(tasks.items()) if len(found) >= size}


def most_steps(tasks: Mapping[str, Sequence[Pair]], size: int) -> int:
    """How many batches of ``size`` there are when every pair is seen `PASSES` times."""
    return sum(PASSES * len(pairs) // size for pairs in tasks.values())


def compose(
    tasks: Mapping[str, Sequence[Pair]],
    texts: Mapping[str, str],
    size: int,
    steps: int,
    seed: int,
    together: int = 1,
) -> Dataset:
    """Rows in the order of training: ``steps`` batches of ``size`` rows, each batch from one task.

    A task's share of the batches grows with the square root of its pairs: large tasks lead, small ones are heard.
    ``together`` pairs stand side by side whose passages BM25 mistakes for one another; 1 mines nothing.

    Returns:
        A dataset with columns ``anchor``, ``positive`` and ``label``; equal labels have the same answers.
    """
    labels = {
        key: n
        for n, key in enumerate(dict.fromkeys(p.answers for ps in tasks.values() for p in ps))
    }
    rng = random.Random(seed)
    order = [task for task, count in _shares(tasks, size, steps).items() for _ in range(count)]
    rng.shuffle(order)
    counts = Counter(order)
    batches = {
        task: iter(hard_batches(tasks[task], texts, size, count, seed, together))
        for task, count in sorted(counts.items())
    }
    rows = [tasks[task][position] for task in order for position in next(batches[task])]
    return Dataset.from_dict(
        {
            "anchor": [pair.query for pair in rows],
            "positive": [pair.text or texts[pair.passage] for pair in rows],
            "label": [labels[pair.answers] for pair in rows],
        }
    )


def _weight(task: str, pairs: int) -> float:
    weight: float = pairs**0.5
    return CLOZE_WEIGHT * weight if task == CLOZE else weight


def _shares(tasks: Mapping[str, Sequence[Pair]], size: int, steps: int) -> dict[str, int]:
    """Batches a task gets: in proportion to the root of its pairs, within what `PASSES` allow."""
    left = {task: PASSES * len(pairs) // size for task, pairs in tasks.items()}
    shares = dict.fromkeys(tasks, 0)
    for _ in range(min(steps, sum(left.values()))):
        neediest = min(
            (task for task in tasks if shares[task] < left[task]),
            key=lambda task: (shares[task] + 1) / _weight(task, len(tasks[task])),
        )
        shares[neediest] += 1
    return shares
