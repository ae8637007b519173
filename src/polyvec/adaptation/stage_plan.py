"""Training in stages: raw documents, weak pairs, good pairs, a teacher, a soup; from one file, and resumable.

The stages of KaLM-Embedding-V2 (Zhao et al. 2025, arXiv:2506.20923), each of which may be left out or come again.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.adaptation.merge import merge
from polyvec.adaptation.stage_figure import stage_picture
from polyvec.console import console
from polyvec.data.sources import read_documents
from polyvec.data.training_lines import TrainingLine
from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load, save
from polyvec.errors import BadInput
from polyvec.files import read_json, saying_when_full, write_bytes, write_json
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.elastic import elastic
from polyvec.ranks import agreed, first_rank_first, join_ranks, rank, ranks
from polyvec.training.batch_order import ORDERS
from polyvec.training.fine_tuning import fine_tune
from polyvec.training.large_batch import plan_batch
from polyvec.training.pretraining import learn, lesson
from polyvec.training.stage_config import Plan, Stage, read_plan
from polyvec.training.stages import Stages, only_ranks_in
from polyvec.training.time_budget import Plan as Steps
from polyvec.training.time_budget import measure_step, plan_steps
from polyvec.training.training_rows import read_examples, training_rows

PROBED = 3
"""Batches that are measured to know how long a step takes."""
RECONSTRUCTED = "The progressive weight is a reconstruction: PEG (arXiv:2311.11691) does not publish its formula."


def train(
    plan: str | Path | Mapping[str, Any],
    *,
    out: str | Path = "trained",
    device: str = "auto",
    restart: bool = False,
) -> Path:
    """Train a model through the stages of a plan: ``polyvec train``.

    Under ``torchrun`` or ``accelerate launch`` every rank takes ``batch`` rows of a step, and negatives are those of
    all ranks.

    Args:
        plan: a TOML or YAML file, or the same as a dictionary; see `polyvec.training.stage_config.EXAMPLE`.
        out: folder; ``model`` in it is the last stage's, ``training.json`` says how it came about and ``curve.png``
            shows it. Every stage's model stays in ``stages``. The same call continues there.
        device: ``auto``, ``cpu``, ``cuda`` …
        restart: forget what an earlier run left in ``out``.

    Returns:
        The folder of the model.

    Raises:
        BadInput: when something given cannot be used; one sentence.

    Example:
        >>> stage = {"name": "good", "kind": "contrastive", "data": ["pairs.jsonl"], "minutes": 5}
        >>> train({"model": "minilm", "stages": [stage]}, out="trained")  # doctest: +SKIP
        PosixPath('trained/model')
    """
    asked = read_plan(plan)
    files = {stage.name: _files(stage) for stage in asked.stages}
    join_ranks(device)
    folder = Path(out)
    with only_ranks_in(folder), saying_when_full(folder):
        names = [stage.name for stage in asked.stages]
        with first_rank_first():
            options, first_use = _options(asked, files)
            place = folder / "stages"
            stages = Stages(place, names, options, first_use, restart=restart and not rank())
        for number, stage in enumerate(asked.stages):
            if not agreed(stages.is_done(stage.name)):
                _run(asked, number, files[stage.name], stages, device)
        if rank() == 0:
            _tell(asked, stages, folder)
    return folder / "model"


def _files(stage: Stage) -> list[Path]:
    """The files of examples that a stage names."""
    found: list[Path] = []
    if stage.kind == "pretrain":
        return found
    for pattern in stage.data:
        matched = sorted(Path(name) for name in glob.glob(pattern, recursive=True))
        if not matched:
            raise BadInput(f"stage {stage.name!r}: no file is called {pattern}")
        found += matched
    return found


def _options(
    plan: Plan, files: Mapping[str, Sequence[Path]]
) -> tuple[dict[str, str | int | float | bool | None], dict[str, str]]:
    """What decides the result of each stage, as Stages wants it."""
    first = plan.stages[0].name
    options: dict[str, str | int | float | bool | None] = {
        "plan.model": plan.model,
        "plan.length": plan.length,
        "plan.seed": plan.seed,
    }
    first_use = dict.fromkeys(options, first)
    for number, stage in enumerate(plan.stages):
        held = {**asdict(stage), "start": _start(plan, number)}
        held["contents"] = [hashlib.sha256(f.read_bytes()).hexdigest() for f in files[stage.name]]
        for name, value in held.items():
            plain = value is None or isinstance(value, str | int | float)
            options[f"{stage.name}.{name}"] = value if plain else json.dumps(value)
            first_use[f"{stage.name}.{name}"] = stage.name
    return options, first_use


def _start(plan: Plan, number: int) -> str | None:
    """The stage that another begins from; None for the plan's model."""
    stage = plan.stages[number]
    if stage.start is not None:
        return stage.start
    return plan.stages[number - 1].name if number else None


