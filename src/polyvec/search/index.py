"""An index of passages in a folder or in object storage: built from documents, kept up to date, and searched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from polyvec.encoders.encoding import encode
from polyvec.encoders.installed_models import installed_folder
from polyvec.encoders.loading import installed_base, load, model_fingerprint
from polyvec.encoders.ray_engine import RayJob, check_engine, encode_lists_on_ray
from polyvec.encoders.token_batches import Vectors
from polyvec.errors import BadInput
from polyvec.search.changes import Changes, Encode, bring_in, read
from polyvec.search.hits import Hit, fuse
from polyvec.search.lance_table import COLUMNS, PassageTable, one_of
from polyvec.search.storage import Place, place_of, writing

__all__ = ["Changes", "Hit", "Index", "Mode"]

Mode = Literal["hybrid", "vectors", "words"]
Model = str | Path | SentenceTransformer

APPROXIMATE_FROM = 50_000
"""Passages from which an index becomes approximate by itself."""

_FUSED = 100
"""Passages of each ranking that hybrid search fuses, at the least."""


class Index:
    """Passages with their vectors and words in a folder or in object storage; made by `build` and `open`.

    Vectors are compared by cosine, words by BM25 over title, headings and text. A passage is encoded as it stands,
    without title and headings, which is how `polyvec adapt` trains and examines models.

    Attributes:
        path: the folder, or the URL.
        version: the older version that is open, to read only; None for the newest.
        changes: what the last `build` or `add` of this object did.
    """

    def __init__(
        self, table: PassageTable, model: Model | None, device: str, version: int | None = None
    ) -> None:
        self.path = table.place
        self.version = version
        self.changes: Changes | None = None
        self._table = table
        self._device = device
        self._named = "" if model is None else _name(model)
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
        engine: str = "local",
        address: str | None = None,
    ) -> Index:
        """Make an index of a source, or bring one up to date with it.

        Called again it encodes the documents that are new or changed, and removes those that the source no longer has;
        what came from other sources stays. Every 1,024 passages are committed, so that the same call after a kill
        continues.

        Args:
            path: folder of the index, or its URL in object storage: ``s3://bucket/docs.index``, ``gs://``, ``az://``.
            source: as for `polyvec.data.sources.read_documents`.
            model: as for `polyvec.load`, or an open model; by default the one that built the index, else the best one
                installed.
            text_column: the column of a table that holds the text; found by its name where None.
            approximate: search vectors through HNSW; by default from 50,000 passages on. An index that is
                approximate stays so.
            device: as for `polyvec.load`.
            restart: forget the index that is there.
            engine: ``local`` encodes in this process, ``ray`` on the workers of a cluster.
            address: of the cluster, as ``ray.init`` takes it; by default Ray runs on this machine for the time.

        Returns:
            The index; its ``changes`` say what was done.

        Raises:
            BadInput: when the source holds no text, when another model built the index, when a document of the
                same id came from another source, when another writes to the index, the disk is full, or the object
                store or the cluster cannot be used.

        Example:
            >>> index = Index.build("docs.index", "docs/", model="minilm")  # doctest: +SKIP
            >>> index.search("merge two tables", k=1)[0].document  # doctest: +SKIP
            'guide/joining.md'
        """
        place = place_of(path)
        if isinstance(place, Path) and place.exists() and not place.is_dir():
            raise BadInput(f"{place}: a file; give a folder for the index")
        documents, skipped = read(source, text_column)
        with writing(place):
            table = None if restart else PassageTable.open(place)
            index = cls(table, model, device) if table else cls._create(place, model, device)
            encoder = index._encoder(engine, address)
            index.changes = bring_in(
                index._table, source, documents, skipped, encoder, forget_missing=True
            )
            if approximate or (approximate is None and index._table.count() >= APPROXIMATE_FROM):
                index._make_approximate()
        return index

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        model: Model | None = None,
        device: str = "auto",
        version: int | None = None,
    ) -> Index:
        """Open an index; its model is opened when a search, or ``.model``, first needs it.

        Args:
            path: as for `build`.
            model: as for `build`; it is checked at once.
            device: as for `polyvec.load`.
            version: one of those that `info` lists, to read what the index held then.

        Raises:
            BadInput: when there is no index, another model built it, or the version is not kept.

        Example:
            >>> Index.open("nowhere")
            Traceback (most recent call last):
            ...
            polyvec.errors.BadInput: nowhere: no index there; make one with: polyvec index build nowhere --from SOURCE
        """
        place = place_of(path)
        table = PassageTable.open(place, version)
        if table is None:
            raise BadInput(
                f"{place}: no index there; make one with: polyvec index build {place} --from SOURCE"
            )
        return cls(table, model, device, version)

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

    def add(
        self,
        source: str,
        *,
        text_column: str | None = None,
        engine: str = "local",
        address: str | None = None,
    ) -> Changes:
        """Put documents in; those the index holds unchanged are not encoded again, and none is removed.

        Args:
            source: as for `build`.
            text_column: as for `build`.
            engine: as for `build`.
            address: as for `build`.

        Returns:
            What was done.

        Raises:
            BadInput: as `build` does, and when an older version is open.
        """
        documents, skipped = read(source, text_column)
        with self._writing():
            self.changes = bring_in(
                self._table,
                source,
                documents,
                skipped,
                self._encoder(engine, address),
                forget_missing=False,
            )
        return self.changes

    def delete(self, documents: Sequence[str] = (), *, where: str | None = None) -> int:
        """Take documents out by their ids, or passages by a filter.

        Args:
            documents: ids of documents.
            where: SQL over the columns that `info` lists.

        Returns:
            The number of passages that were removed.

        Raises:
            BadInput: when neither or both are given, when an id is unknown, the filter is malformed, or an older
                version is open.
        """
        if bool(documents) == bool(where and where.strip()):
            raise BadInput("delete needs either ids of documents or a filter")
        if documents:
            where = one_of("document", documents)
            unknown = set(documents) - self._table.documents().keys()
            if unknown:
                raise BadInput(f"{self.path}: holds no document {min(unknown)!r}")
        with self._writing():
            return self._table.delete(where or "")

    def restore(self) -> None:
        """Bring the older version that is open back as the newest one; those in between stay, too.

        Raises:
            BadInput: when the newest is open already.

        Example:
            >>> Index.open("docs.index", version=3).restore()  # doctest: +SKIP
        """
        if self.version is None:
            raise BadInput(f"{self.path}: the newest version is open; name an older one to restore")
        with writing(self.path):
            self._table.restore()
        self.version = None

    def info(self) -> dict[str, Any]:
        """Model, sizes, sources and versions.

        Returns:
            ``path``, ``model`` (name), ``fingerprint``, ``dimensions``, ``documents``, ``passages``, ``sources``
            (name → documents), ``approximate``, ``bytes`` (on disk of all versions, in object storage of this one),
            ``version``, and ``versions`` (version, time and passages of every commit that is kept, oldest first).
        """
        metadata = self._table.metadata()
        sources = Counter(home for _, home in self._table.documents().values())
        return {
            "path": str(self.path),
            "model": metadata["model"],
            "fingerprint": metadata["fingerprint"],
            "dimensions": self._table.dimensions,
            "documents": sources.total(),
            "passages": self._table.count(),
            "sources": dict(sorted(sources.items())),
            "approximate": self._table.is_approximate(),
            "bytes": self._table.bytes(),
            "version": self._table.version,
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
    def _create(cls, place: Place, model: Model | None, device: str) -> Index:
        named = installed_base() if model is None else model
        opened = named if isinstance(named, SentenceTransformer) else load(named, device)
        dimensions = opened.get_embedding_dimension()
        if not dimensions:
            raise BadInput(f"{_name(named) or 'this model'}: does not say how long its vectors are")
        metadata = {"model": _name(named), "fingerprint": model_fingerprint(opened)}
        table = PassageTable.create(place, dimensions, metadata)
        index = cls(table, None, device)
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

    def _encoder(self, engine: str, address: str | None) -> Encode:
        """How documents are encoded: in this process, or on Ray."""
        check_engine(engine, address)
        if engine == "local":
            return self._encode
        fingerprint = model_fingerprint(self.model)
        name = self._named or self._table.metadata()["model"]
        job = RayJob(name, fingerprint, self._device, task="document", normalize=True)
        return partial(encode_lists_on_ray, job, address=address)

    def _encode(self, lists: Sequence[Sequence[str]]) -> Iterator[tuple[int, Vectors]]:
        for number, texts in enumerate(lists):
            yield number, encode(self.model, texts, task="document", normalize=True)

    def _make_approximate(self) -> None:
        if not self._table.is_approximate():
            self._table.make_approximate()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Refuse an older version, and other writers."""
        if self.version is not None:
            raise BadInput(
                f"{self.path}: version {self.version} is older and can only be read; bring it back with: "
                f"polyvec index restore {self.path} --version {self.version}"
            )
        with writing(self.path):
            self._table.begin()
            yield


def _name(model: Model) -> str:
    """How the model is found again from any folder; empty for one that was given open."""
    if isinstance(model, SentenceTransformer):
        return ""
    if isinstance(model, str) and installed_folder(model):
        return model
    path = Path(model).expanduser()
    return str(path.resolve()) if path.is_dir() else str(model)
