"""Turning many texts into vectors, in memory or from file to file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from polyvec.console import console, progress_bar
from polyvec.encoders.loading import load, model_fingerprint
from polyvec.encoders.precision import Precision, dtype_for
from polyvec.encoders.quantised_vectors import FILE as QUANTISATION
from polyvec.encoders.quantised_vectors import Quantiser
from polyvec.encoders.text_rows import TextRows, read_rows
from polyvec.encoders.token_batches import (
    Settings,
    Task,
    Vectors,
    default_batch_tokens,
    encode_parts,
)
from polyvec.encoders.vector_files import (
    SUFFIXES,
    Part,
    content_of,
    forget_parts,
    is_finished,
    join_parts,
    open_parts,
)
from polyvec.errors import BadInput

if TYPE_CHECKING:
    from polyvec.encoders.ray_engine import RayJob

_PART = 2048
"""Texts between two savings: some 30 s of work on two CPU cores."""

_PROBES = 16
_AUTO_FROM = 256
"""Fewer texts than this are encoded in float32: measuring bfloat16 would cost what it saves."""

_PROMPT_NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}


def encode(
    model: SentenceTransformer,
    texts: Sequence[Any],
    *,
    prompt: str | None = None,
    task: Task | None = None,
    batch_tokens: int | None = None,
    normalize: bool = False,
    precision: Precision = "auto",
    show_progress: bool = False,
) -> Vectors:
    """Turn texts, or whatever else the model takes, into vectors.

    The values are those of ``model.encode`` (to 1e-5 in float32), and do not depend on what else is
    encoded in the same call. It is faster because texts of like length share a batch, each text is
    encoded once however often it occurs, and the next texts are tokenised while the model computes.

    Args:
        model: any sentence-transformers model; it computes where it is.
        texts: what the model takes; mostly strings.
        prompt: put before each text; by default the model's prompt for ``task``, or its default.
        task: ``query`` or ``document``, for models that treat them differently; as ``encode_query``
            and ``encode_document`` of sentence-transformers do.
        batch_tokens: most tokens in a batch, padding counted; by default 2,048 on a CPU (the
            fastest in benchmarks/encode.py), else 32,768.
        normalize: scale each vector to length 1.
        precision: number format inside the model. ``auto`` takes bfloat16 for 256 texts or more
            where the processor has it and 16 of them stay within cosine 0.9995 of float32.
        show_progress: show a progress bar.

    Returns:
        Shape (number of texts, dimensions), in the order of ``texts``.

    Raises:
        BadInput: when ``texts`` is a single string.

    Example:
        >>> from polyvec import load  # doctest: +SKIP
        >>> encode(load("minilm"), ["a cat", "a dog", "a cat"]).shape  # doctest: +SKIP
        (3, 384)
    """
    if isinstance(texts, str):
        raise BadInput("encode takes a list of texts, not a single one; give [text]")
    unique, places = _without_copies(texts)
    if not unique:
        return np.empty((0, model.get_embedding_dimension() or 0), np.float32)
    settings = _settings(
        model,
        unique,
        precision,
        batch_tokens=batch_tokens,
        normalize=normalize,
        prompt=prompt,
        task=task,
    )
    bar = progress_bar()
    bar.disable = not show_progress
    with bar:
        line = bar.add_task("encoding", total=len(unique))
        [vectors] = encode_parts(model, [unique], settings, partial(bar.advance, line))
    return vectors if len(unique) == len(texts) else vectors[places]


def encode_file(
    model: str | Path,
    source: str,
    out: str | Path,
    *,
    text_column: str | None = None,
    device: str = "auto",
    normalize: bool = False,
    precision: Precision = "auto",
    quantise: bool = True,
    restart: bool = False,
    engine: str = "local",
    address: str | None = None,
) -> None:
    """Encode the rows of a file, or documents from anywhere, into a file of vectors.

    Work is kept in parts of 2,048 texts: the same call after a kill continues with what is missing.

    Args:
        model: as for `polyvec.load`.
        source: a ``.txt`` file with a text a line, a ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet``
            table, or any source of documents that `polyvec.adapt` takes.
        out: ``F.parquet`` with the columns ``id``, ``text`` and ``vector``; or ``F.npy`` with the
            vectors and ``F.ids.json`` with the ids; or ``F.lance``, a Lance table with the columns of the first.
        text_column: the column of a table that holds the text; found by its name where None.
        device: as for `polyvec.load`.
        normalize: scale each vector to length 1.
        precision: as for `encode`.
        quantise: where the model's folder says that its vectors are kept as int8 or binary (``polyvec shrink``), scale
            them to length 1 and write them so; what turns them back stands with the job in the file. Give False for
            queries, which stay float32.
        restart: replace what is there, instead of continuing it.
        engine: ``local`` encodes in this process, ``ray`` on the workers of a cluster, which write ``F.lance`` where
            all of them see it.
        address: of the cluster, as ``ray.init`` takes it; by default Ray runs on this machine for the time.

    Raises:
        BadInput: when something cannot be read or written, or when ``out`` was begun with another
            model, input or setting.
    """
    from polyvec.encoders.ray_engine import RayJob, check_engine

    out = Path(out)
    check_engine(engine, address)
    if out.suffix not in SUFFIXES:
        raise BadInput(
            f"{out}: cannot write {out.suffix or 'no suffix'}; give F.parquet, F.npy or F.lance"
        )
    if engine == "ray" and out.suffix != ".lance":
        raise BadInput(f"{out}: workers of Ray write a Lance table; give F.lance")
    rows = read_rows(source, text_column)
    if rows.skipped:
        first = rows.skipped[0]
        _say(f"{len(rows.skipped)} left out, the first: {first.where}: {first.reason}")
    opened = load(model, device)
    quantiser = _quantiser(model, opened) if quantise else None
    normalize = normalize or quantiser is not None
    job: dict[str, Any] = {
        "model": model_fingerprint(opened),
        "input": _digest(rows),
        "normalize": normalize,
        "precision": precision,
        "quantised": quantiser.to_dict() if quantiser else None,
    }
    if is_finished(out, job) and not restart:
        forget_parts(out)
        _say(f"{out} holds these vectors already")
        return
    try:
        if engine == "ray":
            given = str(Path(model).resolve()) if Path(model).is_dir() else str(model)
            ray_job = RayJob(given, job["model"], device, normalize=normalize, precision=precision)
            found = partial(_on_ray, ray_job, out, quantiser, address)
        else:
            settings = _settings(opened, rows.texts, precision, normalize=normalize)
            found = partial(_here, opened, out, settings, quantiser)
        _encode_missing(found, rows, out, job, restart)
    except OSError as error:
        place = error.filename or out
        raise BadInput(
            f"{place}: {error.strerror or error}; the same command continues once that is mended"
        ) from error


def _encode_missing(
    encoded: Callable[[Sequence[Part], Callable[[int], None]], Iterable[tuple[int, bytes]]],
    rows: TextRows,
    out: Path,
    job: dict[str, Any],
    restart: bool,
) -> None:
    """Have what is missing encoded, keep each part as it is finished, and join them."""
    spans = [slice(at, at + _PART) for at in range(0, len(rows.texts), _PART)]
    kept = open_parts(out, job, len(spans), restart=restart)
    parts = [Part(n, rows.texts[spans[n]], rows.ids[spans[n]]) for n in kept.missing()]
    done = len(rows.texts) - sum(len(part.texts) for part in parts)
    with progress_bar() as bar:
        line = bar.add_task("encoding", total=len(rows.texts), completed=done)
        for number, content in encoded(parts, partial(bar.advance, line)):
            kept.save(number, content)
    join_parts(kept, out, job, rows.ids, rows.texts)
    forget_parts(out)


def _here(
    model: SentenceTransformer,
    out: Path,
    settings: Settings,
    quantiser: Quantiser | None,
    parts: Sequence[Part],
    advance: Callable[[int], None],
) -> Iterator[tuple[int, bytes]]:
    found = encode_parts(model, [part.texts for part in parts], settings, advance)
    for part, vectors in zip(parts, found, strict=True):
        yield part.number, content_of(out, part, vectors, quantiser)


def _on_ray(
    job: RayJob,
    out: Path,
    quantiser: Quantiser | None,
    address: str | None,
    parts: Sequence[Part],
    advance: Callable[[int], None],
) -> Iterator[tuple[int, bytes]]:
    from polyvec.encoders.ray_engine import encode_on_ray

    place = out.absolute()
    sizes = {part.number: len(part.texts) for part in parts}

    def keep(part: Part, vectors: Vectors) -> bytes:
        return content_of(place, part, vectors, quantiser)

    for number, content in encode_on_ray(job, parts, keep, address=address):
        yield number, content
        advance(sizes[number])


def _quantiser(model: str | Path, opened: SentenceTransformer) -> Quantiser | None:
    """How a model's folder says that its vectors are kept; None for float32."""
    found = Quantiser.of_folder(Path(model).expanduser())
    width = opened.get_embedding_dimension()
    if found is not None and found.dims != width:
        raise BadInput(
            f"{Path(model) / QUANTISATION}: of vectors with {found.dims} numbers, and the model's have {width}; "
            "remove it"
        )
    return found


