"""A smaller model on the disk, and what it costs: layers removed, vectors cut, vectors stored in fewer bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from polyvec.compression.truncation import truncate
from polyvec.encoders.layer_vectors import layer_count
from polyvec.encoders.loading import load, save
from polyvec.encoders.quantised_vectors import Quantiser, check_kind
from polyvec.errors import BadInput
from polyvec.evaluation.comparison import read_exam
from polyvec.evaluation.exam import Exam
from polyvec.evaluation.frontier import frontier, grid
from polyvec.evaluation.frontier_figure import frontier_picture
from polyvec.files import replace_folder, saying_when_full, write_json


def shrink(
    model: str | Path,
    *,
    layers: int | None = None,
    dims: int | None = None,
    quantise: str | None = None,
    on: str | Path | None = None,
    out: str | Path = "smaller",
    device: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Write a smaller model, and measure what sizes of it cost and find.

    Where a size is named (``layers``, ``dims`` or ``quantise``), the model of that size is written. Where an exam is
    given, the model is measured on it at up to six depths and six widths and at the size that is named.

    Args:
        model: as for `polyvec.load`; it begins with a transformer.
        layers: how many to keep; None keeps all.
        dims: how many numbers of a vector to keep; None keeps all.
        quantise: ``int8`` or ``binary``: how ``polyvec encode`` is to write this model's vectors. The range of int8 is
            that of the exam's passages.
        on: the output folder of `polyvec.adapt`, or a BEIR folder.
        out: folder of ``model``, ``frontier.json`` and, with an exam, ``frontier.png``.
        device: as for `polyvec.load`; times are those of this device.
        seed: of the intervals.

    Returns:
        The content of ``frontier.json``: see `polyvec.evaluation.frontier.frontier`; ``of`` and ``on``; and
        ``written``: the ``layers``, ``dims`` and ``quantise`` of the model that was written, or None.

    Raises:
        BadInput: when there is neither a size nor an exam, the model has no such size, or int8 has no texts to learn
            its range from.
    """
    named = any(value is not None for value in (layers, dims, quantise))
    if not named and on is None:
        raise BadInput(
            "give an exam to measure sizes on (--on), or a size to write: --layers, --dims or --quantise"
        )
    if quantise is not None:
        check_kind(quantise)
    if quantise == "int8" and on is None:
        raise BadInput("int8 learns the range of each dimension from texts: give them with --on")
    opened = load(model, device)
    whole = (layer_count(opened), int(opened.get_embedding_dimension() or 0))
    chosen = (layers or whole[0], dims or whole[1]) if named else None
    small = truncate(opened, layers=layers, dims=dims) if named else None
    exam = read_exam(Path(on)) if on is not None else None
    folder = Path(out)
    with saying_when_full(folder):
        if small is not None:
            _write(small, folder / "model", _quantiser(small, quantise, exam))
        sizes = [*(grid(*whole) if exam else []), *([chosen] if chosen else [])]
        found = {
            "of": str(model),
            "on": str(on) if on is not None else None,
            "written": dict(zip(("layers", "dims"), chosen, strict=True)) | {"quantise": quantise}
            if chosen
            else None,
            **frontier({str(model): opened}, sizes, exam, seed=seed),
        }
        if exam:
            frontier_picture(found, folder / "frontier.png")
        write_json(folder / "frontier.json", found)
    return found


def _quantiser(model: SentenceTransformer, kind: str | None, exam: Exam | None) -> Quantiser | None:
    if kind is None:
        return None
    if exam is None:
        return Quantiser.fit(kind, np.zeros((0, model.get_embedding_dimension() or 0), np.float32))
    _, passages = exam.embed(model, show_progress=True)
    return Quantiser.fit(kind, torch.stack(list(passages.values())).numpy())


def _write(model: SentenceTransformer, target: Path, quantiser: Quantiser | None) -> None:
    """Write the model's folder whole, in the place of an earlier one."""
    beside = target.with_name(".model.part")
    shutil.rmtree(beside, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    save(model, beside)
    if quantiser is not None:
        quantiser.save(beside)
    replace_folder(beside, target)
