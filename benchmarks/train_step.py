"""Seconds of one training step: chunks of like length beside sentence-transformers' own loss, on the same pairs.

Pairs are docstring summaries and code of one package. Each way does one forward and backward pass of the
same model over the same batch, without dropout, in turns; the ratio to the peer is what counts.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from polyvec import load
from polyvec.data.passages import passages
from polyvec.data.python_packages import read_packages
from polyvec.data.structure_pairs import SUMMARY, structure_pairs
from polyvec.objectives.contrastive import Contrastive

PEER = "sentence-transformers"
CHUNKS = (1024, 2048, 4096, 8192)


def main() -> None:
    options = _options()
    model = load("minilm", options.device)
    model.max_seq_length = options.length
    model.eval()
    columns = _pairs(options.package, options.batch)
    theirs = MultipleNegativesRankingLoss(model)
    ways: dict[str, Callable[[list[dict[str, Any]]], torch.Tensor]] = {
        PEER: lambda features: theirs(features, None)
    }
    for tokens in CHUNKS:
        ways[f"chunks of {tokens} tokens"] = Contrastive(model, chunk_tokens=tokens)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, way in ways.items():
            taken = _step(model, way, columns)
            if number:  # the first round pays for memory and kernels
                seconds[name].append(taken)
    peer = statistics.median(seconds[PEER])
    print(f"{options.batch} pairs of at most {options.length} tokens, {options.device}")
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"  {name:>22}: {middle:6.3f} s, {peer / middle:4.2f} x")


def _step(
    model: SentenceTransformer,
    way: Callable[[list[dict[str, Any]]], torch.Tensor],
    columns: list[list[str]],
) -> float:
    start = time.perf_counter()
    prepared = [model.preprocess(column) for column in columns]
    features = [
        {k: v.to(model.device) if isinstance(v, torch.Tensor) else v for k, v in column.items()}
        for column in prepared
    ]
    way(features).backward()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - start


def _pairs(package: str, count: int) -> list[list[str]]:
    documents = read_packages([package]).documents
    pieces = passages(documents)
    texts = {piece.id: piece.text for piece in pieces}
    pairs = [pair for pair in structure_pairs(documents, pieces) if pair.task == SUMMARY]
    chosen = random.Random(0).sample(pairs, count)
    return [[pair.query for pair in chosen], [texts[pair.passage] for pair in chosen]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--package", default="scipy")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
