"""Vectors as a Lance table, on disk or in object storage: written in fragments, which become the table in one commit.

Whoever encodes, this process or a worker of a cluster, writes a fragment where the table will be. Nobody sees it until
`commit` names all of them, in the order of the input, so the table is there whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from polyvec.errors import BadInput, MissingExtra

_JOB = b"polyvec"


def write_fragment(
    out: str, ids: Sequence[str], texts: Sequence[str], vectors: NDArray[Any]
) -> bytes:
    """Write rows where the table will be.

    Args:
        out: folder or URL of the table.
        ids: of the rows.
        texts: of the rows.
        vectors: shape (rows, numbers), float32 or int8.

    Returns:
        What `commit` has to be given.

    Raises:
        MissingExtra: when pylance is not installed.
    """
    _lance()
    from lance.fragment import write_fragments

    schema = _schema(vectors.shape[1], str(vectors.dtype))
    flat = pa.array(np.ascontiguousarray(vectors).ravel())
    values = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    rows = pa.table([pa.array(ids, pa.string()), pa.array(texts, pa.string()), values], schema)
    try:
        written = write_fragments(rows, out, schema=schema, mode="overwrite")
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_write(out, error) from error
    content = {
        "dimensions": vectors.shape[1],
        "type": str(vectors.dtype),
        "fragments": [fragment.to_json() for fragment in written],
    }
    return json.dumps(content).encode()


def commit(out: str, job: dict[str, Any], written: Iterable[bytes]) -> None:
    """Make the table of all fragments, in their order; what else lay there is removed.

    The table has the columns ``id``, ``text`` and ``vector`` (a fixed-size list), and the job in its schema.
    """
    lance = _lance()
    from lance.fragment import FragmentMetadata

    parts = [json.loads(one) for one in written]
    first = parts[0]
    schema = _schema(first["dimensions"], first["type"], job)
    fragments = [
        FragmentMetadata.from_json(json.dumps(one)) for part in parts for one in part["fragments"]
    ]
    try:
        lance.LanceDataset.commit(out, lance.LanceOperation.Overwrite(schema, fragments))
        # What an earlier table, or a run that was restarted, left there.
        lance.dataset(out).cleanup_old_versions(timedelta(0), delete_unverified=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_write(out, error) from error


def is_table(out: str) -> bool:
    """Whether there is a Lance table, whoever wrote it."""
    return _opened(out) is not None


def job_of_table(out: str) -> dict[str, Any] | None:
    """The job that wrote a table; None where there is none, or it is not one of ours."""
    table = _opened(out)
    held = None if table is None else (table.schema.metadata or {}).get(_JOB)
    return None if held is None else dict(json.loads(held))


def _opened(out: str) -> Any:
    lance = _lance()
    try:
        return lance.dataset(out)
    except (ValueError, OSError) as error:
        if "was not found" in str(error) or "Not found" in str(error):
            return None
        raise BadInput(f"{out}: cannot be read as a Lance table ({_first_line(error)})") from error


def _schema(dimensions: int, kind: str, job: dict[str, Any] | None = None) -> pa.Schema:
    vector = pa.list_(pa.from_numpy_dtype(np.dtype(kind)), dimensions)
    fields = [("id", pa.string()), ("text", pa.string()), ("vector", vector)]
    return pa.schema(fields, None if job is None else {_JOB: json.dumps(job).encode()})


def _cannot_write(out: str, error: Exception) -> BadInput:
    return BadInput(
        f"{out}: cannot be written ({_first_line(error)}); the same command continues once that is mended"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]


def _lance() -> Any:
    os.environ.setdefault("LANCE_LOG", "error")  # it warns of a table that is not there yet
    try:
        import lance
    except ImportError:
        raise MissingExtra("pylance", "scale") from None
    return lance
