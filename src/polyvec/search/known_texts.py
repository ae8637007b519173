"""Which texts of an index were there before: fingerprints of documents, passages and parts of them, 8 bytes each."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Row = Mapping[str, str]
Span = tuple[int, int]

_BYTES = 8
_SHORTEST = 4
_ONE_IN = 6
"""A part ends behind one word of so many, by the word's own checksum, once it has `_SHORTEST` words."""
_WORD = re.compile(r"\S+")
_ENDS = (".", "!", "?")


class KnownTexts:
    """Fingerprints of what an index held, so that what it holds now can be told from it.

    A passage is known when its text stood anywhere in the index, or when every part of it stood in its document. So
    neither a file that was renamed nor a sentence that was packed into another passage is new, and of a document that
    was changed only what was changed is. A part is a sentence, a line of code, or some ten words of a longer sentence;
    where one ends is up to its words alone, so that it ends there whatever was put before it.

    Args:
        keys: fingerprints of 64 bits, sorted, each once.

    Example:
        >>> row = {"id": "a.md#0.0", "document": "a.md", "kind": "text", "text": "Boil water. Wait."}
        >>> known = KnownTexts.nothing().joined([row])
        >>> known.fresh([{**row, "text": "Wait. Then pour."}])
        {0: [(6, 16)]}
        >>> known.fresh([{**row, "document": "renamed.md"}])
        {}
        >>> known.holds_document("a.md"), known.holds_document("renamed.md")
        (True, False)
    """

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        self._keys = keys

    @classmethod
    def nothing(cls) -> KnownTexts:
        """What an empty index held."""
        return cls(np.empty(0, np.uint64))

    @classmethod
    def from_text(cls, text: str) -> KnownTexts:
        """What `to_text` wrote.

        Raises:
            ValueError: when the text is something else.
        """
        return cls(np.frombuffer(b64decode(text, validate=True), "<u8").astype(np.uint64))

    def to_text(self) -> str:
        """All fingerprints in base64: some 11 characters each."""
        return b64encode(self._keys.astype("<u8").tobytes()).decode()

    def joined(self, rows: Sequence[Row]) -> KnownTexts:
        """This, and what rows of an index say.

        Args:
            rows: whole documents; ``id``, ``document``, ``kind`` and ``text`` are read.
        """
        documents = {row["document"]: _document(row["document"]) for row in rows}
        passages = [_passage(row["text"]) for row in rows]
        strange = {
            row["document"]
            for row, held in zip(rows, self._hold(passages), strict=True)
            if not held
        }
        held_documents = self._hold(list(documents.values()))
        strange.update(id for id, held in zip(documents, held_documents, strict=True) if not held)
        parts = [key for key, *_ in _parts(rows, strange)]
        said = np.array([*documents.values(), *passages, *parts], np.uint64)
        return KnownTexts(np.union1d(self._keys, said))

    def holds_document(self, document: str) -> bool:
        """Whether there was a document of this id."""
        return bool(self._hold([_document(document)])[0])

    def fresh(self, rows: Sequence[Row]) -> dict[int, list[Span]]:
        """Position of each row whose passage is new → start and end of what is new in its document.

        Args:
            rows: as for `joined`.
        """
        held = self._hold([_passage(row["text"]) for row in rows])
        strange = np.flatnonzero(~held).tolist()
        parts = list(_parts(rows, {rows[place]["document"] for place in strange}))
        known = self._hold([key for key, *_ in parts])
        found: dict[int, list[Span]] = {place: [] for place in strange}
        for (_, place, span, follows), is_known in zip(parts, known, strict=True):
            if is_known or place not in found:
                continue
            spans = found[place]
            if spans and spans[-1][1] == follows:
                spans[-1] = (spans[-1][0], span[1])
            else:
                spans.append(span)
        return {place: spans for place, spans in found.items() if spans}

    def _hold(self, keys: Sequence[int]) -> NDArray[np.bool_]:
        sought = np.array(keys, np.uint64)
        places = np.searchsorted(self._keys, sought)
        found = np.zeros(len(sought), np.bool_)
        inside = places < len(self._keys)
        found[inside] = self._keys[places[inside]] == sought[inside]
        return found


def _parts(rows: Sequence[Row], documents: Iterable[str]) -> Iterator[tuple[int, int, Span, int]]:
    """Key of each part of some documents, position of its row, where it stands, and the end of what is before it.

    A part that runs on into the next passage is there for both.
    """
    for places in _sections(rows, set(documents)):
        words: list[str] = []
        spans: dict[int, list[int]] = {}
        before = dict.fromkeys(places, 0)
        for place in places:
            text = rows[place]["text"]
            for match in _WORD.finditer(text):
                words.append(match[0])
                spans.setdefault(place, [match.start(), 0])[1] = match.end()
                if _ends(words, rows[place], match.end()):
                    yield from _closed(rows[place], words, spans, before)
                    words, spans = [], {}
        if words:
            yield from _closed(rows[places[-1]], words, spans, before)


def _closed(
    row: Row, words: Sequence[str], spans: Mapping[int, Sequence[int]], before: dict[int, int]
) -> Iterator[tuple[int, int, Span, int]]:
    key = _key("part", row["document"], *words)
    for place, (start, end) in spans.items():
        yield key, place, (start, end), before[place]
        before[place] = end


def _ends(words: Sequence[str], row: Row, end: int) -> bool:
    if row["kind"] == "code":
        return row["text"].startswith(("\n", "\r"), end)
    long = len(words) >= _SHORTEST and crc32(words[-1].encode(errors="replace")) % _ONE_IN == 0
    return long or words[-1].endswith(_ENDS)


def _sections(rows: Sequence[Row], documents: set[str]) -> Iterator[list[int]]:
    """Positions of the rows of each section, in reading order; its text and its code apart."""
    found: defaultdict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row["document"] in documents:
            section, _, number = row["id"].rpartition("#")[2].partition(".")
            order = int(number) if number.isdecimal() else 0
            found[row["document"], section, row["kind"]].append((order, place))
    for places in found.values():
        yield [place for _, place in sorted(places)]


def _document(document: str) -> int:
    return _key("document", document)


def _passage(text: str) -> int:
    return _key("passage", *text.split())


def _key(*parts: str) -> int:
    said = "\0".join(parts).encode(errors="surrogatepass")
    return int.from_bytes(blake2b(said, digest_size=_BYTES).digest(), "little")
