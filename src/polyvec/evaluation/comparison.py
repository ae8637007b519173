"""Several models on one exam (of an adaptation, or a BEIR folder), or on suites of tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from sentence_transformers import SentenceTransformer

from polyvec.data.beir import folder_judgements, is_beir_folder, read_beir_corpus
from polyvec.encoders.loading import load
from polyvec.errors import BadInput, MissingExtra
from polyvec.evaluation.bootstrap import paired_bootstrap
from polyvec.evaluation.exam import Exam, Rankings, fuse, judged_exam, mean_over_tasks

MEASURE = "ndcg@10"


Model = str | Path | SentenceTransformer


def evaluate(
    models: Model | Sequence[Model],
    on: str | Path,
    *,
    device: str = "auto",
    seed: int = 0,
    head: Literal["linear", "bilstm"] = "linear",
    kept: Path | None = None,
) -> dict[str, Any]:
    """Examine models: on one exam with BM25 and hybrid search beside them, or on suites of tasks.

    Args:
        models: one or several: names, folders or opened models.
        on: the output folder of `polyvec.adapt`; a BEIR folder (``corpus.jsonl``, ``queries.jsonl``, ``qrels/``); or
            suites and tasks with commas between: ``sts,retrieval``, ``banking77``, any name of mteb's.
        device: where named models run.
        seed: of the exam's bootstrap.
        head: what tagging tasks learn on the frozen vectors: ``linear`` or ``bilstm``.
        kept: folder for the finished tasks of suites, so that the same call continues after an interruption.

    Returns:
        For an exam ``mean``: system → metric → value; ``tasks``: task → system → metric → value; ``sizes``; and, where
        several models were given, ``gains``: model → ``value``, ``low``, ``high`` of its mean nDCG@10 minus the first
        model's. For suites see `polyvec.evaluation.suites.running.summary`.

    Raises:
        BadInput: when ``on`` holds no exam and names no suite, no model is given, or one cannot be opened.
        MissingExtra: when suites are asked for and mteb is not installed.
    """
    given = [models] if isinstance(models, Model) else list(models)
    if not given:
        raise BadInput("no model to examine; give at least one")
    named = [
        (str(model) if isinstance(model, str | Path) else f"model {number}", model)
        for number, model in enumerate(given, 1)
    ]
    if isinstance(on, Path) or Path(on).exists() or os.sep in on:
        return _on_exam(named, Path(on), device, seed)
    return _on_suites(named, on, device, head, kept)


def _on_suites(
    models: Sequence[tuple[str, Model]],
    names: str,
    device: str,
    head: Literal["linear", "bilstm"],
    kept: Path | None,
) -> dict[str, Any]:
    try:
        from polyvec.evaluation.suites.catalogue import suite_tasks
        from polyvec.evaluation.suites.running import run_suite, summary
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "suites") from None
    outcomes, skipped = run_suite(models, suite_tasks(names, head), device=device, kept=kept)
    return summary(outcomes, skipped, names)


def _on_exam(
    models: Sequence[tuple[str, Model]], on: Path, device: str, seed: int
) -> dict[str, Any]:
    exam = read_exam(on)
    rankings: dict[str, Rankings] = {"bm25": exam.rank_bm25()}
    for name, model in models:
        opened = load(model, device) if isinstance(model, str | Path) else model
        rankings[name] = exam.rank(opened, show_progress=True)
        rankings[f"{name} + bm25"] = fuse(rankings["bm25"], rankings[name])
    names = [name for name, _ in models]
    scores = {system: exam.score(ranked) for system, ranked in rankings.items()}
    first = scores[names[0]]
    return {
        "on": str(on),
        "mean": {system: mean_over_tasks(score) for system, score in scores.items()},
        "tasks": {
            task.name: {
                system: {
                    metric: float(values.mean()) for metric, values in score[task.name].items()
                }
                for system, score in scores.items()
            }
            for task in exam.tasks
        },
        "sizes": {
            t.name: {"queries": len(t.queries), "passages": len(t.passages)} for t in exam.tasks
        },
        "gains": {
            name: paired_bootstrap(
                [
                    scores[name][task.name][MEASURE] - first[task.name][MEASURE]
                    for task in exam.tasks
                ],
                seed,
            ).to_dict()
            for name in names[1:]
        },
    }


def read_exam(place: Path) -> Exam:
    """The exam in the output folder of an adaptation, or made of a BEIR folder.

    Raises:
        BadInput: when there is neither.
    """
    if (place / "exam.json").exists():
        return Exam.load(place / "exam.json")
    if is_beir_folder(place):
        judgements = folder_judgements(place)
        if judgements is not None:
            return judged_exam(read_beir_corpus(place).documents, judgements)
    raise BadInput(
        f"{place}: no exam there; give the --out folder of an adaptation, or a BEIR folder with corpus.jsonl, "
        "queries.jsonl and qrels/"
    )
