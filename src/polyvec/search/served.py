"""What a server serves: models, each with its queue, and the index that one of them made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from sentence_transformers import SentenceTransformer

from polyvec.encoders.encoding import encode
from polyvec.errors import BadInput
from polyvec.search.dynamic_batching import DynamicBatching
from polyvec.search.kept_map import KeptMap
from polyvec.search.lance_table import NAME
from polyvec.search.openai_format import ModelEntry
from polyvec.search.storage import place_of

Mode = Literal["hybrid", "vectors", "words"]


class Passage(Protocol):
    """What a search finds."""

    @property
    def id(self) -> str:
        """Of the passage."""

    @property
    def document(self) -> str:
        """Id of the document that it is from."""

    @property
    def title(self) -> str:
        """Of the document."""

    @property
    def heading(self) -> str:
        """Above the passage."""

    @property
    def text(self) -> str:
        """Of the passage."""

    @property
    def score(self) -> float:
        """Higher is better; comparable within one search only."""


class Searchable(Protocol):
    """An index, as far as a server knows it."""

    @property
    def model(self) -> SentenceTransformer:
        """What its vectors were made with."""

    def search(self, query: str, k: int, mode: Mode, where: str | None) -> Sequence[Passage]:
        """The best ``k`` passages, best first; ``where`` is a filter on columns."""


class Ranked(NamedTuple):
    """A passage and its score in the order that was asked for."""

    passage: Passage
    score: float


@dataclass(slots=True)
class Served:
    """A model under its name.

    Args:
        name: what requests call it.
        batching: its queue.
        index: where it made one.
        map: of that index, to be shown.
    """

    name: str
    batching: DynamicBatching
    index: Searchable | None = None
    map: KeptMap | None = None
    since: int = field(default_factory=lambda: int(time.time()))

    @property
    def dimensions(self) -> int:
        """Numbers in its vectors."""
        return self.batching.model.get_embedding_dimension() or 0

    def entry(self, searchable: bool) -> ModelEntry:
        """Its line in /v1/models."""
        longest = self.batching.model.max_seq_length
        return ModelEntry(
            id=self.name,
            created=self.since,
            dimensions=self.dimensions,
            # Models that look words up in a table read texts of any length, and say infinity.
            max_tokens=longest if longest and isfinite(longest) else None,
            searchable=searchable,
        )


def search(
    index: Searchable, served: Served, query: str, k: int, mode: Mode, where: str | None
) -> Future[list[Ranked]]:
    """Search an index in the thread of its model."""

    def find() -> list[Ranked]:
        return [Ranked(hit, float(hit.score)) for hit in index.search(query, k, mode, where)]

    return served.batching.call(find)


def reorder(served: Served, query: str, found: Sequence[Ranked], k: int) -> Future[list[Ranked]]:
    """What another model found, in the order of this model's cosines between query and passage text.

    It shows how a second model would rank without an index of its own. It sees only what the first one found.
    """

    def rank() -> list[Ranked]:
        model = served.batching.model
        if not found:
            return []
        wanted = encode(model, [query], task="query", normalize=True, precision="float32")[0]
        texts = [one.passage.text for one in found]
        vectors = encode(model, texts, task="document", normalize=True, precision="float32")
        scores = vectors @ wanted
        best = np.argsort(-scores, kind="stable")[:k]
        return [Ranked(found[n].passage, float(scores[n])) for n in best]

    return served.batching.call(rank)


def name_of(given: str) -> str:
    """What a model or index is called where nobody says: without folders, which are nobody's business.

    Example:
        >>> name_of("minilm"), name_of("runs/law/"), name_of("runs/law/model"), name_of("BAAI/bge-small-en")
        ('minilm', 'law', 'law', 'BAAI/bge-small-en')
    """
    path = Path(given).expanduser()
    if not path.is_dir() and not given.endswith("/") and given.count("/") == 1:
        return given  # a name on the hub
    path = path.resolve() if given.startswith((".", "~")) else path
    return path.parent.name or path.name if path.name == "model" else path.name


def check_names(served: Sequence[Served]) -> None:
    """Refuse two models of one name.

    Raises:
        BadInput: when there are.
    """
    names = [each.name for each in served]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"two models are called {name!r}; name one of them with --name")


def is_index(given: str) -> bool:
    """Whether a folder holds an index rather than a model; in object storage nothing else is looked for.

    Example:
        >>> is_index("minilm")
        False
    """
    place = place_of(given)
    return isinstance(place, str) or (place / f"{NAME}.lance").is_dir()
