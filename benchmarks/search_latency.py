"""How fast an index answers and how much of the nearest its approximate search finds, beside a flat index of faiss.

Packages of Python are asked with the headings of their own documentation, CISI (where POLYVEC_DATA names a folder that
holds it) with its queries. Times are of whole calls, the encoding of the query included, which is also given by itself;
faiss gets the same vectors and the same encoding, and returns no passages. Recall is of the ten
that faiss finds, by their cosines.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from polyvec.data.beir import write_beir
from polyvec.data.smart import read_cisi
from polyvec.encoders.encoding import encode
from polyvec.files import write_json
from polyvec.recipes.measuring import commit, machine, versions
from polyvec.search.index import Hit, Index
from polyvec.search.passage_rows import HEADINGS_APART

K = 10
ROUNDING = 1e-5
"""Cosines that differ by less are the same."""


def main() -> None:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="search-latency-"))
    try:
        results = {
            name: _measured(name, *data, options) for name, data in _sources(folder, options)
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, result in results.items():
        Console(width=110).print(_table(name, result))
    write_json(
        options.out,
        {
            "commit": commit(),
            "versions": versions("lancedb", "faiss-cpu"),
            "machine": machine(options.device) | {"threads": torch.get_num_threads()},
            "options": {**vars(options), "out": None},
            "results": results,
        },
    )


def _sources(folder: Path, options: argparse.Namespace):
    yield options.packages, (folder / "packages", options.packages, None)
    data = os.environ.get("POLYVEC_DATA")
    if data and (Path(data) / "cisi").is_dir():
        reading, judgements = read_cisi(Path(data) / "cisi")
        corpus = {one.id: (one.title, one.text) for one in reading.documents}
        write_beir(folder / "cisi-corpus", corpus, judgements.queries, judgements.qrels)
        queries = list(judgements.queries.values())
        yield "CISI", (folder / "cisi", str(folder / "cisi-corpus"), queries)


def _measured(
    name: str,
    path: Path,
    source: str,
    queries: Sequence[str] | None,
    options: argparse.Namespace,
) -> dict[str, Any]:
    start = time.perf_counter()
    index = Index.build(path, source, model=options.model, approximate=False, device=options.device)
    built = time.perf_counter() - start
    queries = _some(queries or _headings(index), options.queries, options.seed)
    vectors = index.vectors()
    start = time.perf_counter()
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    flat_built = time.perf_counter() - start

    def with_faiss(query: str) -> list[float]:
        vector = encode(index.model, [query], task="query", normalize=True)
        return flat.search(vector, K)[0][0].tolist()

    ways: dict[str, Callable[[str], Any]] = {
        "encoding the query only": lambda query: encode(index.model, [query], task="query"),
        "faiss flat": with_faiss,
        "vectors, exact": lambda query: index.search(query, K, "vectors", exact=True),
        "words": lambda query: index.search(query, K, "words"),
        "hybrid, exact": lambda query: index.search(query, K, exact=True),
    }
    found = {way: _asked(run, queries) for way, run in ways.items()}
    start = time.perf_counter()
    index = Index.build(path, source, approximate=True, device=options.device)
    approximate = time.perf_counter() - start
    later = {
        "vectors, approximate": lambda query: index.search(query, K, "vectors"),
        "hybrid, approximate": lambda query: index.search(query, K),
    }
    found |= {way: _asked(run, queries) for way, run in later.items()}
    return {
        "passages": len(vectors),
        "dimensions": vectors.shape[1],
        "queries": len(queries),
        "build_seconds": built,
        "approximate_build_seconds": approximate,
        "faiss_build_seconds": flat_built,
        "bytes": index.info()["bytes"],
        "milliseconds": {way: [1000 * s for s in seconds] for way, (seconds, _) in found.items()},
        "recall_at_10": {
            way: _recall(found["faiss flat"][1], found[way][1])
            for way in ("vectors, exact", "vectors, approximate")
        },
    }


def _recall(nearest: Sequence[Sequence[float]], answers: Sequence[Sequence[Hit]]) -> float:
    """Share of the hits that are as near as the last of the nearest: of equal passages any will do."""
    shares = [
        sum(hit.score >= cosines[-1] - ROUNDING for hit in hits) / len(cosines)
        for cosines, hits in zip(nearest, answers, strict=True)
    ]
    return float(np.mean(shares))


def _asked(run: Callable[[str], Any], queries: Sequence[str]) -> tuple[list[float], list[Any]]:
    for query in queries[:5]:  # the first calls read files and pay for memory
        run(query)
    seconds, answers = [], []
    for query in queries:
        start = time.perf_counter()
        answers.append(run(query))
        seconds.append(time.perf_counter() - start)
    return seconds, answers


def _headings(index: Index) -> list[str]:
    lowest = (row["heading"].split(HEADINGS_APART)[-1] for row in index.rows())
    return sorted({heading for heading in lowest if any(c.isalpha() for c in heading)})


def _some(queries: Sequence[str], count: int, seed: int) -> list[str]:
    return random.Random(seed).sample(list(queries), min(count, len(queries)))


def _table(name: str, result: dict[str, Any]) -> Table:
    table = Table(
        title=f"{name}: {result['passages']:,} passages, {result['queries']} queries; built in "
        f"{result['build_seconds']:.1f} s (encoding included), approximate {result['approximate_build_seconds']:.1f} s "
        f"more, faiss flat {result['faiss_build_seconds']:.2f} s; {result['bytes'] / 2**20:.1f} MiB"
    )
    table.add_column("way", no_wrap=True)
    for column in ("p50, ms", "p99, ms", "recall@10"):
        table.add_column(column, justify="right")
    for way, times in result["milliseconds"].items():
        recall = result["recall_at_10"].get(way)
        middle, last = np.percentile(times, [50, 99])
        table.add_row(
            way, f"{middle:.1f}", f"{last:.1f}", "" if recall is None else f"{recall:.4f}"
        )
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", default="python:numpy,scipy", help="documents, as in adapt")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
