"""What a client is told when something goes wrong: always in OpenAI's shape."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from polyvec.search.openai_format import error_body


def answer_errors(app: FastAPI) -> None:
    """Give every error OpenAI's shape."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        body = getattr(error, "body", None) or error_body(error.status_code, str(error.detail))
        return JSONResponse(body, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(_what_is_invalid(error), 400)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        # The server that runs this logs the error itself.
        return JSONResponse(error_body(500, "the server failed; its log says why"), 500)


def describe_no_422(app: FastAPI) -> None:
    """Take out of the description what FastAPI would answer to invalid requests, which get 400 here."""
    for path in app.openapi()["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)


def _what_is_invalid(error: RequestValidationError) -> dict[str, Any]:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"][1:]]
    if first["type"] == "json_invalid":
        return error_body(400, f"the body is not JSON: {first['ctx']['error']}", code="bad_json")
    if not place:
        return error_body(
            400, "give a JSON object as the body, with the header Content-Type: application/json"
        )
    name = place[0]
    if name == "input" and first["type"] != "missing":
        return error_body(
            400, "input: give a text, a list of texts, or lists of token ids", "input"
        )
    return error_body(400, f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}", name)
