"""Bytes to text."""

from __future__ import annotations

import random

import pytest

from polyvec.data.decoding import decode
from polyvec.errors import BadInput

GERMAN = "Der Bär läuft über die Straße, denn Größe und Höhe sind wichtig für die Übung."
RUSSIAN = "Это русский текст для проверки кодировки документов."
JAPANESE = "これは日本語の文章です。今日は天気がいいので散歩に行きます。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", ["a", "naïve\n", JAPANESE])
def test_unicode(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(GERMAN, "latin-1"), (GERMAN, "cp1252"), (RUSSIAN, "koi8-r"), (JAPANESE, "shift_jis")],
)
def test_other_encodings_are_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_what_a_file_declares_is_believed_unless_it_is_utf_8() -> None:
    assert decode("ł".encode("iso-8859-2"), declared="iso-8859-2") == "ł"
    assert decode("ł".encode(), declared="iso-8859-2") == "ł"
    assert decode(GERMAN.encode("latin-1"), declared="klingon") == GERMAN


def test_line_ends() -> None:
    assert decode(b"a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"text\0text", "binary, not text"),
        (random.Random(0).randbytes(2000).replace(b"\0", b"x"), "not text in a known encoding"),
        (b"\xff\xfea", "not text in utf-16, which it is marked as"),
    ],
)
def test_bad_input(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        decode(content)
