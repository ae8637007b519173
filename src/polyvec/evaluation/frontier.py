"""What a model loses when it gets smaller: quality beside time and bytes, size by size.

A size is a number of layers and of dimensions (2D Matryoshka, Li et al. 2024, arXiv:2402.14776; Starbucks, Zhuang et
al. 2024, arXiv:2410.13230), and vectors of each size may be stored as float32, int8 or bits. The model is really cut at
every number of layers, timed and saved; the exam's vectors are then cut to each number of dimensions, which gives what
the cut model gives. Cutting dimensions takes no time that could be measured, so times are those of the depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize

from polyvec.compression.cost import Latency, latency, saved_bytes
from polyvec.compression.truncation import truncate
from polyvec.console import console
from polyvec.encoders.layer_vectors import layer_count
from polyvec.encoders.quantised_vectors import KINDS, Quantiser
from polyvec.errors import BadInput
from polyvec.evaluation.bootstrap import paired_bootstrap
from polyvec.evaluation.exam import Exam, Scores, TextVectors, mean_over_tasks
from polyvec.machine import processor
from polyvec.objectives.elastic_schedule import Size, starbucks_sizes

MEASURE = "ndcg@10"
FLOAT = "float32"
STORED = (FLOAT, *KINDS)
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Point:
    """One size, with its vectors stored in one way.

    Attributes:
        model: whose it is.
        layers: kept.
        dims: kept.
        stored: ``float32``, ``int8`` or ``binary``.
        model_bytes: of all files of the cut model.
        vector_bytes: of one stored vector.
        ms_1: milliseconds of a text of 64 tokens alone.
        ms_32: of 32 such texts in a batch.
        quality: mean nDCG@10 of the exam; None where there is no exam.
        change: ``value``, ``low`` and ``high`` of the quality minus that of the first model at full size.
        best: no other point finds as much with as few layers and bytes.
    """

    model: str
    layers: int
    dims: int
    stored: str
    model_bytes: int
    vector_bytes: int
    ms_1: float
    ms_32: float
    quality: float | None = None
    change: Mapping[str, float] | None = None
    best: bool = False


def grid(layers: int, width: int) -> list[Size]:
    """Sizes to look at where nobody says which: the depths and widths of Starbucks' sizes, in every combination.

    Example:
        >>> grid(2, 64)
        [(1, 32), (1, 64), (2, 32), (2, 64)]
    """
    named = _starbucks(layers, width).values()
    depths, widths = ({size[part] for size in named} for part in (0, 1))
    return [(layer, dim) for layer in sorted(depths) for dim in sorted(widths)]


def trained_sizes(model: SentenceTransformer) -> dict[str, Size]:
    """The sizes that the elastic preset ``starbucks`` trains of a model, by name: six, or as many as it has layers."""
    return _starbucks(layer_count(model), int(model.get_embedding_dimension() or 0))


def _starbucks(layers: int, width: int) -> dict[str, Size]:
    return starbucks_sizes(layers, width, min(6, layers), min(32, width))


def frontier(
    models: Mapping[str, SentenceTransformer],
    sizes: Sequence[Size],
    exam: Exam | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure models at several sizes.

    Args:
        models: name → model; each has all of the sizes. What is lost is counted from the first at its full size, which
            is measured whether asked for or not.
        sizes: layers and dimensions.
        exam: judges; None measures cost alone.
        seed: of the intervals.

    Returns:
        ``points``, each a `Point` as plain JSON, model by model and the largest first; ``measure``; and ``machine``, on
        which it was timed.

    Raises:
        BadInput: when a model is no transformer or lacks a size.
    """
    points: list[Point] = []
    full: Scores | None = None
    for name, model in models.items():
        whole = (layer_count(model), int(model.get_embedding_dimension() or 0))
        wanted = sorted({*sizes, whole} if not points else set(sizes), reverse=True)
        _refuse_missing(wanted, whole)
        for layers in dict.fromkeys(layer for layer, _ in wanted):
            dims = [dim for layer, dim in wanted if layer == layers]
            cut = truncate(model, layers=layers)
            found = []
            for point, scores in _at_depth(name, cut, dims, exam):
                if scores:
                    full = full or scores
                    point = replace(point, **_quality(scores, full, seed))
                found.append(point)
            console.print(f"  {_in_words(found[0])}", highlight=False)
            points += found
    return {
        "measure": MEASURE,
        "machine": f"{processor()}, threads: {torch.get_num_threads()}",
        "points": [asdict(point) for point in _marked(points)],
    }


