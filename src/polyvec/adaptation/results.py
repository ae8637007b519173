"""What an adaptation leaves behind: metrics.json, the model's folder and the report, from its finished stages."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyvec import __version__
from polyvec.adaptation.examination import retention_summary, summary
from polyvec.adaptation.report import write_report
from polyvec.encoders.precision import has_bfloat16
from polyvec.evaluation.complexity import MEASURES
from polyvec.evaluation.complexity_sources import exam_task, measured
from polyvec.evaluation.exam import Exam, Rankings, fuse
from polyvec.files import read_json, replace_folder, write_json
from polyvec.machine import processor
from polyvec.training.stages import Stages

COMPLEXITY_SAMPLE = 200
"""Texts of each kind from which complexity is measured."""
SHOWN_SKIPPED = 500
"""Most skipped places that metrics.json lists; all of them are in ``stages/read/skipped.json``."""


def write_results(
    options: dict[str, Any], stages: Stages, folder: Path, device: torch.device
) -> None:
    """Write ``metrics.json``, ``exam.json``, ``model`` and ``report.html`` into ``folder``.

    Args:
        options: what was asked for.
        stages: all of them finished.
        folder: of the results.
        device: on which they were made.
    """
    merge = read_json(stages.folder / "merge" / "merge.json")
    curve = read_json(stages.folder / "train" / "curve.json")
    plan = read_json(stages.folder / "plan" / "plan.json")
    exam = Exam.load(stages.folder / "prepare" / "test.json")
    metrics = {
        "polyvec": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **options,
        "device": str(device),
        "kept": "adapted" if merge["chosen"] > 0 else "base",
        "why": merge["why"],
        **summary(exam, _rankings(stages.folder), options["seed"]),
        "retention": _retention(stages.folder),
        "complexity": _complexity(exam, stages.folder, options["seed"]),
        "cost": _cost(stages, len(curve), plan["batch"], device),
        "training": {
            "curve": curve,
            "batch": plan["batch"],
            "learning_rate": options["learning_rate"],
        },
        "pretraining": _pretraining(stages.folder),
        "frontier": _frontier(stages.folder),
        "merge": {"curve": merge["curve"], "chosen": merge["chosen"]},
        "read": _read(stages.folder),
    }
    exam.save(folder / "exam.json")
    _publish(stages.folder / "merge" / "model", folder / "model")
    write_report(metrics, folder / "report.html")
    # Last, so that whoever finds it finds everything.
    write_json(folder / "metrics.json", metrics)


def _pretraining(stages: Path) -> dict[str, Any]:
    """The curve of what came before pairs; empty where nothing did."""
    path = stages / "pretrain" / "curve.json"
    return {"curve": read_json(path)} if path.exists() else {}


def _frontier(stages: Path) -> dict[str, Any]:
    """Smaller sizes of an elastic model, and of its base; empty where it was not trained so."""
    path = stages / "frontier" / "frontier.json"
    return read_json(path) if path.exists() else {}


def _rankings(stages: Path) -> dict[str, Rankings]:
    bm25, base = (read_json(stages / "baseline" / f"{system}.json") for system in ("bm25", "base"))
    adapted = read_json(stages / "examine" / "adapted.json")
    return {"bm25": bm25, "base": base, "adapted": adapted, "hybrid": fuse(bm25, adapted)}


def _retention(stages: Path) -> dict[str, Any]:
    exam = Exam.load(stages / "prepare" / "retention-test.json")
    if not exam.tasks:
        return {}
    before, after = (
        exam.score(read_json(stages / name / "retention.json")) for name in ("baseline", "examine")
    )
    return retention_summary(exam, before, after)


def _complexity(exam: Exam, stages: Path, seed: int) -> dict[str, dict[str, float]]:
    """How hard the exam's texts and questions are, beside those of the exam outside the domain."""
    exams = {"exam": exam, "outside": Exam.load(stages / "prepare" / "retention-test.json")}
    rows = {
        name: measured(exam_task(found), name, COMPLEXITY_SAMPLE, seed).iloc[0]
        for name, found in exams.items()
        if found.tasks
    }
    return {
        measure: {name: float(row[measure]) for name, row in rows.items()}
        for measure in MEASURES
        if all(np.isfinite(row[measure]) for row in rows.values())
    }


def _cost(stages: Stages, steps: int, batch: int, device: torch.device) -> dict[str, Any]:
    costs = stages.costs()
    return {
        "seconds": round(sum(cost["seconds"] for cost in costs.values()), 1),
        "stages": {name: cost["seconds"] for name, cost in costs.items()},
        "steps": steps,
        "pairs": steps * batch,
        "peak_memory_mb": max(cost["peak_memory_mb"] for cost in costs.values()),
        "machine": machine(device),
        "precision": "bfloat16" if has_bfloat16(device) else "float32",
    }


def machine(device: torch.device) -> str:
    """The processor (or accelerator) and the number of cores, for people."""
    cores = f"{os.cpu_count()} cores"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {cores}"
    return f"{processor()}, {cores}"


def _read(stages: Path) -> dict[str, Any]:
    skipped = read_json(stages / "read" / "skipped.json")
    facts = read_json(stages / "prepare" / "facts.json")
    return {**facts, "skipped": skipped[:SHOWN_SKIPPED], "skipped_total": len(skipped)}


def _publish(model: Path, target: Path) -> None:
    """Copy the model's folder beside its target, then put it in place."""
    beside = target.with_name(".model.part")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(model, beside)
    replace_folder(beside, target)
