"""Where the words of a query stand in a passage, as the word search sees them: stems, and parts of identifiers."""

from __future__ import annotations

import re

import Stemmer
from bm25s.stopwords import STOPWORDS_EN

from polyvec.data.bm25 import words

_WORD = re.compile(r"\w+")
_STOPWORDS = frozenset(STOPWORDS_EN)


def word_spans(text: str, query: str, language: str = "english") -> list[tuple[int, int]]:
    """Start and end of each word of ``text`` that shares a stem with a word of ``query``.

    Args:
        text: a passage.
        query: stop words in it count for nothing.
        language: stemmer of the Snowball family.

    Returns:
        Positions in characters, in reading order.

    Example:
        >>> text = "Call read_csv, then close files."
        >>> [text[start:end] for start, end in word_spans(text, "reading of a file")]
        ['read_csv', 'files']
    """
    stem = Stemmer.Stemmer(language).stemWords
    wanted = set(stem([word for word in words(query) if word not in _STOPWORDS]))
    return [
        match.span()
        for match in _WORD.finditer(text)
        if not wanted.isdisjoint(stem(words(match.group())))
    ]
