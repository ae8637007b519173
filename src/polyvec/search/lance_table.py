"""The table that an index is: LanceDB's, with a commit for every change, an index over words and one over vectors.

A reader, or a writer that was killed, sees whole commits only: Lance writes new files beside the old ones and a
manifest that names them. What a killed writer left without a manifest is never read, and is removed by a later
clean-up.
"""

from __future__ import annotations

import re
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
from polyvec.search.hits import Found
from polyvec.search.passage_rows import DocumentRows
from polyvec.search.storage import Place, bytes_on_disk, saying_what_failed

NAME = "passages"
COLUMNS = ("id", "document", "title", "heading", "source", "place", "kind", "text")
"""What a filter may name."""

_FORMAT = "1"
_MARK = "polyvec."
_OTHERS = "{}: another writer has committed to this index meanwhile; give the same command again"
_REFINED = 3
"""So many times the hits wanted are taken from the approximate index, and their cosines computed exactly."""
_EXPLORED = 6
"""So many times what it finds does a walk through HNSW's graph keep in mind. In a million passages that are much alike,
3 found 94 % of the ten nearest and 6 found 99.9 %, in 9 ms instead of 7; it was chosen on these very questions."""
_SHARE_APART = 1 / 20
_MOST_APART = 2048
"""Passages that may stay out of the indexes: the word search reads them one by one, some 10 ms a thousand on two cores,
while folding them in takes the longer the larger the table is, 20 s for a million."""