def _refuse_missing(sizes: Sequence[Size], whole: Size) -> None:
    for layers, dims in sizes:
        if not (1 <= layers <= whole[0] and 1 <= dims <= whole[1]):
            raise BadInput(
                f"size ({layers}, {dims}): give 1 to {whole[0]} layers and 1 to {whole[1]} dimensions"
            )


def _at_depth(
    name: str, cut: SentenceTransformer, dims: Sequence[int], exam: Exam | None
) -> Iterator[tuple[Point, Scores | None]]:
    """Every width and way of storing at one depth, and what the exam says of each."""
    # First, for a tokenizer that was used writes down how it last padded.
    layers, sizes = layer_count(cut), _bytes(cut, dims)
    time = latency(cut)
    queries, passages = exam.embed(cut, show_progress=True) if exam else ({}, {})
    for dim in dims:
        asked, kept = _cut(queries, dim), _cut(passages, dim)
        for stored in STORED:
            scores = exam.score(exam.rank_vectors(asked, stored_as(kept, stored))) if exam else None
            yield _point(name, layers, dim, stored, sizes[dim], time), scores


def _point(name: str, layers: int, dim: int, stored: str, size: int, time: Latency) -> Point:
    return Point(
        model=name,
        layers=layers,
        dims=dim,
        stored=stored,
        model_bytes=size,
        vector_bytes=4 * dim if stored == FLOAT else _bytes_of(stored, dim),
        ms_1=time.one,
        ms_32=time.thirty_two,
    )


def _bytes_of(stored: str, dim: int) -> int:
    return Quantiser("int8" if stored == "int8" else "binary", dim).bytes_per_vector


def _bytes(cut: SentenceTransformer, dims: Sequence[int]) -> dict[int, int]:
    """Width → bytes of the model's files. The transformer, which is the same for all, is written once."""
    whole, rest = saved_bytes(cut), saved_bytes(_without_body(cut))
    return {dim: whole - rest + saved_bytes(_without_body(truncate(cut, dims=dim))) for dim in dims}


def _without_body(model: SentenceTransformer) -> SentenceTransformer:
    return SentenceTransformer(modules=deepcopy(list(model)[1:]), device="cpu")


def _cut(vectors: TextVectors, dim: int) -> TextVectors:
    return {text: normalize(vector[:dim], dim=0) for text, vector in vectors.items()}


def stored_as(vectors: TextVectors, stored: str) -> TextVectors:
    """What is left of vectors when they are stored in few bytes: what the bytes stand for.

    Args:
        vectors: of unit length. The range of int8 is learned from them, as whoever stores them does.
        stored: ``float32``, ``int8`` or ``binary``.
    """
    if stored == FLOAT or not vectors:
        return vectors
    matrix = torch.stack(list(vectors.values())).numpy().astype(np.float32)
    quantiser = Quantiser.fit(stored, matrix)
    found = torch.from_numpy(quantiser.decode(quantiser.encode(matrix)))
    return dict(zip(vectors, found, strict=True))


def _quality(scores: Scores, full: Scores, seed: int) -> dict[str, Any]:
    differences = [scores[task][MEASURE] - full[task][MEASURE] for task in scores]
    change = paired_bootstrap(differences, seed, _RESAMPLES).to_dict()
    return {"quality": mean_over_tasks(scores)[MEASURE], "change": change}


def by_size(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The points of a frontier, a row a size: what its ways of storing share, and ``stored``: way → its point."""
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    for point in found["points"]:
        key = (point["model"], point["layers"], point["dims"])
        row = rows.setdefault(key, {**point, "stored": {}})
        row["stored"][point["stored"]] = point
    return list(rows.values())


def _marked(points: Sequence[Point]) -> list[Point]:
    return [
        replace(point, best=not any(_beats(other, point) for other in points)) for point in points
    ]


def _beats(one: Point, other: Point) -> bool:
    """Whether a point finds as much with as little, and is better in one of these.

    Layers stand for time, without its noise.
    """
    if one.quality is None or other.quality is None:
        return False
    ours, theirs = (
        (point.quality or 0.0, -point.layers, -point.vector_bytes) for point in (one, other)
    )
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))


def _in_words(point: Point) -> str:
    words = f"{point.model}, {point.layers} layers: {point.ms_1:.1f} ms a text"
    if point.quality is None:
        return words
    return f"{words}, {100 * point.quality:.1f} points with {point.dims} dimensions"
