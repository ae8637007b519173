"""Adapt to Cranfield and CISI without labels; examine on their real queries, which nothing else sees.

Needs the folders `cranfield` and `cisi` in the folder that POLYVEC_DATA names. Prints a table a collection and
writes benchmarks/own_queries.json.

    POLYVEC_DATA=… python benchmarks/own_queries.py --minutes 5
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

import polyvec
from polyvec.adaptation.report import table
from polyvec.data.beir import write_beir
from polyvec.data.smart import read_cisi, read_cranfield
from polyvec.files import write_json

KEPT = ("mean", "gain", "gain_over_bm25", "retention", "cost", "kept", "why", "merge", "seed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--out", type=Path, default=Path("demo/own-queries"))
    options = parser.parse_args()
    data = os.environ.get("POLYVEC_DATA")
    if not data:
        sys.exit("POLYVEC_DATA: not set; it names the folder that holds cranfield/ and cisi/")
    found = {}
    for name, read in {"cranfield": read_cranfield, "cisi": read_cisi}.items():
        reading, judgements = read(Path(data) / name)
        corpus = {document.id: (document.title, document.text) for document in reading.documents}
        folder = options.out / name
        write_beir(folder, corpus, judgements.queries, judgements.qrels)
        result = polyvec.adapt(folder, minutes=options.minutes, out=options.out / f"{name}-adapted")
        Console().print(table(result.metrics))
        found[name] = {key: result.metrics[key] for key in KEPT}
    write_json(Path(__file__).with_suffix(".json"), found)


if __name__ == "__main__":
    main()
