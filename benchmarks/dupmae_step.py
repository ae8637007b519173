"""Seconds of one pre-training step of RetroMAE and DupMAE beside masked language modelling, on the same texts.

Texts are passages of one package's documentation. Each way does one forward and backward pass of the same model over
the same batch, with its update, in turns; what counts is how many times longer than masked language modelling it takes.
The goal is at most 2.2 for DupMAE: a decoder layer and two more passes through the vocabulary are to be had for that.
By counting operations it cannot be reached by MiniLM, whose vocabulary is as large as its layers (2.8), and is by BERT
of the base size (1.6), the paper's.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec import load
from polyvec.data.passages import passages
from polyvec.data.python_packages import read_packages
from polyvec.encoders.small_encoder import small_encoder
from polyvec.objectives.dupmae import DupMAE
from polyvec.objectives.masked_language import MaskedLanguage
from polyvec.objectives.retromae import RetroMAE
from polyvec.training.batch_loss import batch_loss

PEER = "masked language modelling"
GOAL = 2.2


def main() -> None:
    options = _options()
    model = _encoder(options)
    texts = _texts(options.package, options.batch)
    ways: dict[str, nn.Module] = {
        PEER: MaskedLanguage(model, share=0.3),
        "RetroMAE": RetroMAE(model),
        "DupMAE": DupMAE(model),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, objective in ways.items():
            taken = _step(objective, texts)
            if number:  # the first round pays for memory and kernels
                seconds[name].append(taken)
    peer = statistics.median(seconds[PEER])
    print(
        f"{options.encoder}, {options.batch} texts of at most {options.length} tokens, {options.device}"
    )
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"  {name:>25}: {middle:6.3f} s, {middle / peer:4.2f} x")
    times = statistics.median(seconds["DupMAE"]) / peer
    print(f"  goal: DupMAE at most {GOAL} x, {'reached' if times <= GOAL else 'missed'}")


def _encoder(options: argparse.Namespace) -> SentenceTransformer:
    """MiniLM, or a BERT of the base size, which the paper pre-trains, with random weights and the same vocabulary."""
    model = load("minilm", options.device)
    model.max_seq_length = options.length
    if options.encoder == "minilm":
        return model
    size = {"layers": 12, "hidden": 768, "length": options.length, "seed": 0}
    return small_encoder(model.tokenizer, **size).to(options.device)


def _step(objective: nn.Module, texts: list[str]) -> float:
    start = time.perf_counter()
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.0)
    batch_loss(objective, [texts]).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _texts(package: str, count: int) -> list[str]:
    found = [piece.text for piece in passages(read_packages([package]).documents)]
    return random.Random(0).sample(found, count)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", choices=("minilm", "bert-base"), default="minilm")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--package", default="scipy")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
