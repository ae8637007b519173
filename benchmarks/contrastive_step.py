"""Seconds and memory of one contrastive step in batches beyond memory, beside sentence-transformers' cached loss.

Pairs are docstring summaries and code. Both embed them with the same model in parts, keep no activations and compute
them again on the way back (GradCache); both lose the same, to rounding. The peer takes the best of several sizes of its
parts, polyvec its defaults, and parts like the peer's smallest. A measurement is a process of its own, so that its peak
memory is its own; memory is what a step adds to the model and its input.

Then the loss alone: vectors of 13,334 anchors against 80,004 passages, which is PEG's (arXiv:2311.11691) batch.

    python benchmarks/contrastive_step.py                     # some hours on two cores
    python benchmarks/contrastive_step.py --batches 64 1024   # half an hour
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from torch import Tensor
from torch.nn.functional import normalize

from polyvec import load
from polyvec.data.passages import passages
from polyvec.data.python_packages import read_packages
from polyvec.data.structure_pairs import SUMMARY, structure_pairs
from polyvec.files import write_json
from polyvec.objectives.contrastive import Contrastive
from polyvec.recipes.measuring import commit, machine, versions
from polyvec.training.large_batch import plan_batch

PACKAGES = (
    *("docutils", "matplotlib", "networkx", "numpy", "pandas", "pygments", "rich"),
    *("scipy", "sklearn", "sympy", "torch", "transformers"),
)
OURS: dict[str, dict[str, int]] = {
    "polyvec": {},
    "polyvec, 512 tokens a part": {"chunk_tokens": 512},
}
LOSS = "loss alone"
PEERS: dict[str, dict[str, int]] = {
    "peer, 32 texts a part": {"mini_batch_size": 32},
    "peer, 64 texts a part": {"mini_batch_size": 64},
    "peer, 2,048 tokens a part": {"mini_batch_num_tokens": 2048},
}
WARM_UP, SEVERAL = 64, 5
"""Rows of the step before any is timed; a batch of no more is timed so often, a larger one once."""
LARGE = 4096
"""A batch from here on is measured with the defaults and the peer's best parts of the batch before only."""
ANCHORS, NEGATIVES, WIDTH = 13_334, 5, 384
Features = dict[str, Any]


def main() -> None:
    options = _options()
    if options.one:
        print(json.dumps(_measured(options.one, options)))
        return
    texts = _pairs(max(options.batches))
    steps: dict[str, dict[str, Any]] = {}
    ours, peers = list(OURS), list(PEERS)
    for batch in sorted(options.batches):
        if batch >= LARGE and steps:
            last = list(steps.values())[-1]
            ours = ours[:1]
            peers = [min(peers, key=lambda peer: last[peer]["seconds"])]
        part = [column[:batch] for column in texts]
        steps[f"{batch:,}"] = {way: _in_a_process(way, part, options) for way in (*ours, *peers)}
        Console(width=110).print(_table(steps))
    alone = _in_a_process(LOSS, [], options)
    print(
        f"The loss alone, {ANCHORS:,} x {(1 + NEGATIVES) * ANCHORS:,} x {WIDTH}: "
        f"{alone['seconds']:.1f} s, {alone['added_mb']:,.0f} MB beside the vectors, "
        f"{alone['peak_mb']:,.0f} MB with them and the libraries"
    )
    write_json(
        options.out,
        {
            "commit": commit(),
            "versions": versions(),
            "machine": machine(options.device) | {"threads": torch.get_num_threads()},
            "model": "minilm",
            "length": options.length,
            "packages": PACKAGES,
            "steps": steps,
            LOSS: alone,
        },
    )


