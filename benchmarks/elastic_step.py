"""Seconds of one elastic training step beside the plain step, and beside sentence-transformers' Matryoshka2dLoss.

Pairs are headings and texts of one package's documentation. Each way does one forward and backward pass of the same
model over the same batch, with its update, in turns; what counts is how many times longer than the plain contrastive
step it takes. The goal is at most 1.35 for Starbucks: all of its sizes come from one forward pass, so a size costs its
pooling, its scores and the way back through layers that are walked anyway. The peer is set up as its documentation
recommends: one layer and one width more in each step, over the same kind of loss.

    python benchmarks/elastic_step.py                       # two minutes on two cores
    python benchmarks/elastic_step.py --encoder bert-base
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    Matryoshka2dLoss,
    MultipleNegativesRankingLoss,
)
from torch import nn

from polyvec import load
from polyvec.data.passages import passages
from polyvec.data.python_packages import read_packages
from polyvec.data.structure_pairs import structure_pairs
from polyvec.encoders.small_encoder import small_encoder
from polyvec.files import write_json
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.elastic import elastic
from polyvec.recipes.measuring import commit, machine, versions
from polyvec.training.batch_loss import batch_loss

PLAIN = "plain"
STARBUCKS = "Starbucks"
PEER = "Matryoshka2dLoss"
GOAL = 1.35


def main() -> None:
    options = _options()
    model = _encoder(options)
    columns = _pairs(options.package, options.batch)
    ways = _ways(model)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, objective in ways.items():
            taken = _step(objective, columns)
            if number:  # the first round pays for memory and kernels
                seconds[name].append(taken)
    times = {
        name: statistics.median(f) / statistics.median(seconds[PLAIN])
        for name, f in seconds.items()
    }
    Console(width=110).print(_table(seconds, times, options))
    reached = "reached" if times[STARBUCKS] <= GOAL else "missed"
    print(f"goal: {STARBUCKS} at most {GOAL} x, {reached}")
    write_json(
        options.out,
        {
            "commit": commit(),
            "versions": versions(),
            "machine": machine(options.device) | {"threads": torch.get_num_threads()},
            **{name: getattr(options, name) for name in ("encoder", "batch", "length", "package")},
            "seconds": seconds,
            "times the plain step": times,
            "goal": GOAL,
        },
    )


def _table(
    seconds: Mapping[str, list[float]], times: Mapping[str, float], options: argparse.Namespace
) -> Table:
    table = Table(
        title=f"{options.encoder}, {options.batch} pairs of at most {options.length} tokens, "
        f"{options.device}, {torch.get_num_threads()} threads"
    )
    table.add_column("objective", no_wrap=True)
    table.add_column("seconds a step", justify="right")
    table.add_column("times the plain step", justify="right")
    for name, found in seconds.items():
        table.add_row(name, f"{statistics.median(found):.3f}", f"{times[name]:.2f}")
    return table


def _ways(model: SentenceTransformer) -> dict[str, nn.Module]:
    width = int(model.get_embedding_dimension() or 0)
    halves = [width >> power for power in range(5) if width >> power >= 8]
    return {
        PLAIN: Contrastive(model),
        STARBUCKS: elastic(model, Contrastive(model), "starbucks"),
        "2D Matryoshka": elastic(model, Contrastive(model), "2dmse"),
        "MultipleNegativesRankingLoss": MultipleNegativesRankingLoss(model),
        PEER: Matryoshka2dLoss(model, MultipleNegativesRankingLoss(model), halves),
    }


def _encoder(options: argparse.Namespace) -> SentenceTransformer:
    """MiniLM, or a BERT of the base size with random weights and the same vocabulary; neither drops out."""
    model = load("minilm", options.device)
    model.max_seq_length = options.length
    if options.encoder == "bert-base":
        size = {"layers": 12, "hidden": 768, "length": options.length, "seed": 0}
        model = small_encoder(model.tokenizer, **size).to(options.device)
    return model.eval()


def _step(objective: nn.Module, columns: list[list[str]]) -> float:
    start = time.perf_counter()
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.0)
    batch_loss(objective, columns).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _pairs(package: str, count: int) -> list[list[str]]:
    documents = read_packages([package]).documents
    pieces = list(passages(documents))
    texts = {piece.id: piece.text for piece in pieces}
    found = [pair for pair in structure_pairs(documents, pieces) if pair.passage in texts]
    chosen = random.Random(0).sample(found, count)
    return [[pair.query for pair in chosen], [texts[pair.passage] for pair in chosen]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", choices=("minilm", "bert-base"), default="minilm")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--package", default="scipy")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