def _begin(plan: Plan, number: int, stages: Stages, device: str) -> SentenceTransformer:
    start = _start(plan, number)
    return load(plan.model if start is None else stages.folder / start / "model", device)


def _run(plan: Plan, number: int, files: Sequence[Path], stages: Stages, device: str) -> None:
    stage = plan.stages[number]
    place = stages.folder / stage.name
    if rank() == 0:
        place.mkdir(parents=True, exist_ok=True)
        console.print(f"Stage {stage.name} ({stage.kind})", highlight=False)
    if stage.kind == "soup":
        with first_rank_first():
            if rank() == 0:
                _soup(plan, stage, stages, device)
                stages.run(stage.name, lambda _: None)
        return
    model = _begin(plan, number, stages, device)
    reads = model.max_seq_length
    model.max_seq_length = min(plan.length, reads or plan.length)
    learned = _pretrained if stage.kind == "pretrain" else _contrasted
    curve = learned(model, stage, files, place, plan.seed)
    model.max_seq_length = reads
    with first_rank_first():
        if rank() == 0:
            save(model, place / "model")
            write_json(place / "curve.json", curve)
            stages.run(stage.name, lambda _: None)
            for checkpoint in place.glob("checkpoint-*"):
                shutil.rmtree(checkpoint)


def _soup(plan: Plan, stage: Stage, stages: Stages, device: str) -> None:
    """The average of stages, as changes of what the first of them began from."""
    number = [other.name for other in plan.stages].index(stage.members[0])
    members = [load(stages.folder / name / "model", device) for name in stage.members]
    base = _begin(plan, number, stages, device)
    merged = merge(base, members, "average", weights=stage.weights, names=stage.members)
    merged.save(stages.folder / stage.name / "model")


