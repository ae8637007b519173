"""What every request passes before it is answered: keys, the size of its body, and whether the server ends."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polyvec.search.metrics import Metrics
from polyvec.search.openai_format import Refused

_OPEN = ("/", "/map", "/healthz", "/openapi.json")
"""Paths that need no key: they tell nothing about models or documents."""

_COUNTED = (
    *("/", "/v1/embeddings", "/v1/models", "/search", "/map", "/map/state", "/map/data"),
    *("/healthz", "/metrics", "/openapi.json"),
)
_ALWAYS = ("/healthz", "/metrics")

_CLOSE = {"Connection": "close"}
"""A body that nobody reads cannot be followed by another request."""


class Gate:
    """An ASGI application around another one.

    Args:
        app: what answers.
        keys: of which a request must bring one, as ``Authorization: Bearer KEY``; none: anybody may ask.
        max_body: most bytes in a body.
        metrics: where requests are counted.

    Attributes:
        in_flight: requests that are being answered.
        draining: set to have new requests refused with 503, while those in flight are answered.
    """

    def __init__(
        self, app: ASGIApp, *, keys: Sequence[str], max_body: int, metrics: Metrics
    ) -> None:
        self._app = app
        self._digests = [_digest(key.encode()) for key in keys]
        self._max_body = max_body
        self._metrics = metrics
        self.in_flight = 0
        self.draining = False

    @property
    def has_keys(self) -> bool:
        """Whether a request must bring a key."""
        return bool(self._digests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass on whatever is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in _COUNTED else "other"
        started = time.perf_counter()
        status = 500

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._check(scope)
        except Refused as refused:
            status = refused.status_code
            headers = {**(refused.headers or {}), **_CLOSE}
            answer = JSONResponse(refused.body, status, headers)
            await answer(scope, receive, send)
        else:
            self.in_flight += 1
            try:
                await self._app(scope, self._limited(receive), counted_send)
            finally:
                self.in_flight -= 1
        finally:
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if self.draining and scope["path"] not in _ALWAYS:
            raise Refused(
                503, "the server is about to end; ask another one", code="draining", retry_after=1
            )
        if self._digests and scope["path"] not in _OPEN:
            self._check_key(headers.get(b"authorization", b""))
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._max_body:
            raise self._too_large()

    def _check_key(self, header: bytes) -> None:
        scheme, _, given = header.partition(b" ")
        digest = _digest(given.strip())
        # All keys are compared, each in constant time, so that time tells nothing about any.
        fits = [hmac.compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != b"bearer" or not any(fits):
            raise Refused(
                401,
                "no valid API key; send the header Authorization: Bearer KEY",
                code="invalid_api_key",
            )

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> Refused:
        refused = Refused(
            413,
            f"the body has more than {self._max_body:,} bytes; send fewer texts at once",
            code="body_too_large",
        )
        refused.headers = _CLOSE
        return refused


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
