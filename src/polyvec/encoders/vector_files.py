"""Files of vectors, written in parts that survive a kill and joined at the end.

While a job runs, its finished parts lie in a folder beside the output (``F.parquet.parts``). The
job is written down with its parts and with the finished file, so that those of another model, input
or setting are never taken for it, and never overwritten unasked.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from polyvec.encoders import lance_files
from polyvec.encoders.quantised_vectors import Quantiser
from polyvec.errors import BadInput
from polyvec.files import read_json, write_bytes, write_json

Vectors = NDArray[np.float32] | NDArray[np.int8]
Job = dict[str, Any]

SUFFIXES = (".parquet", ".npy", ".lance")

_JOB = b"polyvec"


class Part(NamedTuple):
    """Texts that are encoded at once, their ids where what is written needs them, and a number to know them by."""

    number: int
    texts: Sequence[str]
    ids: Sequence[str] = ()


def content_of(
    out: Path, part: Part, vectors: NDArray[np.float32], quantiser: Quantiser | None
) -> bytes:
    """What stands for a part until all are there: its vectors, or the fragment of a Lance table that holds them."""
    stored = quantiser.encode(vectors) if quantiser else vectors
    if out.suffix == ".lance":
        return lance_files.write_fragment(str(out), part.ids, part.texts, stored)
    return npy_bytes(stored)


def npy_bytes(vectors: Vectors) -> bytes:
    """Vectors in numpy's format."""
    content = io.BytesIO()
    np.save(content, vectors, allow_pickle=False)
    return content.getvalue()


@dataclass(frozen=True, slots=True)
class Parts:
    """The finished parts of a job.

    Attributes:
        folder: where they lie.
        count: how many there will be.
        suffix: of the files that hold them: vectors, or the names of fragments of a Lance table.
    """

    folder: Path
    count: int
    suffix: str = ".npy"

    def missing(self) -> list[int]:
        """Numbers of the parts that are still to be made."""
        return [number for number in range(self.count) if not self._path(number).exists()]

    def save(self, number: int, content: bytes) -> None:
        """Write what stands for one part, whole or not at all."""
        write_bytes(self._path(number), content)

    def contents(self) -> Iterator[bytes]:
        """What stands for the parts, in order."""
        return (self._path(number).read_bytes() for number in range(self.count))

    def load(self) -> Iterator[Vectors]:
        """All parts, in order."""
        for number in range(self.count):
            try:
                yield np.load(self._path(number), allow_pickle=False)
            except (ValueError, EOFError):
                raise BadInput(f"{self._path(number)}: damaged; remove it and try again") from None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}{self.suffix}"


def open_parts(out: Path, job: Job, count: int, *, restart: bool) -> Parts:
    """Continue the job that writes ``out``, or begin it.

    Args:
        out: the file of vectors that the parts will become.
        job: what decides the vectors: names that a person understands, to plain values.
        count: parts in the job.
        restart: forget what an earlier run left, whatever it was.

    Raises:
        BadInput: when parts, or a finished file, of another job are there.
    """
    folder = _folder(out)
    manifest = folder / "job.json"
    if restart:
        forget_parts(out)
    elif manifest.exists():
        _check_same(folder, read_json(manifest), job)
    elif _is_there(out):
        _check_same(out, _job_of(out), job)
    write_json(manifest, job)
    return Parts(folder, count, ".json" if out.suffix == ".lance" else ".npy")


def is_finished(out: Path, job: Job) -> bool:
    """Whether ``out`` holds just the vectors of this job."""
    return _is_there(out) and _job_of(out) == job


def join_parts(parts: Parts, out: Path, job: Job, ids: Sequence[str], texts: Sequence[str]) -> None:
    """Make the finished file of all parts and put it in place in one step.

    A ``.parquet`` file has the columns ``id``, ``text`` and ``vector`` (a fixed-size list of numbers of
    the parts' type, float32 or int8). A ``.npy`` file is the matrix of that type; ``F.ids.json`` beside
    it has its rows' ids. A ``.lance`` table has the columns of a ``.parquet`` file.
    """
    if out.suffix == ".lance":
        lance_files.commit(str(out), job, parts.contents())
    elif out.suffix == ".parquet":
        with _put_in_place(out) as beside:
            _write_parquet(beside, parts, job, ids, texts)
    else:
        with _put_in_place(out) as beside:
            _write_npy(beside, parts, len(ids))
        write_json(_ids_path(out), {"job": job, "ids": list(ids)})


def forget_parts(out: Path) -> None:
    """Remove the parts of ``out``, if there are any."""
    shutil.rmtree(_folder(out), ignore_errors=True)


def _folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _ids_path(out: Path) -> Path:
    return out.with_suffix(".ids.json")


def _check_same(where: Path, found: Job | None, wanted: Job) -> None:
    if found is None:
        raise BadInput(f"{where}: is there, and not from this command; --restart replaces it")
    changed = [name for name in wanted if found.get(name) != wanted[name]]
    if changed:
        raise BadInput(
            f"{where}: made with another {', '.join(changed)}; give the same as before, "
            "another --out, or --restart to begin anew"
        )


def _job_of(out: Path) -> Job | None:
    """The job that wrote a finished file; None if the file is not one of ours."""
    if out.suffix == ".lance":
        return lance_files.job_of_table(str(out))
    try:
        if out.suffix == ".npy":
            return dict(read_json(_ids_path(out))["job"])
        return dict(json.loads(pq.read_schema(out).metadata[_JOB]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _is_there(out: Path) -> bool:
    # The fragments of a table that is not finished lie where it will be.
    return lance_files.is_table(str(out)) if out.suffix == ".lance" else out.exists()


@contextmanager
def _put_in_place(out: Path) -> Iterator[Path]:
    """A path beside ``out`` to write to; what is written there becomes ``out`` when it is whole."""
    beside = out.with_name(f".{out.name}.part")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)


def _write_parquet(
    path: Path, parts: Parts, job: Job, ids: Sequence[str], texts: Sequence[str]
) -> None:
    first = next(parts.load())
    dimensions = first.shape[1]
    vector = pa.list_(pa.from_numpy_dtype(first.dtype), dimensions)
    schema = pa.schema(
        [("id", pa.string()), ("text", pa.string()), ("vector", vector)],
        {_JOB: json.dumps(job).encode()},
    )
    start = 0
    # Vectors do not repeat, so a dictionary of them would only cost.
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for vectors in parts.load():
            stop = start + len(vectors)
            values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimensions)
            writer.write_batch(
                pa.record_batch(
                    [pa.array(ids[start:stop]), pa.array(texts[start:stop]), values], schema
                )
            )
            start = stop


def _write_npy(path: Path, parts: Parts, count: int) -> None:
    first = next(parts.load())
    shape = (count, first.shape[1])
    matrix = np.lib.format.open_memmap(path, mode="w+", dtype=first.dtype, shape=shape)
    start = 0
    for vectors in parts.load():
        matrix[start : start + len(vectors)] = vectors
        start += len(vectors)
    matrix.flush()
