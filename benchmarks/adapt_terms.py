"""Which terms of the contrastive objective, and which ways to draw pairs, pay in `polyvec adapt`.

The documents are those of the demo, but only their training part: it is divided again into packages to learn from and
packages to be asked, so that the demo's own dev and test packages decide nothing here. Every arm takes the same number
of steps with the same rows in the same order, unless it is about the rows; what an arm gains or loses against the
objective as `polyvec adapt` has it is compared query by query.

    python benchmarks/adapt_terms.py                                # all arms, an hour on two cores
    python benchmarks/adapt_terms.py --arms plain symmetric --steps 20
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from rich.console import Console
from rich.table import Table

from polyvec import load
from polyvec.adaptation.pipeline import LENGTH, TEMPERATURE
from polyvec.adaptation.preparation import BATCH, Prepared, prepare
from polyvec.data.documents import Document, load_documents, save_documents
from polyvec.data.passages import passages
from polyvec.data.sources import read_documents
from polyvec.data.splits import split_documents
from polyvec.data.structure_pairs import CLOZE, Pair, structure_pairs
from polyvec.evaluation.bootstrap import paired_bootstrap
from polyvec.evaluation.exam import Scores, mean_over_tasks
from polyvec.files import read_json, write_json
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.focal_weight import FocalWeight
from polyvec.objectives.matryoshka import Matryoshka
from polyvec.objectives.negative_mixing import NegativeMixing
from polyvec.objectives.progressive_weight import Curricular
from polyvec.recipes.measuring import commit, machine, versions
from polyvec.training.fine_tuning import fine_tune
from polyvec.training.negative_mining import mine_hard_negatives
from polyvec.training.pair_mixture import by_task, compose
from polyvec.training.rankers import DenseRanker

MEASURE = "ndcg@10"
NEGATIVES = 2
"""Mined negatives of a row, in the arms that have any: the fewest that can be mixed."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What differs from `polyvec adapt`.

    Attributes:
        terms: of the objective.
        mined: whether each row has `NEGATIVES` mined negatives, which cost as many more passages.
        every_passage: whether every passage of a section answers its heading, instead of the opening alone.
    """

    terms: Callable[[], Mapping[str, Any]] = field(default=dict)
    mined: bool = False
    every_passage: bool = False


PLAIN = "plain"
ARMS: dict[str, Arm] = {
    PLAIN: Arm(),
    "every passage": Arm(every_passage=True),
    "symmetric": Arm(lambda: {"symmetric": True}),
    "expanded": Arm(lambda: {"expanded": True}),
    "focal weights": Arm(lambda: {"focal": FocalWeight()}),
    "curricular weights": Arm(lambda: {"progressive": Curricular()}),
    "several widths": Arm(lambda: {"matryoshka": Matryoshka()}),
    "mined negatives": Arm(mined=True),
    "mined and mixed": Arm(lambda: {"mixing": NegativeMixing(seed=0)}, mined=True),
}


def main() -> None:
    options = _options()
    documents = _documents(options)
    prepared = prepare(documents, None, options.seed)
    base = load("minilm", "cpu")
    before = prepared.test.score(prepared.test.rank(base))
    print(f"base: {100 * mean_over_tasks(before)[MEASURE]:.1f}", flush=True)
    found: dict[str, dict[str, Any]] = {}
    for name in options.arms:
        started = time.perf_counter()
        arm = ARMS[name]
        pairs = _every_passage(documents, prepared) if arm.every_passage else prepared.pairs
        scores = _trained(arm, pairs, prepared, options, options.work / name.replace(" ", "-"))
        found[name] = {
            "scores": {task: kept[MEASURE].tolist() for task, kept in scores.items()},
            "tasks": {task: float(kept[MEASURE].mean()) for task, kept in scores.items()},
            "mean": mean_over_tasks(scores)[MEASURE],
            "over base": _gain(scores, before),
            "seconds": time.perf_counter() - started,
        }
        plain = found.get(PLAIN)
        if plain is not None and name != PLAIN:
            found[name]["over plain"] = _over(found[name]["scores"], plain["scores"])
        print(f"{name}: {100 * found[name]['mean']:.1f}", found[name].get("over plain"), flush=True)
        write_json(options.out, _told(options, prepared, before, found))
    Console(width=110).print(_table(found))


def _told(
    options: argparse.Namespace,
    prepared: Prepared,
    before: Scores,
    found: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What is written after every arm: all but the scores of single queries."""
    return {
        "commit": commit(),
        "versions": versions(),
        "machine": machine("cpu"),
        "steps": options.steps,
        "seed": options.seed,
        "base": {task: float(kept[MEASURE].mean()) for task, kept in before.items()},
        "queries": {task.name: len(task.queries) for task in prepared.test.tasks},
        "arms": {
            name: {key: value for key, value in arm.items() if key != "scores"}
            for name, arm in found.items()
        },
    }


