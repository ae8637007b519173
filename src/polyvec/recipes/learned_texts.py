"""What recipes of retrieval pre-training learn from and are judged on: hyperlinked documentation, judged abstracts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from polyvec.data.benchmarks.files import MissingData, data_root
from polyvec.data.benchmarks.question_answering import (
    RetrievalSet,
    read_cisi_set,
    read_cranfield_set,
)
from polyvec.data.documents import Document
from polyvec.data.sources import read_documents
from polyvec.evaluation.exam import Task

_DOCUMENTATION = Path("/usr/share/doc/python3.11/html")
_VARIABLE = "POLYVEC_PYTHON_DOC"


@cache
def python_documentation() -> tuple[Document, ...]:
    """The pages of Python 3.11's documentation, of Debian's package ``python3.11-doc``.

    The environment variable ``POLYVEC_PYTHON_DOC`` names another place of its ``html`` folder.

    Raises:
        MissingData: when it is not installed.
    """
    folder = Path(os.environ.get(_VARIABLE) or _DOCUMENTATION)
    if not folder.is_dir():
        raise MissingData(
            f"{folder}: no such folder; `apt install python3.11-doc` brings it, "
            f"or {_VARIABLE} names the folder of Python's documentation in HTML"
        )
    return tuple(read_documents(str(folder)).documents)


def needed_root() -> Path:
    """The folder that ``POLYVEC_DATA`` names.

    Raises:
        MissingData: when it is not set.
    """
    root = data_root()
    if root is None:
        raise MissingData("POLYVEC_DATA is not set; name the folder that holds the benchmark files")
    return root


@cache
def judged_sets() -> Mapping[str, RetrievalSet]:
    """Cranfield and CISI: their documents may be learned from, their queries and judgements only judge.

    Raises:
        MissingData: when ``POLYVEC_DATA`` is not set, or they are not there.
    """
    root = needed_root()
    return {"cranfield": read_cranfield_set(root), "cisi": read_cisi_set(root)}


def judged_task(name: str) -> Task:
    """The test of one of `judged_sets`: its judged queries against all of its documents."""
    found = judged_sets()[name]
    relevant = {query: dict(grades) for query, grades in found.judgements.qrels.items()}
    asked = {query: found.judgements.queries[query] for query in relevant}
    return Task(name, asked, found.documents, relevant)


def text_fingerprint(texts: Iterable[str]) -> str:
    """SHA-256 of texts in their order, for the evidence."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()
