"""What a server answers about the map of its index: the page, how far the map is, and what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from polyvec.search.kept_map import KeptMap
from polyvec.search.map_page import served_map_page
from polyvec.search.openai_format import ErrorResponse, Refused
from polyvec.search.pages import CONTENT_SECURITY_POLICY
from polyvec.search.served import Served

_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorResponse, "description": "The server has keys, and none was sent."},
    404: {"model": ErrorResponse, "description": "No index is served, or its map is not drawn."},
}


class MapStateResponse(BaseModel):
    """What ``GET /map/state`` gives."""

    drawn: int | None
    drawing: bool
    failed: str


def add_map(app: FastAPI, served: Sequence[Served], *, keys: bool) -> None:
    """Let an application answer ``/map``, ``/map/state`` and ``/map/data``.

    Args:
        app: to which they are added.
        served: of which the first index is the one on the map.
        keys: whether requests must bring a key; the page itself needs none, since it holds nothing of the index.
    """
    page = served_map_page(keys)

    @app.get("/map", response_class=HTMLResponse, include_in_schema=False)
    async def map_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @app.get("/map/state", responses=_ERRORS, tags=["search"])
    async def state() -> MapStateResponse:
        """How far the map of the index is; asked for the first time, it begins to be drawn."""
        found = await asyncio.to_thread(_mapped(served).state)
        return MapStateResponse(drawn=found.drawn, drawing=found.drawing, failed=found.failed)

    @app.get("/map/data", response_class=Response, responses=_ERRORS, tags=["search"])
    async def data() -> Response:
        """Places, topics and texts of the passages on the map, as JSON."""
        held = await asyncio.to_thread(_mapped(served).data)
        if held is None:
            raise Refused(404, "the map is not drawn yet; ask /map/state", code="no_map")
        return Response(held, media_type="application/json")


def _mapped(served: Sequence[Served]) -> KeptMap:
    kept = next((each.map for each in served if each.map), None)
    if kept is None:
        raise Refused(
            404,
            "no index is served, so there is nothing to map; start the server with one: polyvec serve INDEX",
            code="no_index",
        )
    return kept
