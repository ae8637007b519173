"""The bodies of requests and answers, as OpenAI's embeddings interface has them, and what we add to it.

Added are ``input_type`` of a request, and ``dimensions``, ``max_tokens`` and ``searchable`` of a model. Clients that do
not know them lose nothing.

Lists of token ids need a word. OpenAI's own models take ids of tiktoken's ``cl100k_base`` beside texts, and LangChain's
``OpenAIEmbeddings`` sends nothing else unless told not to. Their numbers mean nothing to another model's tokenizer, and
would give vectors of other words without any error. So ids are turned back into the text that they stand for, where
tiktoken has its file of them, and refused otherwise.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import HTTPException
from pydantic import BaseModel, Field, StrictInt, StrictStr

from polyvec.encoders.token_batches import Vectors

TokenIds = list[StrictInt]

_loading = threading.Lock()
"""Several requests at once would load, or download, the same file."""


class Refused(HTTPException):
    """A request that gets an error, in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``.

    Args:
        status: of HTTP.
        message: one sentence: what is wrong and what would be right.
        param: the part of the request that is wrong.
        code: a word for programs.
        retry_after: seconds after which another try makes sense.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(status, message, headers)
        self.body = error_body(status, message, param, code)


def error_body(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, dict[str, str | None]]:
    """An error as OpenAI's clients read it.

    Example:
        >>> error_body(404, "no such model", "model", "model_not_found")["error"]["type"]
        'invalid_request_error'
    """
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


class EmbeddingRequest(BaseModel):
    """What ``POST /v1/embeddings`` takes."""

    input: Annotated[
        StrictStr | list[StrictStr] | TokenIds | list[TokenIds],
        Field(
            description="A text or a list of texts. Lists of token ids of cl100k_base are taken where the server "
            "has tiktoken's file of them.",
            examples=["How do I join two tables?", ["a cat", "a dog"]],
        ),
    ]
    model: Annotated[str, Field(description="A name from /v1/models.", examples=["minilm"])]
    dimensions: Annotated[
        StrictInt | None,
        Field(
            description="Keep the first so many numbers of each vector, and scale it to length 1 again. Models lose "
            "little by it only when they were trained for it.",
            examples=[128],
        ),
    ] = None
    encoding_format: Annotated[
        Literal["float", "base64"],
        Field(description="Numbers, or the bytes of little-endian float32 in base64."),
    ] = "float"
    input_type: Annotated[
        Literal["query", "document"] | None,
        Field(
            description="Not in OpenAI's interface: puts the model's prompt for queries or documents before each text. "
            "Left out, the model's default prompt is taken; most have none.",
            examples=["query"],
        ),
    ] = None
    user: Annotated[str | None, Field(description="Accepted and ignored.")] = None


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens that the model read: with prompts and special tokens, without what was beyond its longest length."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(BaseModel):
    """What ``POST /v1/embeddings`` gives."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class ModelEntry(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "polyvec"
    dimensions: Annotated[int, Field(description="Numbers in a vector.")]
    max_tokens: Annotated[
        int | None, Field(description="Tokens of a text that are read; null: all of them.")
    ]
    searchable: Annotated[bool, Field(description="Whether /search takes it.")]


class ModelList(BaseModel):
    """What ``GET /v1/models`` gives."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


class Problem(BaseModel):
    """What is wrong with a request."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """What every request that is not answered gets."""

    error: Problem


def holds_token_ids(given: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]) -> bool:
    """Whether `texts_of` has to turn ids into texts, for which it may load a file, or wait for a download.

    Example:
        >>> holds_token_ids(["a cat"]), holds_token_ids([64, 8415]), holds_token_ids([[64, 8415]])
        (False, True, True)
    """
    return not isinstance(given, str) and not isinstance(next(iter(given), ""), str)


def texts_of(given: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]) -> list[str]:
    """The texts of a request, in its order.

    Raises:
        Refused: when there is none, one is empty or no Unicode, or token ids cannot be turned back into text.

    Example:
        >>> texts_of("a cat"), texts_of(["a cat", "a dog"])
        (['a cat'], ['a cat', 'a dog'])
    """
    if isinstance(given, str):
        given = [given]
    if not given:
        raise Refused(400, "input is empty; give at least one text", param="input")
    texts: list[str]
    if isinstance(given[0], str):
        texts = [str(text) for text in given]
    else:
        rows: list[Any] = [given] if isinstance(given[0], int) else list(given)
        texts = [_decoded(row) for row in rows]
    for number, text in enumerate(texts):
        if not text:
            raise Refused(400, f"text {number} of input is empty; leave it out", param="input")
        if not _is_unicode(text):
            raise Refused(
                400,
                f"text {number} of input holds half of a surrogate pair, which is no character; mend or leave it out",
                param="input",
            )
    return texts


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded(ids: Sequence[int]) -> str:
    with _loading:
        encoding = _cl100k()
    if encoding is None:
        raise Refused(
            400,
            "input holds token ids, and this server has no file to turn them back into text; send texts (with "
            "LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False)), or give tiktoken the file of cl100k_base",
            param="input",
            code="token_ids_not_supported",
        )
    try:
        content: bytes = encoding.decode_bytes(list(ids))
    # What it raises for ids that do not exist depends on how large they are.
    except (KeyError, OverflowError) as error:
        raise Refused(
            400, "input holds token ids that are none of cl100k_base; send texts", param="input"
        ) from error
    # Clients cut long lists anywhere, also within the bytes of one character, which is lost then.
    return content.decode(errors="ignore")


@lru_cache(maxsize=1)
def _cl100k() -> Any:
    """The encoding of tiktoken, or None where it, or the file that it downloads once, is not there."""
    try:
        import tiktoken

        return tiktoken.get_encoding("cl100k_base")
    # Its downloader raises what the library for HTTP in it happens to raise.
    except Exception:
        return None


def cut(vectors: Vectors, dimensions: int) -> Vectors:
    """The first numbers of each vector, scaled to length 1; a vector of zeros stays one.

    Example:
        >>> cut(np.array([[3.0, 4.0, 12.0]], np.float32), 2).round(2).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    kept = vectors[:, :dimensions]
    lengths = np.linalg.norm(kept, axis=1, keepdims=True)
    scaled = kept / np.where(lengths > 0, lengths, 1)
    return scaled.astype(np.float32, copy=False)


def embedding_body(vectors: Vectors, tokens: int, model: str, as_base64: bool) -> bytes:
    """An `EmbeddingResponse` in JSON, made without looking at each of its many numbers in Python.

    Example:
        >>> import json
        >>> body = json.loads(embedding_body(np.zeros((1, 2), np.float32), 3, "minilm", as_base64=True))
        >>> body["data"][0]["embedding"], body["usage"]["prompt_tokens"]
        ('AAAAAAAAAAA=', 3)
    """
    rows = np.ascontiguousarray(vectors, np.float32)
    found: list[Any] = list(rows)
    if as_base64:
        found = [base64.b64encode(row.tobytes()).decode() for row in rows.astype("<f4", copy=False)]
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": number, "embedding": embedding}
            for number, embedding in enumerate(found)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
