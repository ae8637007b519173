"""Long work in stages: each finished stage is kept, the same command goes on where it was stopped."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from polyvec.console import console
from polyvec.errors import BadInput
from polyvec.files import locked, read_json, write_json
from polyvec.ranks import rank

Options = Mapping[str, str | int | float | bool | None]


class Stages:
    """The stages of one piece of work, in a folder of their own.

    A stage is a function that writes its results into the folder it is given; when it returns, a file beside them
    says that it is done. What was half written when a run was killed is for the stage itself to use or ignore.

    Args:
        folder: where the stages live; made if missing.
        names: all stages, in order.
        options: what was asked for, as plain JSON.
        first_use: option → the first stage that it changes.
        restart: forget everything done before.

    Raises:
        BadInput: when an option differs from the run whose results are in the folder and a finished stage
            depends on it; or when the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        options: Options,
        first_use: Mapping[str, str],
        *,
        restart: bool = False,
    ) -> None:
        self.folder = folder
        self._names = list(names)
        if restart and folder.is_dir():
            shutil.rmtree(folder)
        _make_folder(folder)
        self._refuse_changes(options, first_use)
        write_json(folder / "options.json", dict(options))

    def run(self, name: str, work: Callable[[Path], None], show: str | None = None) -> Path:
        """Do the stage unless it is done; return its folder.

        Args:
            name: one of the stages.
            work: called with the stage's folder.
            show: what to tell the person at the start.
        """
        place = self.folder / name
        if self.is_done(name):
            return place
        if show:
            console.print(show, highlight=False)
        place.mkdir(parents=True, exist_ok=True)
        earlier = self.seconds_so_far(name)
        start = time.monotonic()
        with _time_kept(place / "seconds.json", earlier):
            work(place)
        seconds = round(earlier + time.monotonic() - start, 2)
        write_json(place / "done.json", {"seconds": seconds, "peak_memory_mb": peak_memory_mb()})
        return place

    def is_done(self, name: str) -> bool:
        """Whether the stage ran to its end."""
        return (self.folder / name / "done.json").exists()

    def seconds_so_far(self, name: str) -> float:
        """Seconds that interrupted runs of a stage have taken, as far as they were written down."""
        path = self.folder / name / "seconds.json"
        return float(read_json(path)) if path.exists() else 0.0

    def costs(self) -> dict[str, dict[str, float]]:
        """Seconds and peak memory of each finished stage, in order."""
        return {n: read_json(self.folder / n / "done.json") for n in self._names if self.is_done(n)}

    def _refuse_changes(self, options: Options, first_use: Mapping[str, str]) -> None:
        path = self.folder / "options.json"
        if not path.exists():
            return
        before = read_json(path)
        for option, value in options.items():
            if before.get(option) == value:
                continue
            affected = self._names[self._names.index(first_use[option]) :]
            begun = [name for name in affected if self._holds_work(name)]
            if begun:
                raise BadInput(
                    f"{_as_typed(option)} was {before.get(option)!r} and is now {value!r}, which changes the stage "
                    f"'{begun[0]}' already in {self.folder}; give --restart to begin again, "
                    "or another --out"
                )
            for name in affected:
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def _holds_work(self, name: str) -> bool:
        """Whether a stage left anything but the time it took before it failed."""
        return any(path.name != "seconds.json" for path in (self.folder / name).glob("*"))


def _as_typed(option: str) -> str:
    """An option of the command line, or a key of a file, which has a dot."""
    return option if "." in option else f"--{option.replace('_', '-')}"


def peak_memory_mb() -> float:
    """The most memory this process has held, in mebibytes (Linux counts in kibibytes)."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; the lock goes with the process, however it ends.

    Raises:
        BadInput: when another process works there.
    """
    _make_folder(folder)
    taken = f"{folder}: another run is working there; wait for it or give another --out"
    with locked(folder / ".lock", taken):
        yield


@contextmanager
def only_ranks_in(folder: Path) -> Iterator[None]:
    """Hold the folder for these ranks; rank 0 does it for all."""
    with only_run_in(folder) if rank() == 0 else nullcontext():
        yield


@contextmanager
def _time_kept(path: Path, earlier: float) -> Iterator[None]:
    """Write down the seconds a stage took even when it is interrupted by Ctrl-C or an error."""
    start = time.monotonic()
    try:
        yield
    finally:
        write_json(path, round(earlier + time.monotonic() - start, 2))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise BadInput(f"{folder}: is a file; give a folder") from None
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise BadInput(f"{folder}: cannot be written")
