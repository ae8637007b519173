"""The files under a path: a folder, a single file, or a glob."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from polyvec.data.documents import Skipped
from polyvec.data.file_reading import File, format_of, formats
from polyvec.errors import BadInput

_NO_CONTENT = {
    "__pycache__",
    "__MACOSX",
    "node_modules",
    "bower_components",
    "site-packages",
    "venv",
}
_NO_FILE = "neither a file nor a folder"
"""A pipe or a device, which would keep us waiting."""
_SPHINX_MARK = "objects.inv"
_SPHINX_FOLDERS = {"_sources", "_static", "_modules"}
"""What Sphinx puts beside its pages: their source, which says all twice, and the theme."""
_SPHINX_INDEXES = re.compile(r"(genindex.*|.*-modindex|search)\.html")


def files_of_folder(folder: Path) -> tuple[list[File], list[Skipped]]:
    """All files below ``folder``, sorted; an id is the path relative to the folder.

    Returns:
        The files that a reader exists for; and all else, one line for each kind of thing.
    """
    scan = _Scan(folder)
    above = frozenset(_identity(parent) for parent in folder.resolve().parents)
    scan.enter(folder, above)
    files, skipped = _readable((path, scan.relative(path)) for path in scan.paths)
    return files, [*scan.passed_over(), *scan.unreadable, *skipped]


def files_of_glob(pattern: str) -> tuple[list[File], list[Skipped]]:
    """All files that a glob (``docs/**/*.md``) matches; an id is the path below its fixed part.

    Raises:
        BadInput: when nothing matches, or folders only.
    """
    matched = sorted(glob.glob(pattern, recursive=True))
    paths = [Path(match) for match in matched if not os.path.isdir(match)]
    if not paths:
        found = "matches folders only; end it with /**" if matched else "matches nothing"
        raise BadInput(f"{pattern}: this pattern {found}")
    fixed = Path(pattern[: min(pattern.find(c) for c in "*?[" if c in pattern)] + "x").parent
    return _readable((path, _id(path, fixed)) for path in paths)


def file_alone(path: Path) -> File:
    """A file given by itself; its id is its name.

    Raises:
        BadInput: when it is no file, or no reader exists for it.
    """
    if not path.is_file():
        raise BadInput(f"{path}: {_NO_FILE}")
    if not format_of(path):
        raise BadInput(f"{path}: unknown format; these can be read: {' '.join(sorted(formats()))}")
    return _file(path, _id(path, path.parent))


class _Scan:
    """A walk through a folder, sorted at every level, that remembers what it passed over."""

    def __init__(self, root: Path) -> None:
        self.paths: list[Path] = []
        self.unreadable: list[Skipped] = []
        self._root = root
        self._passed_over: Counter[str] = Counter()

    def relative(self, path: Path) -> str:
        return _id(path, self._root)

    def passed_over(self) -> list[Skipped]:
        counts = sorted(self._passed_over.items())
        return [Skipped(name, f"{_count(n, name)} of this name passed over") for name, n in counts]

    def enter(self, folder: Path, above: frozenset[tuple[int, int]]) -> None:
        """Collect what is below ``folder``; a link may lead back to one of those ``above``."""
        try:
            identity = _identity(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.unreadable.append(
                Skipped(self.relative(folder), f"cannot be opened: {error.strerror}")
            )
            return
        if identity in above:
            self.unreadable.append(
                Skipped(self.relative(folder), "a link back to a folder above it")
            )
            return
        by_sphinx = any(entry.name == _SPHINX_MARK for entry in entries)
        for entry in entries:
            counted_as = _no_content(entry, by_sphinx)
            if counted_as:
                self._passed_over[counted_as] += 1
            elif entry.is_dir():
                self.enter(folder / entry.name, above | {identity})
            else:
                self.paths.append(folder / entry.name)


def _id(path: Path, root: Path) -> str:
    """The path below ``root``; bytes of a name that are no text are replaced."""
    return os.fsencode(path.relative_to(root).as_posix()).decode(errors="replace")


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _no_content(entry: os.DirEntry[str], by_sphinx: bool) -> str:
    """What an entry that is passed over is counted as; empty if it is to be read."""
    name = entry.name
    if entry.is_dir():
        passed = (
            name.startswith(".") or name in _NO_CONTENT or (by_sphinx and name in _SPHINX_FOLDERS)
        )
        return f"{name}/" if passed else ""
    if by_sphinx and _SPHINX_INDEXES.fullmatch(name):
        return "genindex*.html"
    return name if name.startswith(".") else ""


def _readable(paths: Iterable[tuple[Path, str]]) -> tuple[list[File], list[Skipped]]:
    files: list[File] = []
    skipped: list[Skipped] = []
    unknown: dict[str, list[str]] = {}
    for path, id in paths:
        if not format_of(path):
            unknown.setdefault(path.suffix.lower(), []).append(id)
            continue
        try:
            file = _file(path, id)
        except OSError as error:
            skipped.append(Skipped(id, f"cannot be opened: {error.strerror}"))
            continue
        if path.is_file():
            files.append(file)
        else:
            skipped.append(Skipped(id, _NO_FILE))
    for suffix, ids in sorted(unknown.items()):
        where = ids[0] if len(ids) == 1 else f"*{suffix}" if suffix else "without suffix"
        reason = "unknown format" if len(ids) == 1 else f"{_count(len(ids))} of unknown format"
        skipped.append(Skipped(where, reason))
    return files, skipped


def _file(path: Path, id: str) -> File:
    return File(path, path.stat().st_size, id, id, format_of(path))


def _count(number: int, name: str = "") -> str:
    kind = "folder" if name.endswith("/") else "file"
    return f"{number} {kind}{'s' if number != 1 else ''}"
