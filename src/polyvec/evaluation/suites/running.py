"""Models on mteb tasks, one task after the other, each finished task kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mteb
import numpy as np
from mteb.abstasks import AbsTask
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from polyvec.console import console, progress_bar
from polyvec.data.benchmarks.files import MissingData
from polyvec.encoders.loading import load, model_fingerprint
from polyvec.errors import BadInput
from polyvec.evaluation.bootstrap import interval_of
from polyvec.evaluation.suites.catalogue import SuiteTask
from polyvec.evaluation.suites.encoder import TokenBatchedEncoder
from polyvec.evaluation.suites.resampling import replicates
from polyvec.files import read_json, write_json

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one model reached on one task.

    Attributes:
        task: its name.
        suite: what it is averaged with.
        measure: name of the main score.
        value: the main score, mean over subsets.
        subsets: subset → main score.
        replicates: the main score on redrawn examples; empty where it cannot be recomputed.
        version: of mteb.
    """

    task: str
    suite: str
    measure: str
    value: float
    subsets: dict[str, float]
    replicates: list[float]
    version: str


def run_suite(
    models: Sequence[tuple[str, str | Path | SentenceTransformer]],
    tasks: Sequence[SuiteTask],
    *,
    device: str = "auto",
    kept: Path | None = None,
) -> tuple[dict[str, dict[str, Outcome]], dict[str, str]]:
    """Judge models on tasks.

    Args:
        models: shown name and model, or what `polyvec.load` takes.
        tasks: of the catalogue.
        device: where named models run.
        kept: folder of finished tasks; what is there already for the same model is not repeated.

    Returns:
        model → task → outcome, and task → why it was left out, for those whose data is not there.

    Raises:
        BadInput: when no task is left, a model cannot be opened, or a data file is damaged.
    """
    outcomes: dict[str, dict[str, Outcome]] = {}
    skipped: dict[str, str] = {}
    for name, model in models:
        opened = load(model, device) if isinstance(model, str | Path) else model
        folder = kept / model_fingerprint(opened)[:16] if kept else None
        outcomes[name] = _one_model(name, opened, tasks, folder, skipped)
    if not any(outcomes.values()):
        reasons = "; ".join(dict.fromkeys(skipped.values()))
        raise BadInput(f"none of the tasks could be run: {reasons}")
    return outcomes, skipped


def _one_model(
    name: str,
    model: SentenceTransformer,
    tasks: Sequence[SuiteTask],
    folder: Path | None,
    skipped: dict[str, str],
) -> dict[str, Outcome]:
    encoder = TokenBatchedEncoder(model)
    found: dict[str, Outcome] = {}
    with progress_bar() as bar:
        line = bar.add_task(name, total=len(tasks))
        for task in tasks:
            bar.update(line, description=f"{name}: {task.name}")
            if task.name not in skipped:
                try:
                    found[task.name] = _kept_or_run(encoder, task, folder)
                except MissingData as error:
                    skipped[task.name] = str(error)
                    console.print(f"left out {task.name}: {error}", markup=False, soft_wrap=True)
            bar.advance(line)
    return found


def _kept_or_run(encoder: TokenBatchedEncoder, task: SuiteTask, folder: Path | None) -> Outcome:
    path = folder / f"{task.name}-{_digest(task)}.json" if folder else None
    if path and path.exists():
        return Outcome(**read_json(path))
    encoder.forget()
    outcome = judge(encoder, task.make(), task)
    if path:
        write_json(path, asdict(outcome))
    return outcome


def _digest(task: SuiteTask) -> str:
    return hashlib.sha256(f"{mteb.__version__} {task.settings}".encode()).hexdigest()[:8]


