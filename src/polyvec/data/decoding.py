"""Bytes of a text file to text: UTF-8, else what the file declares, else a confident guess."""

from __future__ import annotations

import codecs

from charset_normalizer import from_bytes

from polyvec.errors import BadInput

NO_BYTES = "0 bytes"
"""Why an empty file is not read."""

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is how this one starts
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Bytes that a text may start with, and the encoding that they announce."""
_SAMPLE = 200_000
"""Bytes that the guess looks at; it costs about a second a megabyte."""
_WESTERN = "cp1252"
_MOST_CHAOS = 0.1
"""Share of implausible characters above which a guessed encoding is not believed."""


def decode(content: bytes, declared: str = "") -> str:
    r"""The text of a file, line ends as ``\n``.

    Args:
        content: the whole file.
        declared: encoding that the file names itself (``<meta charset>``); used when it is not
            UTF-8.

    Raises:
        BadInput: when there is nothing, or it is binary, or no encoding is certain enough.

    Example:
        >>> decode("naïve\r\n".encode("utf-16"))
        'naïve\n'
    """
    if not content:
        raise BadInput(NO_BYTES)
    marked = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "")
    if not marked and b"\0" in content:
        raise BadInput("binary, not text")
    for encoding in (marked,) if marked else ("utf-8", declared):
        text = _decoded(content, encoding)
        if text is not None:
            return text
    if marked:
        raise BadInput(f"not text in {marked}, which it is marked as")
    return _guessed(content)


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        text = content.decode(encoding) if encoding else None
    except (UnicodeError, LookupError):
        return None
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _guessed(content: bytes) -> str:
    guesses = from_bytes(content[:_SAMPLE])
    best = guesses.best()
    text = None
    if best is not None and best.chaos <= _MOST_CHAOS:
        # Legacy text is Western more often than anything else, so that wins where it is as likely.
        western = any(
            _WESTERN in guess.could_be_from_charset and guess.coherence >= best.coherence
            for guess in guesses
        )
        text = _decoded(content, _WESTERN if western else best.encoding)
    if text is None:
        raise BadInput("not text in a known encoding")
    return text
