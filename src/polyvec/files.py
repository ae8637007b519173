"""Writing files so that a reader, or a run that was killed, never sees half of one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyvec.errors import BadInput

_NEXT_TO_NOTHING = 2**20
"""Bytes: a disk with less left is full for every purpose here."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path``, flush it to the disk, then put it in place in one step.

    Raises:
        OSError: when the disk is full or the folder cannot be written; the old file, if any, is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def locked(file: Path, taken: str) -> Iterator[None]:
    """Hold a lock; the system frees it when its holder dies, however that happens.

    Args:
        file: the lock, in a folder that is there.
        taken: what is said when another process holds it.

    Raises:
        BadInput: then.
    """
    with open(file, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise BadInput(taken) from None
        yield


@contextmanager
def saying_when_full(folder: Path) -> Iterator[None]:
    """Turn whatever fails because the disk of ``folder`` is full into one sentence.

    Libraries that write weights report a full disk in ways of their own, so the disk itself is asked as well.

    Raises:
        BadInput: instead of the error, when no space is left.
    """
    try:
        yield
    except Exception as error:
        if not _means_full(error, folder):
            raise
        raise BadInput(
            f"{folder}: no space is left on its disk; free some and give the same command again, "
            "what is finished is kept"
        ) from error


def _means_full(error: Exception, folder: Path) -> bool:
    if isinstance(error, BadInput):
        return False
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if os.strerror(errno.ENOSPC) in str(error):  # Lance, for one, says it in words only
        return True
    return shutil.disk_usage(folder).free < _NEXT_TO_NOTHING


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """`write_text` of ``content`` as indented JSON."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON from ``path``.

    Raises:
        BadInput: when the file is missing or is not JSON; the sentence names the line.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{error.lineno}: not JSON ({error.msg})") from None


def put_in_place(made: Path, folder: Path, whole: str) -> None:
    """Rename a folder that is complete to where it belongs; one that another process put there first stays.

    Args:
        made: on the same file system.
        folder: its place.
        whole: a file that says that the folder is complete.
    """
    try:
        made.rename(folder)
    except OSError:
        if not (folder / whole).exists():
            raise


def replace_folder(made: Path, folder: Path) -> None:
    """Put a folder that is complete where it belongs, in the place of what is there.

    Args:
        made: on the same file system.
        folder: its place; what was there is gone afterwards.
    """
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
