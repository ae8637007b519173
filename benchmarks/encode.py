"""How fast polyvec.encode is beside model.encode of sentence-transformers, on docstrings of this machine.

Both run in turn in one process, with the same model, texts and number format (float32), the peer in
its standard batches of 32. Wall time is what a user waits for; processor time is steadier where
other programs run beside.
"""

from __future__ import annotations

import argparse
import ast
import random
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load
from polyvec.files import write_json
from polyvec.recipes.measuring import commit, machine, versions

PEER = "sentence-transformers"


class Run(NamedTuple):
    """Seconds of one run, and what came out of it."""

    wall: float
    processor: float
    vectors: np.ndarray


def main() -> None:
    options = _options()
    model = load(options.model, options.device)
    texts = _docstring_paragraphs(options.texts, options.seed)
    systems: dict[str, Callable[[], np.ndarray]] = {
        PEER: lambda: model.encode(texts, batch_size=32),
        "polyvec": lambda: encode(model, texts, precision="float32"),
    }
    for budget in options.budgets:
        systems[f"polyvec, {budget} tokens a batch"] = lambda budget=budget: encode(
            model, texts, batch_tokens=budget, precision="float32"
        )
    model.encode(texts[:32])  # the first batch pays for memory and kernels
    rounds = [{name: _timed(run) for name, run in systems.items()} for _ in range(options.rounds)]
    expected = rounds[0][PEER].vectors
    results = {
        name: {
            "wall_seconds": [runs[name].wall for runs in rounds],
            "processor_seconds": [runs[name].processor for runs in rounds],
            "largest_difference": float(np.abs(rounds[0][name].vectors - expected).max()),
        }
        for name in systems
    }
    Console(width=110).print(_table(results, model, texts))
    write_json(
        options.out,
        {
            "commit": commit(),
            "versions": versions("tokenizers"),
            "machine": machine(options.device) | {"threads": torch.get_num_threads()},
            **vars(options),
            "out": None,
            "results": results,
        },
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--budgets", type=int, nargs="*", default=[], help="batch_tokens to try")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def _docstring_paragraphs(count: int, seed: int) -> list[str]:
    """Whole docstrings and their paragraphs, of functions and classes of the installed packages."""
    files = sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))
    random.Random(seed).shuffle(files)
    texts: dict[str, None] = {}
    for file in files:
        for docstring in _docstrings(file):
            texts |= dict.fromkeys([docstring, *docstring.split("\n\n")])
        if len(texts) > 4 * count:
            break
    return random.Random(seed).sample([text for text in texts if text.strip()], count)


def _docstrings(file: Path) -> list[str]:
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
    return [docstring for docstring in found if docstring]


def _timed(run: Callable[[], np.ndarray]) -> Run:
    wall, processor = time.perf_counter(), time.process_time()
    vectors = run()
    return Run(time.perf_counter() - wall, time.process_time() - processor, vectors)


def _table(results: dict[str, Any], model: Any, texts: list[str]) -> Table:
    tokens = [len(row) for row in model.tokenizer(texts, truncation=True)["input_ids"]]
    low, middle, high = np.percentile(tokens, [10, 50, 90]).astype(int)
    table = Table(
        title=f"{len(texts)} texts of {low}, {middle}, {high} tokens (10th, 50th, 90th percentile), "
        f"{model.device}, {torch.get_num_threads()} threads; best of {len(results[PEER]['wall_seconds'])}"
    )
    table.add_column("system", no_wrap=True)
    for column in ("texts/s", "faster (wall)", "faster (processor)", "largest difference"):
        table.add_column(column, justify="right")
    base = results[PEER]
    for name, result in results.items():
        wall, processor = min(result["wall_seconds"]), min(result["processor_seconds"])
        table.add_row(
            name,
            f"{len(texts) / wall:.0f}",
            f"{min(base['wall_seconds']) / wall:.2f}x",
            f"{min(base['processor_seconds']) / processor:.2f}x",
            f"{result['largest_difference']:.1e}",
        )
    return table


if __name__ == "__main__":
    main()
