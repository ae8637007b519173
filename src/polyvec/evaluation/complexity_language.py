"""Whether texts are English, as far as measures made for English need to know."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import bm25s.stopwords

from polyvec.errors import BadInput

_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH = frozenset(bm25s.stopwords.STOPWORDS_EN_PLUS)
_OTHERS = {
    name.removeprefix("STOPWORDS_").capitalize(): frozenset(getattr(bm25s.stopwords, name))
    - _ENGLISH
    for name in dir(bm25s.stopwords)
    if name.startswith("STOPWORDS_") and not name.startswith("STOPWORDS_EN")
}
_FEWEST = 5
"""Function words of another language below which nothing is said."""
_FOREIGN_LETTERS = 0.5


def require_english(texts: Sequence[str], measure: str) -> None:
    """Refuse texts that are not English.

    A text whose letters are mostly not Latin is not English; nor are texts that together have more function words
    of another language than of English. Texts without function words, such as short commands, pass.

    Args:
        texts: to look at.
        measure: that needs English, for the sentence.

    Raises:
        BadInput: which text, or which language.

    Example:
        >>> require_english(["The market rose again."], "Gunning's fog")
    """
    for number, text in enumerate(texts, 1):
        letters = [letter for letter in text if letter.isalpha()]
        foreign = sum(not _is_latin(letter) for letter in letters)
        if foreign > _FOREIGN_LETTERS * len(letters):
            raise BadInput(
                f"text {number} of {len(texts)} is not English; {measure} is made for English, leave the measure out"
            )
    found = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    english = _count(found, _ENGLISH)
    language, most = max(
        ((name, _count(found, own)) for name, own in _OTHERS.items()), key=lambda pair: pair[1]
    )
    if most >= _FEWEST and most > english:
        raise BadInput(
            f"the texts look {language}, not English; {measure} is made for English, leave the measure out"
        )


def _is_latin(letter: str) -> bool:
    return letter < "\u0250" or "\u1e00" <= letter < "\u1f00"


def _count(found: Counter[str], words: frozenset[str]) -> int:
    return sum(times for word, times in found.items() if word in words)
