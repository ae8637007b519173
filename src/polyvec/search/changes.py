"""Bringing documents into an index: what is new or changed is encoded, the rest is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from polyvec.console import progress_bar
from polyvec.data.documents import Skipped
from polyvec.data.sources import read_documents
from polyvec.encoders.token_batches import Vectors
from polyvec.errors import BadInput
from polyvec.search.lance_table import PassageTable, one_of
from polyvec.search.passage_rows import DocumentRows, Origin, document_rows

COMMIT = 1024
"""Passages between two commits: some 20 s of work on two CPU cores."""

Encode = Callable[[Sequence[Sequence[str]]], Iterable[tuple[int, Vectors]]]
"""Turns lists of texts into vectors of length 1; each comes with the number of its list, in any order."""
Held = Mapping[str, tuple[str, str]]
"""Digest and source of each document of an index."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of the documents of a source, and of those that the index held.

    Attributes:
        added: documents that are new.
        changed: documents whose text, title, headings or place are not what they were.
        unchanged: documents that were left alone; nothing of them was encoded.
        removed: documents that are no longer in the source.
        encoded: passages that were encoded.
        skipped: what was found and not read, with the reasons.
    """

    added: int
    changed: int
    unchanged: int
    removed: int
    encoded: int
    skipped: tuple[Skipped, ...] = ()


def read(source: str, text_column: str | None) -> tuple[list[DocumentRows], list[Skipped]]:
    """The documents of a source with their passages, and what was left out.

    Raises:
        BadInput: when there is nothing in it that could be searched.
    """
    reading = read_documents(source, text_column)
    origin = Origin(source)
    documents = [document_rows(document, origin) for document in reading.documents]
    if not any(one.rows for one in documents):
        raise BadInput(f"{source}: holds no text that could be searched")
    return documents, reading.skipped


def bring_in(
    table: PassageTable,
    source: str,
    documents: Sequence[DocumentRows],
    skipped: Sequence[Skipped],
    encode: Encode,
    *,
    forget_missing: bool,
) -> Changes:
    """Encode and commit what is new or changed.

    Args:
        table: of the index; nobody else writes to it, or is noticed when he does.
        source: where the documents are from, for messages.
        documents: all of the source.
        skipped: what could not be read.
        encode: how.
        forget_missing: remove the documents of the same sources that are not among these.

    Raises:
        BadInput: when a document of the same id came from another source.
    """
    _take_out_doubled(table)
    there = table.documents()
    _refuse_other_sources(source, documents, there)
    missing = [one for one in documents if there.get(one.document, ("",))[0] != one.digest]
    changed = {one.document for one in missing if one.document in there}
    full = [one for one in missing if one.rows]
    encoded = _encode_and_commit(table, full, changed, encode)
    gone = [one.document for one in missing if not one.rows and one.document in changed]
    removed: list[str] = []
    if forget_missing:
        kept = {one.document for one in documents}
        sources = {one.source for one in documents}
        removed = [id for id, (_, home) in there.items() if home in sources and id not in kept]
    if gone or removed:
        table.delete(one_of("document", [*gone, *removed]))
    table.fold_in()  # what an interrupted run left apart, too
    empty = [Skipped(one.document, "no passage in it") for one in documents if not one.rows]
    return Changes(
        added=sum(one.document not in changed for one in full),
        changed=len(changed),
        unchanged=sum(bool(one.rows) for one in documents) - len(full),
        removed=len(removed),
        encoded=encoded,
        skipped=(*skipped, *empty),
    )


def _take_out_doubled(table: PassageTable) -> None:
    """Take out documents that two writers put into object storage in one moment; they are encoded again."""
    if isinstance(table.place, Path):  # a lock keeps the second out
        return
    rows = table.columns("id", "document")
    # The first of a group can only be found in one thread.
    counts = rows.group_by("id", use_threads=False).aggregate(
        [("document", "first"), ("document", "count")]
    )
    doubled = counts.filter(pc.greater(counts["document_count"], 1))["document_first"].unique()
    if len(doubled):
        table.delete(one_of("document", doubled.to_pylist()))


def _encode_and_commit(
    table: PassageTable, documents: Sequence[DocumentRows], changed: set[str], encode: Encode
) -> int:
    batches = list(_batches(documents))
    texts = [[row.text for one in batch for row in one.rows] for batch in batches]
    passages = sum(map(len, texts))
    with progress_bar() as bar:
        bar.disable = not passages
        line = bar.add_task("indexing passages", total=passages)
        for number, vectors in encode(texts):
            batch = batches[number]
            table.commit(batch, vectors, [one.document for one in batch if one.document in changed])
            bar.advance(line, len(vectors))
    return passages


def _refuse_other_sources(source: str, documents: Sequence[DocumentRows], there: Held) -> None:
    """One id, one source: a document would silently replace another that merely is called the same."""
    for document in documents:
        _, home = there.get(document.document, ("", document.source))
        if home != document.source:
            raise BadInput(
                f"{source}: its document {document.document!r} is in the index already, from {home}; "
                "delete that one first, or index a folder that holds both"
            )


def _batches(documents: Sequence[DocumentRows]) -> Iterator[list[DocumentRows]]:
    """Whole documents, `COMMIT` passages or somewhat more at a time."""
    batch: list[DocumentRows] = []
    passages = 0
    for document in documents:
        batch.append(document)
        passages += len(document.rows)
        if passages >= COMMIT:
            yield batch
            batch, passages = [], 0
    if batch:
        yield batch