class PassageTable:
    """Passages, their vectors and their words; everything here is one commit or none.

    A writer builds on the version that it opened, or that `begin` took note of. Where another writer, whom no lock
    keeps out of object storage, has committed since, its next commit is refused; the same command then goes on from
    what both have done.

    Args:
        place: folder or URL of the index.
        table: opened in it.
    """

    def __init__(self, place: Place, table: Any) -> None:  # a LanceTable, whose types lag behind it
        self.place = place
        self._table = table
        self._known = int(table.version)

    @classmethod
    def open(cls, place: Place, version: int | None = None) -> PassageTable | None:
        """The table in a folder or at a URL, None where there is none.

        Args:
            place: folder or URL of the index.
            version: an older version, to read only.

        Raises:
            BadInput: when it is damaged, is no table of polyvec, or has no such version any more.
        """
        if isinstance(place, Path) and not (place / f"{NAME}.lance").is_dir():
            _lancedb()
            return None
        try:
            with saying_what_failed(place):
                found = cls(place, _connected(place).open_table(NAME))
            metadata = found.metadata()
        except BadInput:
            raise
        # A damaged file can make its reader fail in any way; none of them is a bug of the caller.
        except Exception as error:
            if "was not found" in str(error):  # a writer was killed before its first commit
                return None
            raise BadInput(
                f"{place}: cannot be opened as an index ({_first_line(error)})"
            ) from error
        if metadata.get("format") != _FORMAT:
            raise BadInput(
                f"{place}: a Lance table, but no index of this polyvec; build it elsewhere"
            )
        if version is not None:
            found._go_back(version)
        return found

    @classmethod
    def create(cls, place: Place, dimensions: int, metadata: Mapping[str, str]) -> PassageTable:
        """An empty table, in the place of what was there.

        Raises:
            BadInput: when another writer makes one at the same moment.
        """
        from lancedb.index import FTS

        with saying_what_failed(place), _refusing_conflicts(place):
            database = _connected(place)
            mode = "overwrite" if NAME in database.list_tables().tables else "create"
            table = database.create_table(NAME, schema=_schema(dimensions, metadata), mode=mode)
            # Now, while it is empty: rows that come later are found whether they are folded in or not.
            table.create_index("words", config=FTS(base_tokenizer="whitespace"))
        return cls(place, table)

    @property
    def version(self) -> int:
        """Number of the commit that is read."""
        return int(self._table.version)

    def begin(self) -> None:
        """Build on what is there now, whoever wrote it."""
        self._known = self.version

    def restore(self) -> None:
        """Make the older version that is open the newest one; those in between stay too."""
        with saying_what_failed(self.place), _refusing_conflicts(self.place):
            self._table.restore()
        self.begin()

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

    def documents(self) -> dict[str, tuple[str, str]]:
        """Digest and source of each document."""
        names = ["document", "digest", "source"]
        rows = self._table.search().select(names).to_arrow().group_by(names).aggregate([])
        return dict(
            zip(
                rows["document"].to_pylist(),
                zip(rows["digest"].to_pylist(), rows["source"].to_pylist(), strict=True),
                strict=True,
            )
        )

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
        with self._committing():
            if changed:
                made = (
                    self._table.merge_insert("id")
                    .when_matched_update_all()
                    .when_not_matched_insert_all()
                    .when_not_matched_by_source_delete(one_of("document", changed))
                    .execute(rows)
                )
            else:
                made = self._table.add(rows)
            self._committed(made.version)

    def delete(self, where: str) -> int:
        """Take out what passes a filter; the number of passages that did."""
        with _naming_filter(where), self._committing():
            made = self._table.delete(where)
            self._committed(made.version)
        return int(made.num_deleted_rows)

    def fold_in(self) -> None:
        """Bring both indexes up to date and join small files, once enough has come in since.

        Searches are right before it, and faster after it.
        """
        apart = max((one.num_unindexed_rows or 0 for one in self._table.list_indices()), default=0)
        if apart < max(1, min(_MOST_APART, _SHARE_APART * self.count())):
            return
        with self._committing():
            self._table.optimize()
        self.begin()

    def make_approximate(self) -> None:
        """Build HNSW over vectors in 8 bits, by which searches find nearly all of the nearest."""
        from lancedb.index import HnswSq

        with self._committing():
            self._table.create_index("vector", config=HnswSq(distance_type="cosine"))
        self.begin()

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

    def bytes(self) -> int:
        """Size on disk of all versions, or of the rows of this one in object storage."""
        if isinstance(self.place, Path):
            return bytes_on_disk(self.place)
        return int(self._table.stats()["total_bytes"])

    def _go_back(self, version: int) -> None:
        kept = [one["version"] for one in self.versions()]
        if version not in kept:
            raise BadInput(f"{self.place}: version {version} is not kept; there are {spans(kept)}")
        self._table.checkout(version)

    @contextmanager
    def _committing(self) -> Iterator[None]:
        """Build on no version but the one that is known, and say in one sentence what fails."""
        with saying_what_failed(self.place), _refusing_conflicts(self.place):
            if self.version != self._known:
                raise BadInput(_OTHERS.format(self.place))
            yield

    def _committed(self, version: int) -> None:
        """Take note of a commit; two writers that committed in the same moment see it here."""
        alone = version == self._known + 1
        self._known = version
        if not alone:
            raise BadInput(_OTHERS.format(self.place))

    def _rows(self, documents: Sequence[DocumentRows], vectors: NDArray[np.float32]) -> pa.Table:
        rows = [(row, one.digest) for one in documents for row in one.rows]
        records = [{**asdict(row), "words": row.words, "digest": digest} for row, digest in rows]
        texts = pa.Table.from_pylist(
            records, schema=pa.schema([f for f in self._table.schema if f.name != "vector"])
        )
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
        held = pa.FixedSizeListArray.from_arrays(flat, self.dimensions)
        return texts.append_column(self._table.schema.field("vector"), held)


def one_of(column: str, values: Sequence[str]) -> str:
    """The filter that a column holds one of some texts.

    Example:
        >>> one_of("document", ["it's", "b"])
        "document IN ('it''s', 'b')"
    """
    quoted = ("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({', '.join(quoted)})"


def _lancedb() -> Any:
    try:
        import lancedb
    except ImportError:
        raise MissingExtra("lancedb", "search") from None
    return lancedb


def _connected(place: Place) -> Any:
    return _lancedb().connect(place, read_consistency_interval=timedelta(0))


@contextmanager
def _refusing_conflicts(place: Place) -> Iterator[None]:
    """Turn Lance's refusal of a commit that another has overtaken into one sentence."""
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        overtaken = re.search("commit conflict|already exists", str(error), re.IGNORECASE)
        if isinstance(error, BadInput) or not overtaken:
            raise
        raise BadInput(_OTHERS.format(place)) from error


def spans(numbers: Sequence[int]) -> str:
    """Ascending numbers in words, neighbours as a span.

    Example:
        >>> spans([1, 2, 3, 5, 8, 9])
        '1 to 3, 5, 8 to 9'
    """
    breaks = [at for at in range(1, len(numbers)) if numbers[at] != numbers[at - 1] + 1]
    runs = [numbers[start:stop] for start, stop in zip([0, *breaks], [*breaks, None], strict=True)]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


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
