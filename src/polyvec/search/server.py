"""Serving models and an index over HTTP: OpenAI's embeddings interface, search, and what an operator needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel

from polyvec import __version__
from polyvec.errors import BadInput
from polyvec.search.dynamic_batching import QueueFull, TextFailed
from polyvec.search.errors_as_answers import answer_errors, describe_no_422
from polyvec.search.gate import Gate
from polyvec.search.map_answers import add_map
from polyvec.search.metrics import CONTENT_TYPE, Metrics
from polyvec.search.openai_format import (
    EmbeddingRequest,
    EmbeddingResponse,
    ErrorResponse,
    ModelList,
    Refused,
    cut,
    embedding_body,
    holds_token_ids,
    texts_of,
)
from polyvec.search.pages import CONTENT_SECURITY_POLICY, render
from polyvec.search.served import Mode, Ranked, Served, check_names, reorder, search

_REORDERED = 50
"""Passages that a model without an index of its own puts into its order."""

_MOST_HITS = 100
_LONGEST_QUERY = 10_000

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "Something in the request is wrong."},
    401: {"model": ErrorResponse, "description": "The server has keys, and none was sent."},
    404: {"model": ErrorResponse, "description": "No such model, or nothing to search."},
    413: {"model": ErrorResponse, "description": "The body, or its texts, are too large."},
    429: {"model": ErrorResponse, "description": "Too much waits; see Retry-After."},
    503: {"model": ErrorResponse, "description": "The server is about to end."},
}

_GATE_ERRORS: dict[int | str, dict[str, Any]] = {
    status: _ERRORS[status] for status in (401, 413, 503)
}
"""What any request with a key may get before it is looked at."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold.

    Attributes:
        texts: texts; OpenAI takes 2,048.
        characters: of all its texts together.
        body: bytes.
    """

    texts: int = 2048
    characters: int = 2_000_000
    body: int = 16 * 2**20

    def __post_init__(self) -> None:
        for name in ("texts", "characters", "body"):
            if getattr(self, name) < 1:
                raise BadInput(f"limit of {name}: give 1 or more")


class Hit(BaseModel):
    """A passage that was found."""

    rank: int
    score: float
    id: str
    document: str
    title: str
    heading: str
    text: str


class SearchResponse(BaseModel):
    """What ``GET /search`` gives."""

    query: str
    mode: Mode
    model: str
    reordered: bool
    milliseconds: float
    hits: list[Hit]


def create_app(
    served: Sequence[Served],
    *,
    keys: Sequence[str] = (),
    limits: Limits | None = None,
    metrics: Metrics | None = None,
) -> Gate:
    """Make the application that answers requests.

    Args:
        served: the models, of which at least one; all queues are closed when the application ends.
        keys: API keys, of which a request must bring one; none: anybody may ask.
        limits: of one request.
        metrics: where things are counted; the queues' ``on_batch`` should count there too.

    Returns:
        The application inside its gate: what a server like uvicorn takes.

    Raises:
        BadInput: when there is no model, or two have one name.
    """
    if not served:
        raise BadInput("nothing to serve; give a model or an index")
    check_names(served)
    metrics = metrics or Metrics()
    for each in served:
        metrics.watch_queue(each.name, partial(getattr, each.batching, "waiting"))

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        for each in served:
            await asyncio.to_thread(each.batching.close)
            if each.map:
                await asyncio.to_thread(each.map.close)

    app = FastAPI(
        title="polyvec",
        version=__version__,
        summary="Embeddings in OpenAI's format, and search",
        docs_url=None,  # its page is fetched from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    limits = limits or Limits()
    gate = Gate(app, keys=keys, max_body=limits.body, metrics=metrics)
    answer_errors(app)
    _add_embeddings(app, served, limits, metrics)
    _add_search(app, served)
    add_map(app, served, keys=gate.has_keys)
    _add_operation(app, served, gate, metrics)
    describe_no_422(app)
    return gate


def _add_embeddings(
    app: FastAPI, served: Sequence[Served], limits: Limits, metrics: Metrics
) -> None:
    @app.post(
        "/v1/embeddings", response_model=EmbeddingResponse, responses=_ERRORS, tags=["OpenAI"]
    )
    async def embeddings(body: EmbeddingRequest, request: Request) -> Response:
        """Turn texts into vectors of length 1."""
        model = _find(served, body.model)
        if body.dimensions is not None and not 1 <= body.dimensions <= model.dimensions:
            raise Refused(
                400,
                f"dimensions {body.dimensions}: {model.name} has {model.dimensions}; give 1 to {model.dimensions}",
                param="dimensions",
            )
        many = isinstance(body.input, list) and not isinstance(next(iter(body.input), 0), int)
        if many and len(body.input) > limits.texts:
            raise Refused(
                413,
                f"input has {len(body.input):,} texts; send at most {limits.texts:,} at once",
                param="input",
                code="too_many_texts",
            )
        read = partial(texts_of, body.input)
        texts = await asyncio.to_thread(read) if holds_token_ids(body.input) else read()
        if (characters := sum(map(len, texts))) > limits.characters:
            raise Refused(
                413,
                f"input has {characters:,} characters; send at most {limits.characters:,} at once",
                param="input",
                code="too_many_characters",
            )
        work = _queued(lambda: model.batching.submit(texts, body.input_type))
        found = await _unless_gone(request, work)
        metrics.texts.labels(model.name).inc(len(texts))
        metrics.tokens.labels(model.name).inc(found.tokens)
        vectors = found.vectors if body.dimensions is None else cut(found.vectors, body.dimensions)
        as_base64 = body.encoding_format == "base64"
        content = embedding_body(vectors, found.tokens, model.name, as_base64)
        return Response(content, media_type="application/json")

    @app.get("/v1/models", responses=_GATE_ERRORS, tags=["OpenAI"])
    async def models() -> ModelList:
        """The models that are served; the first is the one that /search takes where none is named."""
        searchable = any(each.index for each in served)
        return ModelList(data=[each.entry(searchable) for each in served])


def _add_search(app: FastAPI, served: Sequence[Served]) -> None:
    @app.get("/search", responses=_ERRORS, tags=["search"])
    async def find(
        request: Request,
        q: Annotated[
            str,
            Query(
                min_length=1,
                max_length=_LONGEST_QUERY,
                description="What to look for.",
                examples=["how do I join two tables"],
            ),
        ],
        k: Annotated[int, Query(ge=1, le=_MOST_HITS, description="Passages to give.")] = 10,
        mode: Annotated[
            Mode, Query(description="Words and vectors together, or one of them.")
        ] = "hybrid",
        where: Annotated[
            str | None,
            Query(
                description="Filter on columns of the index.", examples=["document LIKE 'guide/%'"]
            ),
        ] = None,
        model: Annotated[
            str | None,
            Query(description="A name from /v1/models; the index's own where left out."),
        ] = None,
    ) -> SearchResponse:
        """Find passages of the index, best first."""
        home = next((each for each in served if each.index), None)
        if home is None:
            raise Refused(
                404,
                "no index is served, so there is nothing to search; start the server with one: polyvec serve INDEX",
                code="no_index",
            )
        if not q.strip():
            raise Refused(400, "q is blank; give what to look for", param="q")
        started = time.perf_counter()
        asked = home if model is None else _find(served, model)
        owner = asked if asked.index else home
        index = owner.index
        assert index is not None
        wanted = k if asked is owner else max(k, _REORDERED)
        hits = await _unless_gone(
            request, _queued(lambda: search(index, owner, q, wanted, mode, where))
        )
        if asked is not owner:
            hits = await _unless_gone(request, _queued(lambda: reorder(asked, q, hits, k)))
        return SearchResponse(
            query=q,
            mode=mode,
            model=asked.name,
            reordered=asked is not owner,
            milliseconds=round(1000 * (time.perf_counter() - started), 1),
            hits=[_hit(rank, found) for rank, found in enumerate(hits, 1)],
        )


def _add_operation(app: FastAPI, served: Sequence[Served], gate: Gate, metrics: Metrics) -> None:
    mapped = any(each.map for each in served)
    page = render("page.html.j2", keys=gate.has_keys, mapped=mapped)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def start() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    @app.get("/healthz", responses={503: {"description": "Send nothing here."}}, tags=["operation"])
    async def health() -> JSONResponse:
        """Whether requests are answered; needs no key."""
        if gate.draining:
            return JSONResponse({"status": "draining"}, 503)
        if not all(each.batching.is_alive for each in served):
            return JSONResponse({"status": "broken"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **_GATE_ERRORS,
        },
        tags=["operation"],
    )
    async def counters() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.page(), media_type=CONTENT_TYPE)


def _find(served: Sequence[Served], name: str) -> Served:
    for each in served:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in served)
    raise Refused(
        404,
        f"no model is called {name!r}; served: {known}",
        param="model",
        code="model_not_found",
    )


def _hit(rank: int, found: Ranked) -> Hit:
    passage = found.passage
    return Hit(
        rank=rank,
        score=found.score,
        id=passage.id,
        document=passage.document,
        title=passage.title,
        heading=passage.heading,
        text=passage.text,
    )


def _queued(submit: Callable[[], Future[Result]]) -> Future[Result]:
    """Put something into a queue; a full one is an answer of its own."""
    try:
        return submit()
    except QueueFull as full:
        raise Refused(429, str(full), code="queue_full", retry_after=full.seconds) from None
    except BadInput:  # the queue is closed
        raise Refused(503, "the server is about to end; ask another one", retry_after=1) from None


async def _unless_gone(request: Request, work: Future[Result]) -> Result:
    """Wait for ``work``, and take it out of its queue when the client goes away meanwhile."""
    answer = asyncio.wrap_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise Refused(499, "the client went away", code="client_closed_request")
        return answer.result()
    except TextFailed as failed:
        cause = failed.__cause__
        if isinstance(cause, MemoryError) or type(cause).__name__ == "OutOfMemoryError":
            raise Refused(503, "the memory is full; try again", retry_after=5) from failed
        raise Refused(
            400,
            f"text {failed.position} of input cannot be encoded ({type(cause).__name__})",
            param="input",
            code="text_failed",
        ) from failed
    except BadInput as error:
        raise Refused(400, str(error)) from error
    finally:
        answer.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
