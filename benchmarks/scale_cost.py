"""What a million passages cost on this machine, and, by arithmetic from there, ten million and a thousand million.

Every stage is measured by itself: reading and cutting documents, encoding their passages, committing them to an index
that grows, its graph for approximate search, a small addition to it, and questions. Documents are installed Python
packages, taken again under new ids until there are enough; a copy's vectors are its original's with noise that leaves
a cosine of about 0.8, as no two passages of a large collection are the same. Each size is measured in a process of its
own, so that its peak memory is its own.

    python benchmarks/scale_cost.py                         # about an hour on two cores
    python benchmarks/scale_cost.py --passages 25000 100000
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from polyvec import load
from polyvec.encoders.encoding import encode
from polyvec.encoders.token_batches import Vectors
from polyvec.files import write_json
from polyvec.recipes.measuring import commit, machine, measured, versions
from polyvec.search.changes import COMMIT, read
from polyvec.search.hits import Found
from polyvec.search.index import Index
from polyvec.search.lance_table import NAME, PassageTable
from polyvec.search.passage_rows import DocumentRows

MODEL = "minilm"
NEARNESS = 0.8
"""Cosine of a copy's vector and its original's."""
K, QUESTIONS = 10, 100
SIZES = {"1 million": 1, "10 million": 10, "1,000 million": 1000}
MILLION, GIGABYTE = 1e6, 1e9


def main() -> None:
    options = _options()
    if options.one:
        print(json.dumps(_of_size(options.one, options)))
        return
    with tempfile.TemporaryDirectory(prefix="scale-cost-") as folder:
        options.vectors = Path(folder) / "vectors.npy"
        encoding = _reading_and_encoding(options)
        growing = {f"{size:,}": _in_a_process(size, options) for size in sorted(options.passages)}
    found: dict[str, Any] = {
        "commit": commit(),
        "versions": versions("lancedb"),
        "machine": machine("cpu") | {"threads": torch.get_num_threads()},
        "packages": options.packages,
        "encoding": encoding,
        "growing": growing,
        "by_arithmetic": _by_arithmetic(encoding, list(growing.values())[-1]),
    }
    for table in (_measured_table(growing), _arithmetic_table(found["by_arithmetic"])):
        Console(width=110).print(table)
    write_json(options.out, found)


def _reading_and_encoding(options: argparse.Namespace) -> dict[str, float]:
    """Documents to passages, and passages to vectors, which are kept for the processes that follow."""
    with measured() as reading:
        documents, _ = read(options.packages, None)
    texts = [row.text for one in documents for row in one.rows]
    model = load(MODEL, "cpu")
    encode(model, texts[:256], task="document")
    with measured() as encoding:
        vectors = encode(model, texts, task="document", normalize=True)
    np.save(options.vectors, np.asarray(vectors, np.float32))
    return {
        "passages": len(texts),
        "documents": len(documents),
        "characters_a_passage": sum(map(len, texts)) / len(texts),
        "reading_seconds": reading.wall_seconds,
        "reading_peak_mb": reading.peak_memory_mb,
        "encoding_seconds": encoding.wall_seconds,
        "encoding_peak_mb": encoding.peak_memory_mb,
    }


def _in_a_process(size: int, options: argparse.Namespace) -> dict[str, Any]:
    print(f"measuring: {size:,} passages", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--one", str(size), "--packages", options.packages]
    command += ["--vectors", str(options.vectors)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _of_size(size: int, options: argparse.Namespace) -> dict[str, Any]:
    """An index of so many passages: committed, asked, made approximate, asked again, and added to."""
    folder = Path(tempfile.mkdtemp(prefix="scale-cost-"))
    try:
        originals, _ = read(options.packages, None)
        model = load(MODEL, "cpu")
        vectors = np.load(options.vectors)
        place = folder / "grown.index"
        Index.build(place, _small_file(folder, "first"), model=model)
        table = PassageTable.open(place)
        assert table is not None
        with measured() as committing:
            _commit_copies(table, originals, vectors, size)
        with measured() as folding:
            table.fold_in()
        sought = _near(vectors[:: max(1, len(vectors) // QUESTIONS)][:QUESTIONS], seed=size)
        exact, exact_ms = _asked(table, sought, exact=True)
        words_ms = _words_asked(table, originals)
        everything = table.bytes()
        with measured() as graph:
            table.make_approximate()
        approximate, approximate_ms = _asked(table, sought, exact=False)
        with measured() as adding:
            Index.open(place, model=model).add(_small_file(folder, "second"))
        return {
            "passages": table.count(),
            "committing_seconds": committing.wall_seconds,
            "folding_seconds": folding.wall_seconds,
            "committing_peak_mb": max(committing.peak_memory_mb, folding.peak_memory_mb),
            "all_versions_bytes": everything,
            **_bytes_of_newest(place),
            "graph_seconds": graph.wall_seconds,
            "graph_peak_mb": graph.peak_memory_mb,
            "adding_seconds": adding.wall_seconds,
            "adding_peak_mb": adding.peak_memory_mb,
            "exact_ms": exact_ms,
            "approximate_ms": approximate_ms,
            "words_ms": words_ms,
            "recall_at_10": _recall(exact, approximate),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _near(vectors: Vectors, seed: int) -> Vectors:
    """Vectors whose cosine with the given ones is `NEARNESS`, but for chance."""
    noise = np.random.default_rng(seed).standard_normal(vectors.shape, dtype=np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    mixed = NEARNESS * vectors + np.sqrt(1 - NEARNESS**2, dtype=np.float32) * noise
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def _commit_copies(
    table: PassageTable, documents: Sequence[DocumentRows], vectors: Vectors, size: int
) -> None:
    """Documents and copies of them, `COMMIT` passages or somewhat more at a time, until there are ``size``."""
    done = 0
    for copy, batch, rows in _batches(documents):
        if done >= size:
            return
        part = vectors[rows]
        named = [_copied(one, copy) for one in batch]
        table.commit(named, _near(part, seed=done) if copy else part, [])
        done += len(part)


def _batches(
    documents: Sequence[DocumentRows],
) -> Iterator[tuple[int, list[DocumentRows], slice]]:
    """Number of the copy, its documents, and where the vectors of their rows are; again and again."""
    for copy in count():
        batch: list[DocumentRows] = []
        start = end = 0
        for document in documents:
            batch.append(document)
            end += len(document.rows)
            if end - start >= COMMIT or document is documents[-1]:
                yield copy, batch, slice(start, end)
                batch, start = [], end


def _copied(document: DocumentRows, copy: int) -> DocumentRows:
    rows = tuple(
        replace(row, id=f"{copy}/{row.id}", document=f"{copy}/{row.document}")
        for row in document.rows
    )
    return replace(document, document=f"{copy}/{document.document}", rows=rows)


def _bytes_of_newest(place: Path) -> dict[str, int]:
    """What the rows take, and the index over words and the graph over vectors."""
    table = lancedb.connect(place).open_table(NAME)
    indexes = {index.columns[0]: index.size_bytes for index in table.list_indices()}
    return {
        "rows_bytes": table.stats()["total_bytes"],
        "words_bytes": indexes["words"],
        "graph_bytes": indexes["vector"],
    }


def _small_file(folder: Path, name: str) -> str:
    file = folder / f"{name}.txt"
    file.write_text(f"The document {name}, of one passage.\n", "utf-8")
    return str(file)


def _asked(
    table: PassageTable, sought: Vectors, *, exact: bool
) -> tuple[list[list[Found]], list[float]]:
    """The nearest of each vector, and the milliseconds that took."""
    answers, times = [], []
    for vector in (*sought[:5], *sought):  # the first calls read files and pay for memory
        start = time.perf_counter()
        answers.append(table.nearest(vector, K, None, exact=exact))
        times.append(1000 * (time.perf_counter() - start))
    return answers[5:], times[5:]


def _words_asked(table: PassageTable, documents: Sequence[DocumentRows]) -> list[float]:
    """Milliseconds of questions in words: headings of documents."""
    headings = sorted({row.heading for one in documents for row in one.rows if row.heading})
    times = []
    for question in headings[:: max(1, len(headings) // QUESTIONS)][:QUESTIONS]:
        start = time.perf_counter()
        table.sharing_words(question, K, None)
        times.append(1000 * (time.perf_counter() - start))
    return times


def _recall(exact: Sequence[Sequence[Found]], found: Sequence[Sequence[Found]]) -> float:
    """Share of the nearest that the approximate search found."""
    shares = [
        len({one.row["id"] for one in true} & {one.row["id"] for one in ours}) / len(true)
        for true, ours in zip(exact, found, strict=True)
    ]
    return float(np.mean(shares))


def _by_arithmetic(
    encoding: dict[str, Any], largest: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """Hours of this machine and gigabytes for more passages, each proportional to their number.

    The graph's time and a question that compares with every vector are given as if they grew alike.
    """
    read_one = encoding["reading_seconds"] / encoding["passages"]
    encode_one = encoding["encoding_seconds"] / encoding["passages"]
    in_largest = largest["passages"]
    found = {}
    for name, millions in SIZES.items():
        passages = millions * MILLION
        share = passages / in_largest
        found[name] = {
            "reading_h": passages * read_one / 3600,
            "encoding_h": passages * encode_one / 3600,
            "committing_h": share
            * (largest["committing_seconds"] + largest["folding_seconds"])
            / 3600,
            "graph_h": share * largest["graph_seconds"] / 3600,
            "rows_gb": share * largest["rows_bytes"] / GIGABYTE,
            "words_gb": share * largest["words_bytes"] / GIGABYTE,
            "graph_gb": share * largest["graph_bytes"] / GIGABYTE,
            "exact_s": share * float(np.median(largest["exact_ms"])) / 1000,
        }
    return found


def _measured_table(growing: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="an index that grows, on this machine")
    table.add_column("", no_wrap=True)
    for size in growing:
        table.add_column(size, justify="right")
    lines: dict[str, Callable[[dict[str, Any]], str]] = {
        "committing, s": lambda one: f"{one['committing_seconds'] + one['folding_seconds']:,.0f}",
        "graph, s": lambda one: f"{one['graph_seconds']:,.0f}",
        "graph, peak MB": lambda one: f"{one['graph_peak_mb']:,.0f}",
        "one document more, s": lambda one: f"{one['adding_seconds']:.1f}",
        "one document more, peak MB": lambda one: f"{one['adding_peak_mb']:,.0f}",
        "rows, words, graph, MB": lambda one: ", ".join(
            f"{one[f'{part}_bytes'] / MILLION:,.0f}" for part in ("rows", "words", "graph")
        ),
        "all versions, MB": lambda one: f"{one['all_versions_bytes'] / MILLION:,.0f}",
        "exact p50 / p99, ms": lambda one: _percentiles(one["exact_ms"]),
        "approximate p50 / p99, ms": lambda one: _percentiles(one["approximate_ms"]),
        "words p50 / p99, ms": lambda one: _percentiles(one["words_ms"]),
        "recall@10": lambda one: f"{one['recall_at_10']:.4f}",
    }
    for line, shown in lines.items():
        table.add_row(line, *(shown(one) for one in growing.values()))
    return table


def _percentiles(milliseconds: Sequence[float]) -> str:
    middle, last = np.percentile(milliseconds, [50, 99])
    return f"{middle:,.1f} / {last:,.1f}"


def _arithmetic_table(sizes: dict[str, dict[str, float]]) -> Table:
    table = Table(title="by arithmetic from the largest")
    table.add_column("passages", no_wrap=True)
    for name in next(iter(sizes.values())):
        what, _, unit = name.rpartition("_")
        table.add_column(f"{what}, {unit.replace('gb', 'GB')}", justify="right")
    for name, numbers in sizes.items():
        table.add_row(name, *(f"{number:,.2f}" for number in numbers.values()))
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", default="python:numpy,scipy", help="documents, as in adapt")
    parser.add_argument("--passages", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--vectors", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
