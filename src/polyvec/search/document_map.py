"""A map of an index: passages that mean alike lie together, and places carry the names of their topics.

The layout is UMAP's (McInnes, Healy and Melville 2018, arXiv:1802.03426) over cosines between the vectors of the index.
The distance of two near passages means something; that of two far ones, and the directions, mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyvec.console import console
from polyvec.errors import BadInput, MissingExtra
from polyvec.search.lance_table import COLUMNS, PassageTable
from polyvec.search.map_topics import Topic, find_topics
from polyvec.search.storage import Place, place_of

MOST = 20_000
"""Passages on a map, unless said otherwise: a minute or two of layout and 10 MB of page."""

_NEIGHBOURS = 15
"""UMAP's: passages around one whose distances are kept."""
_MARGIN = 0.5
"""Percent of passages at each edge that do not stretch the map: UMAP throws single ones far out."""
_ANGLES = 36
"""By which a map is turned to see which one fills a screen best."""
_SCREEN = 1.3
"""Width of a screen over its height, with a column of text beside the map."""


@dataclass(frozen=True, eq=False)
class DocumentMap:
    """Where passages lie and what they are about; made by `draw_map`.

    Attributes:
        name: of the index.
        model: that made the vectors.
        version: of the index.
        of: passages that were there to draw; more than are drawn where only some were.
        rows: the passages drawn, by column of the index.
        places: of the passages, shape (passages, 2); x to the right, y up; all but single
            ones within -1 to 1, and of y mostly less.
        topics: see `polyvec.search.map_topics.find_topics`.
        topic: number of each passage's topic, shape (passages,).
    """

    name: str
    model: str
    version: int
    of: int
    rows: list[dict[str, str]]
    places: NDArray[np.float32]
    topics: list[Topic]
    topic: NDArray[np.int64]


def draw_map(
    path: str | Path, *, where: str | None = None, seed: int = 0, most: int = MOST
) -> DocumentMap:
    """Lay the passages of an index out on two dimensions, and find and name their topics.

    The same index, filter and seed give the same map on the same machine. Passages without a direction, of which the
    model knows no word, have no place and are left out.

    Args:
        path: folder of the index, or its URL.
        where: SQL over the columns that `polyvec.search.index.Index.search` lists.
        seed: of the layout, and of the choice where there are more than ``most`` passages.
        most: passages on the map; of more, so many are drawn by chance.

    Raises:
        BadInput: when there is no index, no passage passes, or the filter is malformed.
        MissingExtra: when umap-learn is not installed.

    Example:
        >>> draw_map("nowhere")
        Traceback (most recent call last):
        ...
        polyvec.errors.BadInput: nowhere: no index there; make one with: polyvec index build nowhere --from SOURCE
    """
    place = place_of(path)
    if most < 1:
        raise BadInput(f"most = {most}: give 1 or more")
    if seed < 0:
        raise BadInput(f"seed = {seed}: give 0 or more")
    table = opened(place)
    version = version_of(table)
    rows, vectors = _passages(table, where)
    if not rows:
        passing = f" passes the filter {where!r}" if where else " that has a word the model knows"
        raise BadInput(f"{place}: holds no passage{passing}, so there is nothing to draw")
    total = len(rows)
    if total > most:
        chosen = np.sort(np.random.default_rng(seed).choice(total, most, replace=False))
        rows, vectors = [rows[n] for n in chosen], vectors[chosen]
    with console.status(f"laying out {len(rows):,} passages"):
        places = _framed(_layout(vectors, seed))
    # Without titles: one that a whole book shares would name every topic of the book.
    texts = [f"{row['heading']}. {row['text']}" for row in rows]
    with console.status("naming topics"):
        topics, topic = find_topics(places, texts)
    return DocumentMap(
        name=place.resolve().name if isinstance(place, Path) else place.rpartition("/")[2],
        model=Path(table.metadata()["model"]).name,
        version=version,
        of=total,
        rows=rows,
        places=places,
        topics=topics,
        topic=topic,
    )


def opened(place: Place) -> PassageTable:
    """The table of an index, without its model.

    Raises:
        BadInput: when there is none.
    """
    table = PassageTable.open(place)
    if table is None:
        raise BadInput(
            f"{place}: no index there; make one with: polyvec index build {place} --from SOURCE"
        )
    return table


def version_of(table: PassageTable) -> int:
    """Number of the last commit."""
    return int(table.versions()[-1]["version"])


def _passages(
    table: PassageTable, where: str | None
) -> tuple[list[dict[str, str]], NDArray[np.float32]]:
    """Rows that pass and have a direction, and their vectors, both of one commit."""
    columns = table.columns(*COLUMNS, "vector")
    flat = columns["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = np.asarray(flat, np.float32).reshape(-1, table.dimensions)
    rows: list[dict[str, str]] = columns.drop_columns("vector").to_pylist()
    kept = vectors.any(1)
    if where and where.strip() and rows:
        # A search for as many as there are finds all that pass; which vector it is for does not matter.
        towards = np.ones(table.dimensions, np.float32)
        passing = {one.row["id"] for one in table.nearest(towards, len(rows), where, exact=True)}
        kept &= np.array([row["id"] in passing for row in rows])
    return [rows[n] for n in np.flatnonzero(kept)], vectors[kept]


def _layout(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    if len(vectors) <= _NEIGHBOURS:  # too few for UMAP to see neighbourhoods among
        return _principal(vectors)
    umap: Any = _umap()
    reducer = umap.UMAP(
        n_neighbors=_NEIGHBOURS,
        metric="cosine",
        init=_principal(vectors),
        random_state=seed,
        n_jobs=1,  # more than one would not give the same map twice
    )
    return np.asarray(reducer.fit_transform(vectors), np.float32)


def _principal(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The two directions in which vectors differ most, scaled for UMAP's beginning."""
    centred = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    found = centred @ axes[:, :-3:-1]
    found *= 10 / max(float(np.abs(found).max()), 1e-9)
    return np.asarray(found, np.float32)


def _framed(places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turned so that the map fills a screen best, and scaled to -1 to 1 in the longer direction."""
    turns = [_turned(places, angle) for angle in np.linspace(0, np.pi, _ANGLES, endpoint=False)]
    turned = min(turns, key=lambda found: max(_breadth(found) / (_SCREEN, 1)))
    middle = np.percentile(turned, [_MARGIN, 100 - _MARGIN], axis=0).mean(0)
    half = max(float(_breadth(turned).max()) / 2, 1e-9)
    return np.asarray((turned - middle) / half, np.float32)


def _turned(places: NDArray[np.float32], angle: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(places @ np.array([[cosine, sine], [-sine, cosine]]), np.float64)


def _breadth(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """In both directions, without single passages far out."""
    low, high = np.percentile(places, [_MARGIN, 100 - _MARGIN], axis=0)
    return np.asarray(high - low, np.float64)


def _umap() -> Any:
    try:
        import umap
    except ImportError:
        raise MissingExtra("umap-learn", "map") from None
    return umap