def _documents(options: argparse.Namespace) -> list[Document]:
    """The training part of the demo's documents; read once."""
    kept = options.work / "documents.jsonl"
    if not kept.exists():
        documents = read_documents(options.docs).documents
        learned = split_documents(documents, options.seed).train
        save_documents([document for document in documents if document.id in learned], kept)
    return load_documents(kept)


def _every_passage(documents: list[Document], prepared: Prepared) -> list[Pair]:
    """The pairs, with all passages of a section as answers to its heading."""
    within = [document for document in documents if document.id in prepared.split.train]
    learned = [piece for piece in passages(within) if piece.id in prepared.texts]
    asked = {query for task in prepared.test.tasks for query in task.queries.values()}
    answers = [pair for pair in structure_pairs(within, learned) if pair.query not in asked]
    return [*answers, *(pair for pair in prepared.pairs if pair.task == CLOZE)]


def _trained(
    arm: Arm, pairs: list[Pair], prepared: Prepared, options: argparse.Namespace, folder: Path
) -> Scores:
    """Scores of every query after an arm's training, which continues where it was interrupted."""
    tasks = by_task(pairs, BATCH, options.seed)
    rows = compose(tasks, prepared.texts, BATCH, options.steps, options.seed)
    if arm.mined:
        rows = _with_negatives(rows, options)
    model = load("minilm", "cpu")
    reads = model.max_seq_length
    model.max_seq_length = LENGTH
    objective = Contrastive(model, temperature=TEMPERATURE, **arm.terms())
    folder = folder / str(options.steps)
    fine_tune(
        objective,
        rows,
        BATCH,
        folder,
        learning_rate=options.learning_rate,
        seconds_per_step=5.0,
        seed=options.seed,
    )
    model.max_seq_length = reads
    return prepared.test.score(prepared.test.rank(model))


def _with_negatives(rows: Dataset, options: argparse.Namespace) -> Dataset:
    """The rows with negatives that the base takes for answers, none too near to its positive."""
    kept = options.work / f"negatives-{options.steps}.json"
    if not kept.exists():
        corpus = list(dict.fromkeys(rows["positive"]))
        numbers = {text: number for number, text in enumerate(corpus)}
        same: dict[int, list[int]] = {}
        for text, label in zip(rows["positive"], rows["label"], strict=True):
            same.setdefault(label, []).append(numbers[text])
        model = load("minilm", "cpu")
        model.max_seq_length = LENGTH
        mined = mine_hard_negatives(
            DenseRanker(model, corpus),
            list(rows["anchor"]),
            [same[label] for label in rows["label"]],
            corpus,
            ranks=(5, 100),
            n=NEGATIVES,
            choose="random",
            seed=options.seed,
        )
        write_json(kept, [[corpus[n] for n in column] for column in mined.negatives.T.tolist()])
    for number, column in enumerate(read_json(kept), 1):
        rows = rows.add_column(f"negative_{number}", column)
    return rows


def _gain(scores: Scores, before: Scores) -> dict[str, float]:
    differences = [scores[task][MEASURE] - before[task][MEASURE] for task in before]
    return paired_bootstrap(differences).to_dict()


def _over(ours: Mapping[str, list[float]], plain: Mapping[str, list[float]]) -> dict[str, float]:
    differences = [np.subtract(ours[task], plain[task]) for task in plain]
    return paired_bootstrap(differences).to_dict()


def _table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="nDCG@10 on packages held out of the demo's training part, points")
    tasks = list(found[PLAIN]["tasks"]) if PLAIN in found else []
    table.add_column("arm", no_wrap=True)
    for column in ("mean", "over plain", *tasks, "minutes"):
        table.add_column(column, justify="right")
    for name, arm in found.items():
        over = arm.get("over plain")
        told = (
            ""
            if over is None
            else "{value:+.1f} [{low:+.1f}, {high:+.1f}]".format(
                **{key: 100 * value for key, value in over.items()}
            )
        )
        scores = [f"{100 * arm['tasks'][task]:.1f}" for task in tasks]
        table.add_row(name, f"{100 * arm['mean']:.1f}", told, *scores, f"{arm['seconds'] / 60:.1f}")
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", default="python:")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("demo/terms"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
