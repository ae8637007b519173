"""From rankings to what a person wants to know: means, intervals, and the queries that changed most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyvec.evaluation.bootstrap import paired_bootstrap
from polyvec.evaluation.exam import Exam, Rankings, Scores, mean_over_tasks
from polyvec.evaluation.retrieval_metrics import first_hit

MEASURE = "ndcg@10"
SNIPPET = 400
"""Characters of a passage that the report shows."""


def summary(exam: Exam, rankings: Mapping[str, Rankings], seed: int) -> dict[str, Any]:
    """Means, per-task values, intervals and examples of several systems on one exam.

    Args:
        exam: what was asked.
        rankings: system → its rankings; must hold ``bm25``, ``base`` and ``adapted``.
        seed: of the bootstrap.

    Returns:
        The entries ``mean``, ``tasks``, ``sizes``, ``gain``, ``gain_over_bm25``, ``intervals`` and ``examples`` of
        ``metrics.json``.
    """
    scores = {system: exam.score(ranked) for system, ranked in rankings.items()}
    tasks = [task.name for task in exam.tasks]
    return {
        "mean": {system: mean_over_tasks(score) for system, score in scores.items()},
        "tasks": {
            task: {
                s: {m: float(v.mean()) for m, v in score[task].items()}
                for s, score in scores.items()
            }
            for task in tasks
        },
        "sizes": {
            t.name: {"queries": len(t.queries), "passages": len(t.passages)} for t in exam.tasks
        },
        "gain": _difference(scores, "adapted", "base", tasks, seed),
        "gain_over_bm25": _difference(scores, "adapted", "bm25", tasks, seed),
        "intervals": {
            **{task: _intervals(scores, [task], seed) for task in tasks},
            "mean": _intervals(scores, tasks, seed),
        },
        "examples": examples(exam, rankings["base"], rankings["adapted"], scores),
    }


def retention_summary(exam: Exam, base: Scores, adapted: Scores) -> dict[str, Any]:
    """What the model still knows outside its domain: mean nDCG@10 before and after, and each task's."""
    tasks = {
        task.name: {
            "base": float(base[task.name][MEASURE].mean()),
            "adapted": float(adapted[task.name][MEASURE].mean()),
            "queries": len(task.queries),
        }
        for task in exam.tasks
    }
    before, after = (mean_over_tasks(scores)[MEASURE] for scores in (base, adapted))
    return {"base": before, "adapted": after, "change": after - before, "tasks": tasks}


def examples(
    exam: Exam, base: Rankings, adapted: Rankings, scores: Mapping[str, Scores], most: int = 10
) -> dict[str, list[dict[str, Any]]]:
    """The queries whose nDCG@10 rose and fell most from base to adapted, with what each system found first."""
    changes = [
        (float(after - before), task, position)
        for task in exam.tasks
        for position, (before, after) in enumerate(
            zip(
                scores["base"][task.name][MEASURE],
                scores["adapted"][task.name][MEASURE],
                strict=True,
            )
        )
    ]
    ordered = sorted(changes, key=lambda change: (change[0], change[1].name, change[2]))
    shown = {"better": ordered[::-1][:most], "worse": ordered[:most]}
    signs = {"better": 1, "worse": -1}
    return {
        side: [
            _example(task, position, base, adapted)
            for change, task, position in found
            if change * signs[side] > 0
        ]
        for side, found in shown.items()
    }


def _example(task: Any, position: int, base: Rankings, adapted: Rankings) -> dict[str, Any]:
    query = list(task.queries)[position]
    wanted = next(
        p for p, grade in task.relevant[query].items() if grade > 0 and p in task.passages
    )
    found = {"base": base[task.name][position], "adapted": adapted[task.name][position]}
    example = {
        "task": task.name,
        "query": task.queries[query],
        "wanted_id": wanted,
        "wanted": task.passages[wanted][:SNIPPET],
    }
    for system, ranking in found.items():
        example[f"{system}_rank"] = first_hit(ranking, task.relevant[query])
        example[f"{system}_found_id"] = ranking[0]
        example[f"{system}_found"] = task.passages[ranking[0]][:SNIPPET]
    return example


def _difference(
    scores: Mapping[str, Scores], system: str, other: str, tasks: list[str], seed: int
) -> dict[str, float]:
    return paired_bootstrap(
        [scores[system][task][MEASURE] - scores[other][task][MEASURE] for task in tasks], seed
    ).to_dict()


def _intervals(scores: Mapping[str, Scores], tasks: list[str], seed: int) -> dict[str, Any]:
    systems = {
        system: paired_bootstrap([score[task][MEASURE] for task in tasks], seed).to_dict()
        for system, score in scores.items()
    }
    return {
        "over_base": _difference(scores, "adapted", "base", tasks, seed),
        "over_bm25": _difference(scores, "adapted", "bm25", tasks, seed),
        "systems": systems,
    }