def _say(message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _digest(rows: TextRows) -> str:
    digest = hashlib.sha256()
    for row_id, text in zip(rows.ids, rows.texts, strict=True):
        digest.update(json.dumps([row_id, text]).encode())
    return digest.hexdigest()


def _settings(
    model: SentenceTransformer,
    texts: Sequence[Any],
    precision: Precision = "auto",
    *,
    batch_tokens: int | None = None,
    normalize: bool = False,
    prompt: str | None = None,
    task: Task | None = None,
) -> Settings:
    """Settle what `encode` leaves open, for this model, these texts and this processor."""
    return Settings(
        dtype=_dtype(model, texts, precision),
        batch_tokens=batch_tokens or default_batch_tokens(model.device),
        normalize=normalize,
        prompt=prompt_for(model, task) if prompt is None else prompt,
        task=task,
    )


def _without_copies(texts: Sequence[Any]) -> tuple[list[Any], NDArray[np.intp]]:
    """Each text once, and for each of ``texts`` its place there."""
    if not all(isinstance(text, str) for text in texts):
        return list(texts), np.arange(len(texts))
    first: dict[str, int] = {}
    places = np.fromiter((first.setdefault(text, len(first)) for text in texts), np.intp)
    return list(first), places


def prompt_for(model: SentenceTransformer, task: Task | None) -> str | None:
    """What a model wants before a query or a document: its own prompt for the task, else its default one."""
    names = (*_PROMPT_NAMES.get(task or "", ()), model.default_prompt_name or "")
    return next((model.prompts[name] for name in names if name in model.prompts), None)


def _dtype(model: SentenceTransformer, texts: Sequence[Any], precision: Precision) -> torch.dtype:
    probes = texts[:: len(texts) // _PROBES] if len(texts) >= _AUTO_FROM else ()
    return dtype_for(precision, model, probes)