def _pretrained(
    model: SentenceTransformer, stage: Stage, files: Sequence[Path], place: Path, seed: int
) -> list[dict[str, float]]:
    documents = [found for source in stage.data for found in read_documents(source).documents]
    given = lesson(str(stage.objective), model, documents, seed)
    steps = stage.steps
    if stage.minutes is None and steps is None:
        steps = max(1, int((stage.epochs or 1) * len(given.rows)) // (stage.batch * ranks()))
    return learn(
        given,
        place,
        minutes=stage.minutes or 1.0,
        steps=steps,
        batch=stage.batch,
        learning_rate=stage.highest_rate,
        seed=seed,
    )


def _contrasted(
    model: SentenceTransformer, stage: Stage, files: Sequence[Path], place: Path, seed: int
) -> list[dict[str, float]]:
    examples = read_examples(files, seed)
    if stage.teacher is not None:
        examples = _scored(examples, stage.teacher, place / "teacher.npy", model.device.type)
    batch = stage.batch * ranks()
    more = {n: getattr(stage, n) for n in ("ratio", "power") if getattr(stage, n) is not None}
    order = ORDERS[stage.order]([e.task for e in examples], batch, seed, **more)
    path = place / "plan.json"
    if agreed(path.exists()):
        planned = Steps(**read_json(path))
        taken = list(islice(order, planned.steps))
    else:
        probe = list(islice(order, PROBED))
        rows = _rows(examples, probe, stage, seed).select(range(PROBED * stage.batch))
        seconds = agreed(measure_step(_objective(model, stage, 1), rows, stage.batch))
        planned = _steps(stage, len(examples), batch, seconds)
        taken = [*probe, *islice(order, max(0, planned.steps - PROBED))][: planned.steps]
        if rank() == 0:
            write_json(path, asdict(planned))
            said = f"  {len(examples):,} examples, {planned.steps} steps of {batch} rows, "
            console.print(f"{said}{seconds:.2f} s each", highlight=False)
    return fine_tune(
        _objective(model, stage, planned.steps),
        _rows(examples, taken, stage, seed),
        stage.batch,
        place,
        learning_rate=stage.highest_rate,
        seconds_per_step=planned.seconds_per_step,
        seed=seed,
        seconds_allowed=60 * stage.minutes if stage.minutes else float("inf"),
    )


def _steps(stage: Stage, examples: int, batch: int, seconds: float) -> Steps:
    if stage.minutes is not None:
        return plan_steps(stage.minutes, seconds, stage.batch, most=10**9)
    steps = stage.steps or max(1, int((stage.epochs or 1) * examples) // batch)
    return Steps(steps, stage.batch, seconds)


def _rows(
    examples: Sequence[TrainingLine], batches: Sequence[Any], stage: Stage, seed: int
) -> Dataset:
    order = np.concatenate(batches).tolist()
    return training_rows(examples, order, stage.negatives, seed=seed, scores=stage.kind == "distil")


def _objective(model: SentenceTransformer, stage: Stage, steps: int) -> nn.Module:
    cut = plan_batch(model, model.max_seq_length or 512, stage.batch, 2 + stage.negatives)
    plain = Contrastive(
        model,
        stage.temperature,
        margin=stage.margin,
        symmetric=stage.symmetric,
        expanded=stage.expanded,
        **stage.terms(steps),
        **cut.options,  # type: ignore[arg-type]
    )
    if stage.elastic is None:
        return plain
    return elastic(
        model, plain, stage.elastic, chunk_tokens=cut.chunk_tokens, recompute=cut.recompute
    )


def _scored(
    examples: Sequence[TrainingLine], teacher: str, path: Path, device: str
) -> list[TrainingLine]:
    """Examples with the cosines that a teacher gives their answers and negatives."""
    texts = [[*e.positives, *e.negatives] for e in examples]
    if not agreed(path.exists()):
        with first_rank_first():
            if rank() == 0:
                model = load(teacher, device)
                asked = encode(model, [e.query for e in examples], task="query", normalize=True)
                flat = [text for found in texts for text in found]
                answers = encode(model, flat, task="document", normalize=True, show_progress=True)
                repeated = np.repeat(asked, [len(found) for found in texts], axis=0)
                held = io.BytesIO()
                np.save(held, np.einsum("nd,nd->n", repeated, answers))
                write_bytes(path, held.getvalue())
    scores = np.load(path, allow_pickle=False)
    ends = np.cumsum([len(found) for found in texts])[:-1]
    return [
        replace(e, teacher_scores=found.tolist())
        for e, found in zip(examples, np.split(scores, ends), strict=True)
    ]


def _tell(plan: Plan, stages: Stages, folder: Path) -> None:
    """Write the last model beside what was done, and a picture of it."""
    last = load(stages.folder / plan.stages[-1].name / "model", "cpu")
    save(last, folder / "model")
    curves = {
        stage.name: read_json(path)
        for stage in plan.stages
        if (path := stages.folder / stage.name / "curve.json").exists()
    }
    progressive = any(stage.progressive for stage in plan.stages)
    told = {"plan": asdict(plan), "notes": [RECONSTRUCTED] * progressive, "curves": curves}
    write_json(folder / "training.json", told)
    if curves:
        stage_picture(curves, folder / "curve.png")
