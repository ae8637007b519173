"""Several models on one exam: the exam of an adaptation, or a BEIR folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from polyvec.data.beir import folder_judgements, is_beir_folder, read_beir_corpus
from polyvec.encoders.loading import load
from polyvec.errors import BadInput
from polyvec.evaluation.bootstrap import paired_bootstrap
from polyvec.evaluation.exam import Exam, Rankings, fuse, judged_exam, mean_over_tasks

MEASURE = "ndcg@10"


def evaluate(
    models: str | Path | SentenceTransformer | Sequence[str | Path | SentenceTransformer],
    on: str | Path,
    *,
    device: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Examine models, with BM25 and each model's hybrid with it beside them.

    Args:
        models: one or several: names, folders or opened models.
        on: the output folder of `polyvec.adapt`, or a BEIR folder (``corpus.jsonl``, ``queries.jsonl``, ``qrels/``).
        device: where named models run.
        seed: of the bootstrap.

    Returns:
        ``mean``: system → metric → value; ``tasks``: task → system → metric → value; ``sizes``; and, where several
        models were given, ``gains``: model → ``value``, ``low``, ``high`` of its mean nDCG@10 minus the first
        model's.

    Raises:
        BadInput: when ``on`` holds no exam, no model is given, or one cannot be opened.
    """
    given = [models] if isinstance(models, str | Path | SentenceTransformer) else list(models)
    if not given:
        raise BadInput("no model to examine; give at least one")
    exam = read_exam(Path(on))
    rankings: dict[str, Rankings] = {"bm25": exam.rank_bm25()}
    names = []
    for number, model in enumerate(given):
        name = str(model) if isinstance(model, str | Path) else f"model {number + 1}"
        opened = load(model, device) if isinstance(model, str | Path) else model
        rankings[name] = exam.rank(opened, show_progress=True)
        rankings[f"{name} + bm25"] = fuse(rankings["bm25"], rankings[name])
        names.append(name)
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
