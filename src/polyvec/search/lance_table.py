"""The table that an index is: LanceDB's, with a commit for every change, an index over words and one over vectors.

A reader, or a writer that was killed, sees whole commits only: Lance writes new files beside the old ones and a
manifest that names them. What a killed writer left without a manifest is never read, and is removed by a later
clean-up.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from polyvec.data.bm25 import words
from polyvec.errors import BadInput, MissingExtra
from polyvec.files import saying_when_full
from polyvec.search.hits import Found
from polyvec.search.passage_rows import DocumentRows

NAME = "passages"
COLUMNS = ("id", "document", "title", "heading", "source", "place", "kind", "text")
"""What a filter may name."""

_FORMAT = "1"
_MARK = "polyvec."
_LOCK = ".writing"
_REFINED = 3
"""So many times the hits wanted are taken from the approximate index, and their cosines computed exactly."""
_EXPLORED = 3
"""So many times the hits wanted does a walk through HNSW's graph keep in mind."""


class PassageTable:
    """Passages, their vectors and their words on disk; everything here is one commit or none.

    Args:
        path: folder of the index.
        table: opened in it.
    """

    def __init__(self, path: Path, table: Any) -> None:  # a LanceTable, whose types lag behind it
        self.path = path
        self._table = table

    @classmethod
    def open(cls, path: Path) -> PassageTable | None:
        """The table in a folder, None where there is none.

        Raises:
            BadInput: when it is damaged, or is no table of polyvec.
        """
        lancedb = _lancedb()
        if not (path / f"{NAME}.lance").is_dir():
            return None
        try:
            table = lancedb.connect(path, read_consistency_interval=timedelta(0)).open_table(NAME)
            found = cls(path, table)
            metadata = found.metadata()
        # A damaged file can make its reader fail in any way; none of them is a bug of the caller.
        except Exception as error:
            if "was not found" in str(error):  # a writer was killed before its first commit
                return None
            raise BadInput(
                f"{path}: cannot be opened as an index ({_first_line(error)})"
            ) from error
        if metadata.get("format") != _FORMAT:
            raise BadInput(
                f"{path}: a Lance table, but no index of this polyvec; build it elsewhere"
            )
        return found

    @classmethod
    def create(cls, path: Path, dimensions: int, metadata: Mapping[str, str]) -> PassageTable:
        """An empty table in a folder, in the place of what was there."""
        lancedb = _lancedb()
        from lancedb.index import FTS

        mode = "overwrite" if (path / f"{NAME}.lance").exists() else "create"
        with saying_when_full(path):
            table = lancedb.connect(path, read_consistency_interval=timedelta(0)).create_table(
                NAME, schema=_schema(dimensions, metadata), mode=mode
            )
            # Now, while it is empty: rows that come later are found whether they are folded in or not.
            table.create_index("words", config=FTS(base_tokenizer="whitespace"))
        return cls(path, table)

    def metadata(self) -> dict[str, str]:
        """What `create` was given, and the table's format."""
        held = self._table.schema.metadata or {}
        texts = {key.decode(): value.decode() for key, value in held.items()}
        return {k.removeprefix(_MARK): v for k, v in texts.items() if k.startswith(_MARK)}

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return int(self._table.schema.field("vector").type.list_size)

    def columns(self, *names: str) -> pa.Table:
        """Columns of all rows, sorted by the passages' ids."""
        wanted = list(dict.fromkeys(["id", *names]))
        return self._table.search().select(wanted).to_arrow().sort_by("id").select(list(names))

    def count(self) -> int:
        """How many passages there are."""
        return int(self._table.count_rows())

    def commit(
        self,
        documents: Sequence[DocumentRows],
        vectors: NDArray[np.float32],
        changed: Sequence[str],
    ) -> None:
        """Put in documents, each whole, and take out all that the index held of them.

        Args:
            documents: with their rows.
            vectors: of the rows, in their order, of length 1.
            changed: ids of those documents that the index may hold already.
        """
        rows = self._rows(documents, vectors)
        with saying_when_full(self.path):
            if not changed:
                self._table.add(rows)
                return
            self._table.merge_insert(
                "id"
            ).when_matched_update_all().when_not_matched_insert_all().when_not_matched_by_source_delete(
                one_of("document", changed)
            ).execute(rows)

    def delete(self, where: str) -> int:
        """Take out what passes a filter; the number of passages that did."""
        with _naming_filter(where), saying_when_full(self.path):
            return int(self._table.delete(where).num_deleted_rows)

    def fold_in(self) -> None:
        """Bring both indexes up to date and join small files; searches are right before it, and faster after it."""
        with saying_when_full(self.path):
            self._table.optimize()

    def make_approximate(self) -> None:
        """Build HNSW over vectors in 8 bits, by which searches find nearly all of the nearest."""
        from lancedb.index import HnswSq

        with saying_when_full(self.path):
            self._table.create_index("vector", config=HnswSq(distance_type="cosine"))

    def is_approximate(self) -> bool:
        """Whether there is an approximate index."""
        return any("vector" in index.columns for index in self._table.list_indices())

    def nearest(
        self, vector: NDArray[np.float32], k: int, where: str | None, *, exact: bool
    ) -> list[Found]:
        """The ``k`` passages of the highest cosines."""
        if not vector.any():  # no direction, so nothing is near
            return []
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine")
        if exact:
            query = query.bypass_vector_index()
        # Where there is no approximate index this changes nothing.
        query = query.refine_factor(_REFINED).ef(_EXPLORED * _REFINED * k)
        query = query.select([*COLUMNS, "_distance"]).limit(k)
        rows = _asked(query, where)
        found = [Found(row, 1.0 - row["_distance"]) for row in rows if row["_distance"] is not None]
        return _best_first(one for one in found if np.isfinite(one.score))

    def sharing_words(self, query: str, k: int, where: str | None) -> list[Found]:
        """The ``k`` passages of the highest BM25 scores; fewer where fewer share a word."""
        sought = " ".join(words(query))
        if not sought:
            return []
        asked = self._table.search(sought, query_type="fts", fts_columns="words")
        rows = _asked(asked.select([*COLUMNS, "_score"]).limit(k), where)
        return _best_first(Found(row, row["_score"]) for row in rows)

    def versions(self) -> list[dict[str, Any]]:
        """Number, time and passages of each commit that is kept, oldest first."""
        return [
            {
                "version": version["version"],
                "time": version["timestamp"].isoformat(timespec="seconds"),
                "passages": int(version["metadata"].get("total_rows", 0))
                - int(version["metadata"].get("total_deletion_file_rows", 0)),
            }
            for version in self._table.list_versions()
        ]

    def _rows(self, documents: Sequence[DocumentRows], vectors: NDArray[np.float32]) -> pa.Table:
        rows = [(row, one.digest) for one in documents for row in one.rows]
        records = [{**asdict(row), "words": row.words, "digest": digest} for row, digest in rows]
        texts = pa.Table.from_pylist(
            records, schema=pa.schema([f for f in self._table.schema if f.name != "vector"])
        )
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
        held = pa.FixedSizeListArray.from_arrays(flat, self.dimensions)
        return texts.append_column(self._table.schema.field("vector"), held)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Keep other writers out of an index; the system frees the lock when its holder dies.

    Raises:
        BadInput: when another process writes.
    """
    path.mkdir(parents=True, exist_ok=True)
    with open(path / _LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise BadInput(
                f"{path}: another process writes to this index; wait until it has finished"
            ) from None
        yield


def one_of(column: str, values: Sequence[str]) -> str:
    """The filter that a column holds one of some texts.

    Example:
        >>> one_of("document", ["it's", "b"])
        "document IN ('it''s', 'b')"
    """
    quoted = ("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({', '.join(quoted)})"


def bytes_of(path: Path) -> int:
    """Size of all files of an index."""
    return sum(
        os.path.getsize(Path(folder) / name) for folder, _, names in os.walk(path) for name in names
    )


def _lancedb() -> Any:
    try:
        import lancedb
    except ImportError:
        raise MissingExtra("lancedb", "search") from None
    return lancedb


def _schema(dimensions: int, metadata: Mapping[str, str]) -> pa.Schema:
    fields = [pa.field(name, pa.string(), nullable=False) for name in (*COLUMNS, "words", "digest")]
    marked = {f"{_MARK}{key}": value for key, value in {**metadata, "format": _FORMAT}.items()}
    vector = pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False)
    return pa.schema([*fields, vector], metadata=marked)


def _asked(query: Any, where: str | None) -> list[dict[str, Any]]:
    with _naming_filter(where):
        rows: list[dict[str, Any]] = (
            query.where(where, prefilter=True) if where else query
        ).to_list()
    return rows


@contextmanager
def _naming_filter(where: str | None) -> Iterator[None]:
    """Turn what Lance says of a filter into one sentence."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if where is None or isinstance(error, BadInput):
            raise
        reason = _first_line(error).removeprefix("Invalid input, ")
        raise BadInput(
            f"filter {where!r}: {reason}; write SQL over {', '.join(COLUMNS)}, such as "
            "document LIKE 'guide/%'"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _best_first(found: Iterator[Found]) -> list[Found]:
    # Equal scores by id, so that the same index always gives the same ranking.
    return sorted(found, key=lambda one: (-one.score, one.row["id"]))
