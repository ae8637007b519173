"""The map that a server shows of an index: drawn when it is first asked for, by a process of its own, and kept.

It lies in the folder of the index as ``map-FORMAT-VERSION.json``, so that it is known of which commit it is; that of an
index in object storage lies in the user's cache. Drawing is not done in the server's process: its threads would wait
while the layout is computed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

from polyvec.files import write_bytes
from polyvec.search.document_map import draw_map, opened, version_of
from polyvec.search.map_page import map_data
from polyvec.search.storage import Place, place_of

_FORMAT = 1
"""Of what the page reads; a map of another one is drawn again."""
_POLITENESS = 10
"""By which the drawing steps back behind the answering of requests, as ``nice`` counts."""


@dataclass(frozen=True, slots=True)
class MapState:
    """How far the map of an index is.

    Attributes:
        drawn: version of the index that the kept map shows; None where there is none.
        drawing: whether a newer one is being drawn.
        failed: why the newest version could not be drawn, one sentence; empty where it could.
    """

    drawn: int | None
    drawing: bool
    failed: str


def keep_map(path: str | Path) -> Path:
    """Draw the map of an index and keep it, in the place of older ones.

    Returns:
        Its file.

    Raises:
        BadInput: as `polyvec.search.document_map.draw_map` does.
        OSError: when the folder cannot be written.
    """
    drawn = draw_map(path)
    home = _home(place_of(path))
    home.mkdir(parents=True, exist_ok=True)
    file = home / f"map-{_FORMAT}-{drawn.version}.json"
    write_bytes(file, json.dumps(map_data(drawn), ensure_ascii=False).encode())
    for old in home.glob("map-*.json"):
        if old != file:
            old.unlink(missing_ok=True)
    return file


def _home(place: Place) -> Path:
    """The folder that keeps the map of an index."""
    if isinstance(place, Path):
        return place
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (
        Path(cache).expanduser()
        / "polyvec"
        / "maps"
        / blake2b(place.encode(), digest_size=16).hexdigest()
    )


class KeptMap:
    """The map of one index, for a server; safe to be asked from several threads.

    Args:
        path: folder of the index, or its URL.
    """

    def __init__(self, path: str | Path) -> None:
        self._place = place_of(path)
        self._home = _home(self._place)
        self._lock = threading.Lock()
        self._drawing: _Drawing | None = None
        self._failures: dict[int, str] = {}

    def state(self) -> MapState:
        """How far the map is; where that of the newest version is missing, its drawing begins.

        Raises:
            BadInput: when the index is gone or damaged.
        """
        with self._lock:
            newest = version_of(opened(self._place))
            self._look_after()
            drawn = self._drawn()
            if newest != drawn and newest not in self._failures and self._drawing is None:
                self._drawing = _Drawing(self._place, newest)
            return MapState(drawn, self._drawing is not None, self._failures.get(newest, ""))

    def data(self) -> bytes | None:
        """What the page shows, as JSON; None where no map is kept."""
        version = self._drawn()
        try:
            return None if version is None else self._file(version).read_bytes()
        except FileNotFoundError:  # a newer one has just taken its place
            return self.data()

    def close(self) -> None:
        """End a drawing that is under way; it begins anew when it is next asked for."""
        with self._lock:
            if self._drawing is not None:
                self._drawing.end()
                self._drawing = None

    def _look_after(self) -> None:
        if self._drawing is None or not self._drawing.is_over:
            return
        reason = self._drawing.end()
        if reason:
            self._failures[self._drawing.version] = reason
        self._drawing = None

    def _drawn(self) -> int | None:
        versions = [
            int(file.stem.rpartition("-")[2]) for file in self._home.glob(f"map-{_FORMAT}-*.json")
        ]
        return max(versions, default=None)

    def _file(self, version: int) -> Path:
        return self._home / f"map-{_FORMAT}-{version}.json"


class _Drawing:
    """A process that draws the map of a version."""

    def __init__(self, place: Place, version: int) -> None:
        self.version = version
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, end() closes it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "polyvec", "map", str(place), "--keep"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )
        os.setpriority(os.PRIO_PROCESS, self._process.pid, _POLITENESS)

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def end(self) -> str:
        """End the process if it runs, and tell why it failed if it did."""
        if not self.is_over:
            self._process.kill()
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        self._said.close()
        if code == 0:
            return ""
        last = lines[-1].removeprefix("polyvec: ") if lines else f"it ended with code {code}"
        return f"the map cannot be drawn: {last}"
