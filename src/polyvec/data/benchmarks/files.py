"""Where benchmark files lie, what they weigh in at, and what is inside compressed ones and archives."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from polyvec.errors import BadInput

_VARIABLE = "POLYVEC_DATA"
_GZIP = b"\x1f\x8b"
_BLOCK = 2**20
_ENCRYPTED = 1


class MissingData(BadInput):
    """A benchmark's file is not there; the message says which, where, and how to name another folder."""


def data_root() -> Path | None:
    """The folder that the environment variable ``POLYVEC_DATA`` names.

    Returns:
        None when the variable is unset or empty.

    Raises:
        BadInput: when it names no folder.
    """
    named = os.environ.get(_VARIABLE)
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise BadInput(
            f"{_VARIABLE}: {named} is not a folder; name the one that holds the benchmark files"
        )
    return root


def stored(root: Path, name: str) -> Path:
    """The file of that name, or the one with ``.gz`` after it.

    Args:
        root: the folder that holds all benchmarks.
        name: path in it, ``stsb/sts-test.csv``.

    Raises:
        MissingData: when there is neither.
    """
    path = next((p for p in (root / name, root / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise MissingData(
            f"{root}: there is no {name} or {name}.gz in it; "
            f"set {_VARIABLE} to the folder that holds it"
        )
    return path


def fingerprint(path: Path) -> str:
    """SHA-256 of a benchmark file, the same whether it is kept compressed or not.

    Args:
        path: hashed as it is if it is an archive (``.tar.gz``, ``.zip``), else without its gzip.

    Returns:
        64 hexadecimal digits.

    Raises:
        BadInput: when the file cannot be opened, or its compression is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "words.txt.gz")
        ...     _ = path.write_bytes(gzip.compress(b"words"))
        ...     fingerprint(path)[:16]
        'dba36bffa5cab0f9'
    """
    packed = path.name.endswith(".gz") and not path.name.endswith(".tar.gz")
    with _saying_what_is_wrong(path), _opened(path, packed) as file:
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
        return digest.hexdigest()


def content(path: Path) -> bytes:
    """All bytes of a file, without its gzip if it has one.

    Raises:
        BadInput: when it cannot be opened, or its compression is damaged.
    """
    with _saying_what_is_wrong(path):
        with open(path, "rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
        with _opened(path, packed) as file:
            return file.read()


def members(path: Path, wanted: Callable[[str], bool]) -> list[tuple[str, bytes]]:
    """Name and content of files in a tar or zip archive, sorted by name; nothing is written to disk.

    Args:
        path: ``.zip``, or a tar archive, perhaps compressed with gzip.
        wanted: tells from a name whether to read it.

    Raises:
        BadInput: when the archive is damaged, has a name that leads out of it or occurs twice, or
            a wanted member is a link.
    """
    found: dict[str, bytes] = {}
    read = _zip_members if path.name.endswith(".zip") else _tar_members
    with _saying_what_is_wrong(path):
        for name, inside in read(path, wanted):
            if name in found:
                raise BadInput(f"{path}: member {name!r} is there a second time")
            found[name] = inside
    return sorted(found.items())


def _zip_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.is_dir() or not wanted(_safe(entry.filename, path)):
                continue
            if entry.flag_bits & _ENCRYPTED:
                raise BadInput(f"{path}: member {entry.filename!r} is encrypted")
            yield entry.filename, archive.read(entry)


def _tar_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for entry in archive:
            if entry.isdir() or not wanted(_safe(entry.name, path)):
                continue
            if not entry.isreg():
                raise BadInput(f"{path}: member {entry.name!r} is a link or device, not a file")
            with cast(BinaryIO, archive.extractfile(entry)) as file:
                yield entry.name, file.read()


def _safe(name: str, path: Path) -> str:
    """The name, if it stays within the archive: a result names files by it."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name:
        raise BadInput(f"{path}: member {name!r} leads out of the archive")
    return name


def _opened(path: Path, packed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb") if packed else open(path, "rb"))


@contextmanager
def _saying_what_is_wrong(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise BadInput(f"{path}: the compressed file is cut off or damaged") from None
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: not a whole archive ({error})") from None
    except NotImplementedError:  # what zipfile raises of methods that it does not know
        raise BadInput(
            f"{path}: packed by a method that cannot be unpacked here; pack it again with deflate"
        ) from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be opened: {error.strerror or error}") from None
