"""The page of a map: one file that shows, finds and explains passages, and asks nobody for anything.

Written here rather than by a library, since those that draw such pages fetch their scripts from elsewhere when the page
is opened (datamapplot), or need a server beside it (embedding-atlas).
"""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from polyvec.search.document_map import DocumentMap
from polyvec.search.pages import render

COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#832db6"),
    *("#a96b59", "#e76300", "#92dadd", "#b9ac70"),
)
"""Petroff's 2021 (arXiv:2107.02270), which colour-blind people tell apart, without its greys."""
GREY = "#94a4a2"
"""Of what is too rare for a colour."""

_DECIMALS = 4


def map_data(drawn: DocumentMap) -> dict[str, Any]:
    """What a page shows, as JSON takes it.

    Returns:
        ``name``, ``model``, ``version``, ``of`` and ``topics`` as in `DocumentMap`; ``documents`` with ``id``,
        ``title`` and ``source``; and ``passages``, a list a column, where ``document`` and ``topic`` are numbers.
        Of sources that are paths only the last part is told: where things lie on a machine is nobody's business.
    """
    documents = list(dict.fromkeys(row["document"] for row in drawn.rows))
    number = {document: n for n, document in enumerate(documents)}
    first = {row["document"]: row for row in reversed(drawn.rows)}
    return {
        "name": drawn.name,
        "model": drawn.model,
        "version": drawn.version,
        "of": drawn.of,
        "topics": [
            {
                "label": topic.label,
                "large": topic.large,
                "passages": topic.passages,
                "place": topic.place,
            }
            for topic in drawn.topics
        ],
        "documents": [
            {
                "id": document,
                "title": first[document]["title"],
                "source": first[document]["source"].rstrip("/").rpartition("/")[2],
            }
            for document in documents
        ],
        "passages": {
            "x": [round(float(x), _DECIMALS) for x in drawn.places[:, 0]],
            "y": [round(float(y), _DECIMALS) for y in drawn.places[:, 1]],
            "topic": drawn.topic.tolist(),
            "document": [number[row["document"]] for row in drawn.rows],
            **{
                name: [row[name] for row in drawn.rows]
                for name in ("id", "heading", "kind", "text")
            },
        },
    }


def map_page(drawn: DocumentMap) -> str:
    """The page of a map with all that it shows inside."""
    # As in every script element: only the sign that could end the element is written otherwise.
    inside = json.dumps(map_data(drawn), ensure_ascii=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )
    return _rendered(Markup(inside), keys=False)


def served_map_page(keys: bool) -> str:
    """The page of a map that asks its server for what it shows.

    Args:
        keys: whether the server wants a key.
    """
    return _rendered(None, keys)


def _rendered(inside: Markup | None, keys: bool) -> str:
    return render("map.html.j2", data=inside, keys=keys, colours=list(COLOURS), grey=GREY)
