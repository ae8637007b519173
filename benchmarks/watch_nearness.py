"""Which rule for "near" a standing query can do with as it stands, whatever model made the vectors.

Cranfield (where POLYVEC_DATA names a folder that holds it): one document in five is new, and each query is told of what
is near. Counted are the share of the relevant new documents that are told, the share of what is told that is relevant,
and how many documents a query is told of. The models are one, and the same with its first layers and
numbers only, since what a rule is worth must not depend on the model; documents are drawn anew for every seed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from polyvec.compression.truncation import truncate
from polyvec.data.smart import read_cranfield
from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load
from polyvec.files import write_json
from polyvec.recipes.measuring import commit, machine, versions
from polyvec.search.index import Index

RANKS = (5, 10, 20, 50)
COSINES = (0.3, 0.4, 0.5, 0.6, 0.7)
NEW = 0.2
SEEDS = range(3)

Told = Callable[[set[str]], set[str]]


def main() -> None:
    options = _options()
    reading, judged = read_cranfield(Path(os.environ["POLYVEC_DATA"]) / "cranfield")
    folder = Path(tempfile.mkdtemp(prefix="watch-nearness-"))
    try:
        for document in reading.documents:
            (folder / "docs").mkdir(exist_ok=True)
            (folder / "docs" / f"{document.id}.txt").write_text(document.text)
        whole = load(options.model, "cpu")
        models = {
            options.model: whole,
            f"{options.model}, 3 layers": truncate(whole, layers=3),
            f"{options.model}, 2 layers, 64 numbers": truncate(whole, layers=2, dims=64),
        }
        relevant = {
            judged.queries[id]: {
                f"{document}.txt" for document, grade in grades.items() if grade > 0
            }
            for id, grades in judged.qrels.items()
        }
        results = {
            name: _measured(
                Index.build(folder / str(number), str(folder / "docs"), model=model), relevant
            )
            for number, (name, model) in enumerate(models.items())
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    Console(width=110).print(_table(results))
    write_json(
        options.out,
        {
            "commit": commit(),
            "versions": versions("lancedb"),
            "machine": machine("cpu"),
            "model": options.model,
            "results": results,
        },
    )


def _measured(index: Index, relevant: Mapping[str, set[str]]) -> dict[str, dict[str, float]]:
    """Rule → recall, precision and told."""
    rows = index.rows()
    documents = sorted({row["document"] for row in rows})
    draws = [
        set(random.Random(seed).sample(documents, int(NEW * len(documents)))) for seed in SEEDS
    ]
    counts: dict[str, list[tuple[int, int, int]]] = {}
    vectors = index.vectors()
    for query, wanted in relevant.items():
        for rule, near in _near(index, query, rows, vectors):
            for new in draws:
                told = near & new
                counts.setdefault(rule, []).append(
                    (len(told & wanted), len(told), len(new & wanted))
                )
    return {rule: _rates(np.array(found)) for rule, found in counts.items()}


def _near(index: Index, query: str, rows, vectors) -> Iterable[tuple[str, set[str]]]:
    """Each rule and the documents that it takes for near."""
    for mode in ("hybrid", "vectors"):
        hits = index.search(query, max(RANKS), mode)
        for k in RANKS:
            yield f"{mode}, {k} nearest", {hit.document for hit in hits[:k]}
    cosines = vectors @ encode(index.model, [query], task="query", normalize=True)[0]
    for least in COSINES:
        yield (
            f"cosine {least}",
            {rows[place]["document"] for place in np.flatnonzero(cosines >= least)},
        )


def _rates(counts) -> dict[str, float]:
    right, told, wanted = counts.sum(axis=0)
    return {
        "recall": float(right / wanted),
        "precision": float(right / max(told, 1)),
        "told": float(told / len(counts)),
    }


def _table(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    table = Table(
        title="found of the relevant new / right of what is told / documents told a query"
    )
    table.add_column("near is")
    for name in results:
        table.add_column(name, justify="right")
    for rule in next(iter(results.values())):
        rates = [result[rule] for result in results.values()]
        cells = (f"{r['recall']:.2f} / {r['precision']:.2f} / {r['told']:.1f}" for r in rates)
        table.add_row(rule, *cells)
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
