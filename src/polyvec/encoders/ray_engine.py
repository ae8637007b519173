"""Encoding on the workers of a Ray cluster, or of a Ray that runs on this machine for the time.

Each worker opens the model once and encodes lists of texts as `polyvec.encode` does. Ray Data starts a worker that died
again, and repeats the lists that were lost. What becomes of a list comes back to the process that asked, in any order,
so it is that process which notes what is finished.
"""

from __future__ import annotations

import io
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load, model_fingerprint
from polyvec.encoders.precision import Precision
from polyvec.encoders.token_batches import Task, Vectors
from polyvec.encoders.vector_files import Part, npy_bytes
from polyvec.errors import BadInput, MissingExtra

Engine = Literal["local", "ray"]

_PATIENCE = 10.0
"""Seconds until a cluster has to answer."""
_NO_CLUSTER = "no Ray cluster at {} ({}); give the address that ray start printed"

Keep = Callable[[Part, Vectors], bytes]
"""What a worker makes of the vectors of a part; it runs there, and its result comes back."""


@dataclass(frozen=True, slots=True)
class RayJob:
    """What a worker has to know.

    Attributes:
        model: short name, folder that all machines see, or name on the hub.
        fingerprint: of the model; a machine where another lies under that name is refused.
        device: as for `polyvec.load`, on the worker.
        task: as for `polyvec.encode`, like the two below.
        normalize: scale each vector to length 1.
        precision: number format inside the model.
    """

    model: str
    fingerprint: str
    device: str = "auto"
    task: Task | None = None
    normalize: bool = False
    precision: Precision = "auto"


def check_engine(engine: str, address: str | None) -> None:
    """Refuse an engine that is none, and a cluster that is not there.

    Raises:
        BadInput: for it, where an address is given to one that has none, or where nobody answers at the address.

    Example:
        >>> check_engine("spark", None)
        Traceback (most recent call last):
        ...
        polyvec.errors.BadInput: engine 'spark': give local or ray
    """
    if engine not in get_args(Engine):
        raise BadInput(f"engine {engine!r}: give {' or '.join(get_args(Engine))}")
    if address is not None and engine != "ray":
        raise BadInput(f"address {address!r}: of a Ray cluster, so give --engine ray as well")
    if address is not None:
        _refuse_deserted(address)


def _refuse_deserted(address: str) -> None:
    """Refuse an address where nobody answers; Ray itself would go on trying for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not (host and port.isdecimal()):  # such as "auto", which Ray looks up by itself
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise BadInput(_NO_CLUSTER.format(address, error)) from error


def encode_on_ray(
    job: RayJob, parts: Sequence[Part], keep: Keep, *, address: str | None = None
) -> Iterator[tuple[int, bytes]]:
    """Encode parts on all GPUs of a cluster, or on all its processors where it has none.

    Args:
        job: what every worker has to know.
        parts: texts; none of them empty.
        keep: what a worker makes of a part and its vectors.
        address: of the cluster, as ``ray.init`` takes it; by default Ray runs on this machine for the time, or what
            this process is connected to already is used.

    Yields:
        Number of a part and what ``keep`` made of it, as they are finished.

    Raises:
        BadInput: when the model has no name, a worker has no such model, or there is no cluster at the address.
    """
    if not job.model:
        raise BadInput(
            "workers open the model by its name: give a name or a folder, not an open model"
        )
    if not parts:
        return
    with _running(address) as ray:
        found = _dataset(ray, parts).map_batches(
            _worker(job, keep),
            batch_size=1,
            batch_format="pyarrow",
            **_resources(ray, len(parts)),
        )
        for done in found.iter_batches(batch_size=None, batch_format="pyarrow"):
            for row in done.to_pylist():
                if row["problem"]:
                    raise BadInput(f"a worker of Ray: {row['problem']}")
                yield row["number"], row["content"]


def encode_lists_on_ray(
    job: RayJob, lists: Sequence[Sequence[str]], *, address: str | None = None
) -> Iterator[tuple[int, Vectors]]:
    """`encode_on_ray`, with the vectors of each list as they are."""
    parts = [Part(number, texts) for number, texts in enumerate(lists)]
    for number, content in encode_on_ray(job, parts, _as_bytes, address=address):
        yield number, np.load(io.BytesIO(content), allow_pickle=False)


def _as_bytes(_: Part, vectors: Vectors) -> bytes:
    return npy_bytes(vectors)


def _worker(job: RayJob, keep: Keep) -> type:
    """A class for Ray Data; job and function travel inside it, so that a restarted worker has them too."""

    class Worker:
        def __init__(self) -> None:
            self._problem = ""
            try:
                self._model = load(job.model, job.device)
                if model_fingerprint(self._model) != job.fingerprint:
                    self._problem = (
                        f"the model {job.model} is another one there; put the same on all machines"
                    )
            except BadInput as error:
                self._problem = str(error)

        def __call__(self, rows: pa.Table) -> pa.Table:
            parts = [Part(row["number"], row["texts"], row["ids"]) for row in rows.to_pylist()]
            contents = [b"" if self._problem else self._kept(part) for part in parts]
            return pa.table(
                {
                    "number": pa.array([part.number for part in parts], pa.int64()),
                    "content": pa.array(contents, pa.large_binary()),
                    "problem": pa.array([self._problem] * len(parts), pa.string()),
                }
            )

        def _kept(self, part: Part) -> bytes:
            vectors = encode(
                self._model,
                part.texts,
                task=job.task,
                normalize=job.normalize,
                precision=job.precision,
            )
            return keep(part, vectors)

    return Worker


def _dataset(ray: Any, parts: Sequence[Part]) -> Any:
    # A block for each part: a block is what Ray Data hands to a worker, and repeats if it dies.
    column = pa.list_(pa.large_string())
    blocks = [
        pa.table(
            {
                "number": pa.array([part.number], pa.int64()),
                "texts": pa.array([list(part.texts)], column),
                "ids": pa.array([list(part.ids)], column),
            }
        )
        for part in parts
    ]
    return ray.data.from_arrow(blocks)


def _resources(ray: Any, parts: int) -> dict[str, Any]:
    """One worker for each GPU, or for each processor, but not more than there are parts."""
    there = ray.cluster_resources()
    gpus, processors = int(there.get("GPU", 0)), int(there.get("CPU", 1))
    wanted = {"num_gpus": 1, "num_cpus": 0} if gpus else {"num_cpus": 1}
    size = max(1, min(gpus or processors, parts))
    return {"compute": ray.data.ActorPoolStrategy(size=size), **wanted}


@contextmanager
def _running(address: str | None) -> Iterator[Any]:
    """Ray, connected; what was started or connected here ends here."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtra("ray", "scale") from None
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours is shown
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what runs here
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options["include_dashboard"] = False
    try:
        ray.init(address or "local", **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = str(error).strip().partition("\n")[0]
        raise BadInput(_NO_CLUSTER.format(address or "this machine", said)) from error
    try:
        yield ray
    finally:
        ray.shutdown()