def _in_a_process(way: str, texts: list[list[str]], options: argparse.Namespace) -> dict[str, Any]:
    """Hand texts to another process: reading packages leaves memory behind that a step would use unseen."""
    rows = len(texts[0]) if texts else ANCHORS
    print(f"measuring: {way}, {rows:,} rows", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--one", way]
    command += ["--length", str(options.length), "--device", options.device]
    done = subprocess.run(
        command, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and memory of one way, in this process."""
    if way == LOSS:
        return _loss_alone(options.device)
    texts: list[list[str]] = json.load(sys.stdin)
    batch = len(texts[0])
    model = load("minilm", options.device)
    model.max_seq_length = options.length
    model.eval()  # without dropout, as polyvec trains
    step: Callable[[list[Features]], Tensor]
    if way in OURS:
        step = Contrastive(model, margin=None, recompute=True, **OURS[way])
    else:
        theirs = CachedMultipleNegativesRankingLoss(model, **PEERS[way])
        step = lambda features: theirs(features, None)  # noqa: E731
    before = psutil.Process().memory_info().rss / 2**20
    _step(model, step, [column[:WARM_UP] for column in texts])
    seconds, losses = [], []
    for _ in range(SEVERAL if batch <= WARM_UP else 1):
        start = time.perf_counter()
        losses.append(_step(model, step, texts))
        seconds.append(time.perf_counter() - start)
    peak = _peak_mb(options.device)
    found = {
        "seconds": statistics.median(seconds),
        "all_seconds": seconds,
        "loss": losses[0],
        "added_mb": peak - (0 if options.device.startswith("cuda") else before),
        "peak_mb": peak,
    }
    if way in OURS:
        tokens = [int(model.preprocess(column)["attention_mask"].sum()) for column in texts]
        plan = plan_batch(model, options.length, batch)
        found |= {"tokens": sum(tokens), "planned_mb": plan.bytes / 2**20}
    return found


def _step(
    model: SentenceTransformer, step: Callable[[list[Features]], Tensor], texts: list[list[str]]
) -> float:
    """Forward and backward pass of one batch; the loss."""
    features = [
        {k: v.to(model.device) if isinstance(v, Tensor) else v for k, v in column.items()}
        for column in map(model.preprocess, texts)
    ]
    loss = step(features)
    loss.backward()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    model.zero_grad(set_to_none=True)
    return float(loss.detach())


def _loss_alone(device: str) -> dict[str, float]:
    """Forward and backward pass of the objective on vectors: positives near their anchors, the others nearer than by
    chance."""
    generator = torch.Generator().manual_seed(0)
    meaning = torch.randn(ANCHORS, WIDTH, generator=generator)
    columns = [
        normalize(meaning + spread * torch.randn(ANCHORS, WIDTH, generator=generator), dim=1)
        .to(device)
        .requires_grad_()
        for spread in (1.0, 1.0, *[2.0] * NEGATIVES)
    ]
    del meaning
    objective = Contrastive(load("minilm", device), temperature=0.02)
    before = psutil.Process().memory_info().rss / 2**20
    start = time.perf_counter()
    loss = objective.loss(columns[0], columns[1:])
    loss.backward()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    peak = _peak_mb(device)
    return {
        "seconds": seconds,
        "loss": float(loss.detach()),
        "added_mb": peak - (0 if device.startswith("cuda") else before),
        "peak_mb": peak,
    }


def _peak_mb(device: str) -> float:
    """The most memory this process has held."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _table(steps: dict[str, dict[str, Any]]) -> Table:
    table = Table(title=f"MiniLM, {torch.get_num_threads()} threads; memory that a step adds")
    table.add_column("rows", justify="right")
    table.add_column("loss by", no_wrap=True)
    for column in ("seconds", "faster", "MB", "of the best peer's", "loss"):
        table.add_column(column, justify="right")
    for rows, ways in steps.items():
        peers = [found for way, found in ways.items() if way not in OURS]
        fastest = min(found["seconds"] for found in peers)
        leanest = min(found["added_mb"] for found in peers)
        for way, found in ways.items():
            table.add_row(
                rows,
                way,
                f"{found['seconds']:.2f}",
                f"{fastest / found['seconds']:.2f} x",
                f"{found['added_mb']:,.0f}",
                f"{found['added_mb'] / leanest:.2f} x",
                f"{found['loss']:.4f}",
            )
        table.add_section()
    return table


def _pairs(count: int) -> list[list[str]]:
    """Summaries and code, no text twice; the same for every way."""
    documents = read_packages(PACKAGES).documents
    pieces = passages(documents)
    texts = {piece.id: piece.text for piece in pieces}
    found = {
        texts[pair.passage]: pair.query
        for pair in structure_pairs(documents, pieces)
        if pair.task == SUMMARY
    }
    distinct = {query: code for code, query in sorted(found.items())}
    chosen = random.Random(0).sample(sorted(distinct), count)
    return [chosen, [distinct[query] for query in chosen]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 1024, 16_384])
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a measurement in a process of its own
    return parser.parse_args()


if __name__ == "__main__":
    main()
