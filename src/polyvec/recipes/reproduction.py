"""Running a recipe: every arm with every seed, each finished run kept, and the evidence at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polyvec.console import console, progress_bar
from polyvec.errors import BadInput
from polyvec.files import read_json, saying_when_full, write_json
from polyvec.recipes.measuring import code_digest, commit, machine, measured, versions
from polyvec.recipes.recipe import SCALES, Recipe, Run, Scale, Values, find_recipe

RUNS = ".runs"
"""Folder beside the evidence that holds finished runs; not part of what is published."""


def reproduce(
    recipe: str | Recipe,
    *,
    scale: Scale = "cpu",
    seeds: int | None = None,
    arm: str | None = None,
    out: str | Path = "evidence",
    restart: bool = False,
) -> dict[str, Any]:
    """Run a recipe's arms and seeds, and write its evidence.

    Finished runs are kept in ``out/NAME/.runs``: the same call continues after an interruption. Runs of other code than
    the present are not used.

    Args:
        recipe: its name, or the recipe itself.
        scale: ``cpu`` or ``gpu``.
        seeds: how many; the recipe's number where None.
        arm: run this arm only, and write no evidence.
        out: folder of all evidence.
        restart: forget finished runs.

    Returns:
        What is in ``out/NAME/SCALE.json``; without ``verdict`` where one arm only was run.

    Raises:
        BadInput: when there is no such recipe, arm or scale, or its data is missing.
    """
    found = find_recipe(recipe) if isinstance(recipe, str) else recipe
    folder = Path(out) / found.name
    arms = _arms(found, scale, arm)
    count = found.seeds if seeds is None else seeds
    if count < 1:
        raise BadInput(f"{count} seeds: give 1 or more")
    runs = _run_all(found, scale, arms, range(count), folder, restart)
    evidence = _evidence(found, scale, runs, count)
    if arm is None:
        with saying_when_full(folder):
            publish(found, evidence, folder, scale)
    return evidence


def publish(recipe: Recipe, evidence: dict[str, Any], folder: Path, scale: Scale) -> None:
    """Write the evidence and its picture."""
    from polyvec.recipes.pictures import arm_bars

    evidence["verdict"] = recipe.judge(values_of(evidence))
    write_json(folder / f"{scale}.json", evidence)
    (recipe.picture or arm_bars)(evidence, folder / f"{scale}.png")


def values_of(evidence: dict[str, Any]) -> Values:
    """The values per arm, metric and seed."""
    return {arm: dict(metrics) for arm, metrics in evidence["arms"].items()}


def _arms(recipe: Recipe, scale: str, arm: str | None) -> list[str]:
    if scale not in SCALES:
        raise BadInput(f"scale {scale!r}: give {' or '.join(SCALES)}")
    if scale not in recipe.minutes:
        raise BadInput(f"{recipe.name} has no {scale} scale; give {' or '.join(recipe.minutes)}")
    if scale == "gpu":
        import torch

        if not torch.cuda.is_available():
            raise BadInput("--scale gpu needs a CUDA device, and torch finds none here")
    if arm is not None and arm not in recipe.arms:
        raise BadInput(
            f"{recipe.name} has no arm {arm!r}; its arms are {', '.join(map(repr, recipe.arms))}"
        )
    return [arm] if arm else list(recipe.arms)


def _run_all(
    recipe: Recipe,
    scale: Scale,
    arms: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    restart: bool,
) -> dict[str, list[dict[str, Any]]]:
    runs: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    with progress_bar() as bar:
        line = bar.add_task(recipe.name, total=len(arms) * len(seeds))
        for seed in seeds:
            for arm in arms:
                bar.update(line, description=f"{recipe.name}: {arm}, seed {seed}")
                runs[arm].append(_kept_or_run(recipe, scale, arm, seed, folder, restart))
                bar.advance(line)
    return runs


def _kept_or_run(
    recipe: Recipe, scale: Scale, arm: str, seed: int, folder: Path, restart: bool
) -> dict[str, Any]:
    name = "-".join("".join(c if c.isalnum() else " " for c in arm).split())
    path = folder / RUNS / scale / f"{name}.{seed}.json"
    if path.exists() and not restart:
        kept: dict[str, Any] = read_json(path)
        if kept["code"] == code_digest():
            return kept
    device = "cuda" if scale == "gpu" else "cpu"
    cache = folder / RUNS / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with saying_when_full(cache), measured(device) as cost:
        values = recipe.arms[arm](Run(seed, scale, device, cache, _say))
    run = {"code": code_digest(), "seed": seed, "values": values, "cost": asdict(cost)}
    write_json(path, run)
    return run


def _say(message: str) -> None:
    console.print(f"  {message}", markup=False, highlight=False)


def _evidence(
    recipe: Recipe, scale: Scale, runs: dict[str, list[dict[str, Any]]], seeds: int
) -> dict[str, Any]:
    seconds = sum(run["cost"]["wall_seconds"] for arm in runs.values() for run in arm)
    return {
        "name": recipe.name,
        "title": recipe.paper.title,
        "paper": recipe.paper.authors,
        "arxiv": recipe.paper.arxiv,
        "claim": recipe.claim,
        "rule": recipe.rule,
        "verdict": None,
        "metric": recipe.metric,
        "baseline": recipe.baseline,
        "higher_is_better": recipe.higher_is_better,
        "arms": {arm: _by_metric([run["values"] for run in found]) for arm, found in runs.items()},
        "seeds": list(range(seeds)),
        "scale": scale,
        "minutes": round(seconds / 60, 2),
        "costs": {arm: [run["cost"] for run in found] for arm, found in runs.items()},
        "commit": commit(),
        "code": code_digest(),
        "versions": versions(),
        "machine": machine("cuda" if scale == "gpu" else "cpu"),
        "data": {name: asdict(source) for name, source in recipe.sources().items()},
        "notes": list(recipe.notes),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"polyvec reproduce {recipe.name} --scale {scale} --seeds {seeds}",
    }


def _by_metric(values: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    return {metric: [run[metric] for run in values] for metric in values[0]}