def judge(encoder: Any, task: AbsTask, listed: SuiteTask) -> Outcome:
    """Run one task by mteb's protocol.

    Args:
        encoder: as mteb wants it.
        task: the mteb task.
        listed: what it is listed as.

    Returns:
        The score that mteb computes, with replicates.

    Raises:
        MissingData: when its data is not there.
    """
    try:
        task.load_data()
    except OSError as error:  # of the hub, or of the connection to it
        raise MissingData(f"{listed.name}: its data cannot be fetched ({error})") from error
    with tempfile.TemporaryDirectory() as folder:
        result = mteb.evaluate(
            encoder,
            task,
            cache=None,
            co2_tracker=False,
            prediction_folder=folder,
            show_progress_bar=False,
        )
        saved = Path(folder) / task.prediction_file_name
        predictions = read_json(saved) if saved.exists() else {}
    rows = [(split, row) for split, found in result.task_results[0].scores.items() for row in found]
    drawn = [
        replicates(
            task, row["hf_subset"], split, row, predictions.get(row["hf_subset"], {}).get(split)
        )
        for split, row in rows
    ]
    return Outcome(
        task=listed.name,
        suite=listed.suite,
        measure=task.metadata.main_score,
        value=float(np.mean([row["main_score"] for _, row in rows])),
        subsets={row["hf_subset"]: float(row["main_score"]) for _, row in rows},
        replicates=_together(drawn),
        version=mteb.__version__,
    )


def _together(drawn: Iterable[NDArray[np.float64] | None]) -> list[float]:
    whole = [values for values in drawn if values is not None]
    return np.mean(whole, axis=0).round(_DIGITS).tolist() if whole else []


def summary(
    outcomes: dict[str, dict[str, Outcome]], skipped: dict[str, str], suite: str
) -> dict[str, Any]:
    """Outcomes as plain JSON, with intervals and with differences to the first model.

    Returns:
        ``on``; ``tasks``: task → model → ``value``, ``low``, ``high``; ``measures`` and ``suites``: task → its name
        and suite; ``mean``: suite → model → mean over the tasks that all models have; ``gains``: model → task or
        suite → difference to the first model with interval; ``skipped``.
    """
    names = list(outcomes)
    shared = [task for task in outcomes[names[0]] if all(task in outcomes[n] for n in names)]
    first = outcomes[names[0]]
    suites = list(dict.fromkeys(first[task].suite for task in shared))
    groups = {kind: [task for task in shared if first[task].suite == kind] for kind in suites}
    return {
        "on": suite,
        "tasks": {
            task: {name: _with_interval([outcomes[name][task]]) for name in names}
            for task in shared
        },
        "measures": {task: first[task].measure for task in shared},
        "suites": {task: first[task].suite for task in shared},
        "subsets": {
            task: {name: outcomes[name][task].subsets for name in names}
            for task in shared
            if len(first[task].subsets) > 1
        },
        "mean": {
            kind: {name: _with_interval([outcomes[name][task] for task in group]) for name in names}
            for kind, group in groups.items()
        },
        "gains": {
            name: {
                **{task: _difference(outcomes[name], first, [task]) for task in shared},
                **{
                    kind: _difference(outcomes[name], first, group)
                    for kind, group in groups.items()
                },
            }
            for name in names[1:]
        },
        "skipped": skipped,
    }


def _with_interval(outcomes: Sequence[Outcome]) -> dict[str, float]:
    value = float(np.mean([outcome.value for outcome in outcomes]))
    return _interval(value, [outcome.replicates for outcome in outcomes])


def _difference(
    ours: dict[str, Outcome], theirs: dict[str, Outcome], tasks: Sequence[str]
) -> dict[str, float]:
    value = float(np.mean([ours[task].value - theirs[task].value for task in tasks]))
    drawn = [
        np.subtract(ours[task].replicates, theirs[task].replicates).tolist()
        for task in tasks
        if ours[task].replicates and theirs[task].replicates
    ]
    return _interval(value, drawn)


def _interval(value: float, drawn: Sequence[Sequence[float]]) -> dict[str, float]:
    """The value with its interval, where all of its tasks could be drawn again."""
    if not drawn or not all(drawn):
        return {"value": value}
    return interval_of(value, np.mean(drawn, axis=0)).to_dict()
