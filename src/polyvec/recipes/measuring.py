"""What a run costs and where it ran: wall and processor seconds, memory, machine, versions, commit."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from polyvec.machine import processor

_LIBRARIES = (
    *("polyvec", "torch", "transformers", "sentence-transformers", "datasets", "numpy", "scipy"),
    *("scikit-learn", "mteb", "spacy"),
)
_EVERY = 0.05
"""Seconds between two looks at the memory."""


@dataclass(slots=True)
class Cost:
    """Wall seconds, seconds of all processors together, and the most memory held, in MiB.

    Memory is that of this process, libraries included; ``peak_accelerator_mb`` is what torch held on an accelerator.
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    peak_accelerator_mb: float = 0.0


@contextmanager
def measured(device: str = "cpu") -> Iterator[Cost]:
    """Measure what happens inside.

    Example:
        >>> with measured() as cost:
        ...     _ = sum(range(1000))
        >>> cost.peak_memory_mb > 0
        True
    """
    cost = Cost()
    process = psutil.Process()
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process, cost, done), daemon=True)
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats()
    wall, cpu = time.perf_counter(), time.process_time()
    watcher.start()
    try:
        yield cost
    finally:
        cost.wall_seconds = time.perf_counter() - wall
        cost.cpu_seconds = time.process_time() - cpu
        done.set()
        watcher.join()
        if device.startswith("cuda"):
            cost.peak_accelerator_mb = torch.cuda.max_memory_allocated() / 2**20


def _watch(process: psutil.Process, cost: Cost, done: threading.Event) -> None:
    while True:
        cost.peak_memory_mb = max(cost.peak_memory_mb, process.memory_info().rss / 2**20)
        if done.wait(_EVERY):
            return


def machine(device: str) -> dict[str, str | int]:
    """The machine, in words that mean something on another one."""
    found: dict[str, str | int] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
    }
    if device.startswith("cuda"):
        import torch

        found["accelerator"] = torch.cuda.get_device_name()
    return found


def versions(*others: str) -> dict[str, str]:
    """Versions of the libraries that results depend on, and of others, of those that are installed."""
    found = {}
    for name in (*_LIBRARIES, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of the checkout that this code is in, with ``+`` if files differ from it; empty elsewhere."""
    here = Path(__file__).parent
    try:
        named = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return named + ("+" if changed else "")


@cache
def code_digest() -> str:
    """Changes when the library's code does: values of other code are not mixed with its own."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
