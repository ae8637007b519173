"""Where an index lies: a folder on disk, or a place in object storage that has a URL.

On disk one process writes at a time and holds a lock. Object storage has no locks, so a writer there looks, before and
after each of its commits, whether somebody else has committed meanwhile; see `polyvec.search.lance_table`.
Credentials, region and endpoint come from the environment, as LanceDB documents: for S3 `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, and `AWS_ENDPOINT` for a server of one's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from polyvec.errors import BadInput
from polyvec.files import locked, saying_when_full

Place = Path | str
"""A folder, or the URL of a place in object storage."""

_SCHEMES = ("s3", "gs", "az")
_LOCK = ".writing"
_LONGEST = 300
"""Characters of what a store answers that still fit into a sentence."""


def place_of(path: str | Path) -> Place:
    """What a path or URL means.

    Raises:
        BadInput: when it is a URL of another kind.

    Example:
        >>> place_of("docs.index"), place_of("file:///data/docs.index"), place_of("s3://bucket/docs.index/")
        (PosixPath('docs.index'), PosixPath('/data/docs.index'), 's3://bucket/docs.index')
    """
    given = str(path)
    scheme, mark, _ = given.partition("://")
    if not mark:
        return Path(path).expanduser()
    if scheme == "file":
        return Path(unquote(urlsplit(given).path))
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in _SCHEMES)
        raise BadInput(f"{given}: give a folder, or a URL that begins with {known} or file://")
    return given.rstrip("/")


@contextmanager
def writing(place: Place) -> Iterator[None]:
    """Keep other writers out of an index on disk; the system frees the lock when its holder dies.

    Raises:
        BadInput: when another process writes.
    """
    if not isinstance(place, Path):
        yield
        return
    place.mkdir(parents=True, exist_ok=True)
    taken = f"{place}: another process writes to this index; wait until it has finished"
    with locked(place / _LOCK, taken):
        yield


@contextmanager
def saying_what_failed(place: Place) -> Iterator[None]:
    """Turn a full disk, or what an object store answers, into one sentence.

    Raises:
        BadInput: instead of the error.
    """
    if isinstance(place, Path):
        with saying_when_full(place):
            yield
        return
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        reason = _answer_of_store(str(error))
        if isinstance(error, BadInput) or not reason:
            raise
        raise BadInput(
            f"{place}: the object store cannot be used ({reason}); see that the bucket is there, and that address and "
            "credentials are in the environment, and give the same command again"
        ) from error


def bytes_on_disk(folder: Path) -> int:
    """Size of all files of an index."""
    return sum(
        os.path.getsize(Path(where) / name) for where, _, names in os.walk(folder) for name in names
    )


def _answer_of_store(said: str) -> str:
    """What a store answered, out of all that is said around it; empty where no store is spoken of.

    Example:
        >>> _answer_of_store('Generic { store: "S3", body: "<Message>The bucket does not exist</Message>" }')
        'The bucket does not exist'
    """
    if not re.search(r'store: "|object_store|LanceError\(IO\)|credential', said):
        return ""
    told = re.search(r"<Message>(.*?)</Message>", said) or re.search(r'message: "(.*?)"', said)
    return told[1] if told else said.strip().partition("\n")[0][:_LONGEST]
