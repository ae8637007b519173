"""An index of passages in a folder: built from documents, kept up to date, and searched by vectors, words, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from polyvec.console import progress_bar
from polyvec.data.documents import Skipped
from polyvec.data.sources import read_documents
from polyvec.encoders.encoding import encode
from polyvec.encoders.installed_models import installed_folder
from polyvec.encoders.loading import installed_base, load, model_fingerprint
from polyvec.errors import BadInput
from polyvec.search.hits import Hit, fuse
from polyvec.search.lance_table import COLUMNS, PassageTable, bytes_of, one_of, writing
from polyvec.search.passage_rows import DocumentRows, Origin, document_rows

__all__ = ["Changes", "Hit", "Index", "Mode"]

Mode = Literal["hybrid", "vectors", "words"]
Model = str | Path | SentenceTransformer

APPROXIMATE_FROM = 50_000
"""Passages from which an index becomes approximate by itself."""

_COMMIT = 1024
"""Passages between two commits: some 20 s of work on two CPU cores."""
_FUSED = 100
"""Passages of each ranking that hybrid search fuses, at the least."""


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


class Index:
    """Passages with their vectors and words in a folder; made by `build` and `open`.

    Vectors are compared by cosine, words by BM25 over title, headings and text. A passage is encoded as it stands,
    without title and headings, which is how `polyvec adapt` trains and examines models.

    Attributes:
        path: the folder.
        changes: what the last `build` or `add` of this object did.
    """

    def __init__(self, path: Path, table: PassageTable, model: Model | None, device: str) -> None:
        self.path = path
        self.changes: Changes | None = None
        self._table = table
        self._device = device
        self._model = None if model is None else self._checked(model)

    @classmethod
    def build(
        cls,
        path: str | Path,
        source: str,
        *,
        model: Model | None = None,
        text_column: str | None = None,
        approximate: bool | None = None,
        device: str = "auto",
        restart: bool = False,
    ) -> Index:
        """Make an index of a source, or bring one up to date with it.

        Called again it encodes the documents that are new or changed, and removes those that the source no longer has;
        what came from other sources stays. Every 1,024 passages are committed, so that the same call after a kill
        continues.

        Args:
            path: folder of the index.
            source: as for `polyvec.data.sources.read_documents`.
            model: as for `polyvec.load`, or an open model; by default the one that built the index, else the best one
                installed.
            text_column: the column of a table that holds the text; found by its name where None.
            approximate: search vectors through HNSW; by default from 50,000 passages on. An index that is
                approximate stays so.
            device: as for `polyvec.load`.
            restart: forget the index that is there.

        Returns:
            The index; its ``changes`` say what was done.

        Raises:
            BadInput: when the source holds no text, when another model built the index, when a document of the
                same id came from another source, when another process writes to the index, or the disk is full.

        Example:
            >>> index = Index.build("docs.index", "docs/", model="minilm")  # doctest: +SKIP
            >>> index.search("merge two tables", k=1)[0].document  # doctest: +SKIP
            'guide/joining.md'
        """
        path = Path(path).expanduser()
        if path.exists() and not path.is_dir():
            raise BadInput(f"{path}: a file; give a folder for the index")
        documents, skipped = _read(source, text_column)
        with writing(path):
            table = None if restart else PassageTable.open(path)
            index = cls(path, table, model, device) if table else cls._create(path, model, device)
            index.changes = index._bring_in(source, documents, skipped, forget_missing=True)
            if approximate or (approximate is None and index._table.count() >= APPROXIMATE_FROM):
                index._make_approximate()
        return index

    @classmethod
    def open(cls, path: str | Path, *, model: Model | None = None, device: str = "auto") -> Index:
        """Open an index; its model is opened when a search, or ``.model``, first needs it.

        Args:
            path: folder of the index.
            model: as for `build`; it is checked at once.
            device: as for `polyvec.load`.

        Raises:
            BadInput: when there is no index, or another model built it.

        Example:
            >>> Index.open("nowhere")
            Traceback (most recent call last):
            ...
            polyvec.errors.BadInput: nowhere: no index there; make one with: polyvec index build nowhere --from SOURCE
        """
        path = Path(path).expanduser()
        table = PassageTable.open(path)
        if table is None:
            raise BadInput(
                f"{path}: no index there; make one with: polyvec index build {path} --from SOURCE"
            )
        return cls(path, table, model, device)

    @property
    def model(self) -> SentenceTransformer:
        """The model that built the index.

        Raises:
            BadInput: when it is not where it was, or has changed since.
        """
        if self._model is None:
            name = self._table.metadata()["model"]
            if not name:
                raise BadInput(f"{self.path}: built by a model without a name; give it as model=")
            try:
                opened = load(name, self._device)
            except BadInput as error:
                raise BadInput(
                    f"{self.path}: built by the model {name}, which cannot be opened ({error}); "
                    "name where it is now with --model"
                ) from None
            self._model = self._checked(opened, name)
        return self._model

    def add(self, source: str, *, text_column: str | None = None) -> Changes:
        """Put documents in; those the index holds unchanged are not encoded again, and none is removed.

        Args:
            source: as for `build`.
            text_column: as for `build`.

        Returns:
            What was done.

        Raises:
            BadInput: as `build` does.
        """
        documents, skipped = _read(source, text_column)
        with writing(self.path):
            self.changes = self._bring_in(source, documents, skipped, forget_missing=False)
        return self.changes

    def delete(self, documents: Sequence[str] = (), *, where: str | None = None) -> int:
        """Take documents out by their ids, or passages by a filter.

        Args:
            documents: ids of documents.
            where: SQL over the columns that `info` lists.

        Returns:
            The number of passages that were removed.

        Raises:
            BadInput: when neither or both are given, when an id is unknown, or the filter is malformed.
        """
        if bool(documents) == bool(where and where.strip()):
            raise BadInput("delete needs either ids of documents or a filter")
        if documents:
            where = one_of("document", documents)
            unknown = set(documents) - set(self._table.columns("document")["document"].to_pylist())
            if unknown:
                raise BadInput(f"{self.path}: holds no document {min(unknown)!r}")
        with writing(self.path):
            return self._table.delete(where or "")

    def info(self) -> dict[str, Any]:
        """Model, sizes, sources and versions.

        Returns:
            ``path``, ``model`` (name), ``fingerprint``, ``dimensions``, ``documents``, ``passages``, ``sources``
            (name → documents), ``approximate``, ``bytes`` on disk, and ``versions`` (version, time and passages of
            every commit, oldest first).
        """
        metadata = self._table.metadata()
        sources = Counter(home for _, home in self._held().values())
        return {
            "path": str(self.path),
            "model": metadata["model"],
            "fingerprint": metadata["fingerprint"],
            "dimensions": self._table.dimensions,
            "documents": sources.total(),
            "passages": self._table.count(),
            "sources": dict(sorted(sources.items())),
            "approximate": self._table.is_approximate(),
            "bytes": bytes_of(self.path),
            "versions": self._table.versions(),
        }

    def search(
        self,
        query: str,
        k: int = 10,
        mode: Mode = "hybrid",
        where: str | None = None,
        *,
        exact: bool = False,
    ) -> list[Hit]:
        """The passages that answer a query best.

        Args:
            query: in words.
            k: most hits.
            mode: ``vectors`` by cosine, ``words`` by BM25, ``hybrid`` by the reciprocal rank fusion of the 100 best
                (or ``k``, where that is more) of both.
            where: SQL over ``id``, ``document``, ``title``, ``heading``, ``source``, ``place``, ``kind`` and ``text``;
                it holds before anything is ranked.
            exact: compare with every vector, where the index is approximate.

        Returns:
            Best first.

        Raises:
            BadInput: when the query is empty, ``k`` is below 1, there is no such mode, or the filter is malformed.
        """
        if k < 1:
            raise BadInput(f"k = {k}: give 1 or more")
        if mode not in get_args(Mode):
            raise BadInput(f"mode {mode!r}: give {', '.join(get_args(Mode))}")
        if not query.strip():
            raise BadInput("the query is empty; give some words")
        where = where if where and where.strip() else None
        depth = max(k, _FUSED) if mode == "hybrid" else k
        by_vector = by_words = None
        if mode != "words":
            [vector] = encode(self.model, [query], task="query", normalize=True)
            by_vector = self._table.nearest(vector, depth, where, exact=exact)
        if mode != "vectors":
            by_words = self._table.sharing_words(query, depth, where)
        return fuse(by_vector, by_words, k)

    def rows(self) -> list[dict[str, str]]:
        """All passages sorted by id: the columns that a filter may name, for maps and exports."""
        rows: list[dict[str, str]] = self._table.columns(*COLUMNS).to_pylist()
        return rows

    def vectors(self) -> NDArray[np.float32]:
        """The vectors of `rows` in the same order, of length 1: shape (passages, dimensions)."""
        column = self._table.columns("vector")["vector"].combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, np.float32).reshape(-1, self._table.dimensions)

    @classmethod
    def _create(cls, path: Path, model: Model | None, device: str) -> Index:
        named = installed_base() if model is None else model
        opened = named if isinstance(named, SentenceTransformer) else load(named, device)
        dimensions = opened.get_embedding_dimension()
        if not dimensions:
            raise BadInput(f"{_name(named) or 'this model'}: does not say how long its vectors are")
        metadata = {"model": _name(named), "fingerprint": model_fingerprint(opened)}
        table = PassageTable.create(path, dimensions, metadata)
        index = cls(path, table, None, device)
        index._model = opened
        return index

    def _checked(self, model: Model, name: str = "") -> SentenceTransformer:
        """The model, opened, if it is the one that built the index."""
        opened = model if isinstance(model, SentenceTransformer) else load(model, self._device)
        built = self._table.metadata()
        if model_fingerprint(opened) != built["fingerprint"]:
            what = (
                f"{name} has changed since it built this index"
                if name
                else f"built by another model ({built['model'] or 'it had no name'})"
            )
            raise BadInput(
                f"{self.path}: {what}; give the one that did, or build the index again with --restart"
            )
        return opened

    def _held(self) -> dict[str, tuple[str, str]]:
        """Digest and source of each document in the index."""
        names = ["document", "digest", "source"]
        rows = self._table.columns(*names).group_by(names).aggregate([]).to_pylist()
        return {row["document"]: (row["digest"], row["source"]) for row in rows}

    def _bring_in(
        self,
        source: str,
        documents: Sequence[DocumentRows],
        skipped: Sequence[Skipped],
        *,
        forget_missing: bool,
    ) -> Changes:
        held = self._held()
        _refuse_other_sources(source, documents, held)
        missing = [one for one in documents if held.get(one.document, ("",))[0] != one.digest]
        changed = {one.document for one in missing if one.document in held}
        full = [one for one in missing if one.rows]
        encoded = self._encode_and_commit(full, changed)
        gone = [one.document for one in missing if not one.rows and one.document in changed]
        removed: list[str] = []
        if forget_missing:
            kept = {one.document for one in documents}
            sources = {one.source for one in documents}
            removed = [id for id, (_, home) in held.items() if home in sources and id not in kept]
        if gone or removed:
            self._table.delete(one_of("document", [*gone, *removed]))
        if full or gone or removed:
            self._table.fold_in()
        empty = [Skipped(one.document, "no passage in it") for one in documents if not one.rows]
        return Changes(
            added=sum(one.document not in changed for one in full),
            changed=len(changed),
            unchanged=sum(bool(one.rows) for one in documents) - len(full),
            removed=len(removed),
            encoded=encoded,
            skipped=(*skipped, *empty),
        )

    def _encode_and_commit(self, documents: Sequence[DocumentRows], changed: set[str]) -> int:
        passages = sum(len(one.rows) for one in documents)
        with progress_bar() as bar:
            bar.disable = not passages
            line = bar.add_task("indexing passages", total=passages)
            for batch in _batches(documents):
                texts = [row.text for one in batch for row in one.rows]
                vectors = encode(self.model, texts, task="document", normalize=True)
                replaced = [one.document for one in batch if one.document in changed]
                self._table.commit(batch, vectors, replaced)
                bar.advance(line, len(texts))
        return passages

    def _make_approximate(self) -> None:
        if not self._table.is_approximate():
            self._table.make_approximate()


def _read(source: str, text_column: str | None) -> tuple[list[DocumentRows], list[Skipped]]:
    reading = read_documents(source, text_column)
    origin = Origin(source)
    documents = [document_rows(document, origin) for document in reading.documents]
    if not any(one.rows for one in documents):
        raise BadInput(f"{source}: holds no text that could be searched")
    return documents, reading.skipped


def _refuse_other_sources(
    source: str, documents: Sequence[DocumentRows], held: Mapping[str, tuple[str, str]]
) -> None:
    """One id, one source: a document would silently replace another that merely is called the same."""
    for document in documents:
        _, home = held.get(document.document, ("", document.source))
        if home != document.source:
            raise BadInput(
                f"{source}: its document {document.document!r} is in the index already, from {home}; "
                "delete that one first, or index a folder that holds both"
            )


def _batches(documents: Sequence[DocumentRows]) -> Iterator[list[DocumentRows]]:
    """Whole documents, `_COMMIT` passages or somewhat more at a time."""
    batch: list[DocumentRows] = []
    passages = 0
    for document in documents:
        batch.append(document)
        passages += len(document.rows)
        if passages >= _COMMIT:
            yield batch
            batch, passages = [], 0
    if batch:
        yield batch


def _name(model: Model) -> str:
    """How the model is found again from any folder; empty for one that was given open."""
    if isinstance(model, SentenceTransformer):
        return ""
    if isinstance(model, str) and installed_folder(model):
        return model
    path = Path(model).expanduser()
    return str(path.resolve()) if path.is_dir() else str(model)
