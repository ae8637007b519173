"""Gunning's fog index: the years of schooling that an English text asks for.

The third complexity measure of Tang and Yang 2024 (arXiv:2409.18511), after Gunning 1952, *The Technique of Clear
Writing*: ``0.4 * (words / sentences + 100 * complex words / words)``. Complex are words of three syllables or more,
not counting proper nouns, familiar compounds, and the endings -es, -ed and -ing.

Counted here without a dictionary: syllables are groups of vowels without a silent e, where y before a vowel is none; a
proper noun is a capitalised word that does not begin a sentence; a hyphenated word is complex if one of its parts is.
Other programs (textstat) differ a little.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from polyvec.evaluation.complexity_language import require_english
from polyvec.evaluation.complexity_values import ComplexityValues, check_texts, mean_values

COMPLEX = 3
"""Syllables from which a word is complex."""

_WORD = re.compile(r"(?:[^\W\d_]\.){2,}|[^\W_]+(?:[-'\u2019][^\W_]+|(?<=\d)[.,]\d+)*")
_END = re.compile(r"[.!?]+[\"'\u201d\u2019)\]]*(?=\s|$)|\n\s*\n")
_VOWELS = re.compile(r"(?:[aeiouàáâãäåæèéêëìíîïòóôõöøùúûüœ]|y(?![aeiou]))+")
_SYLLABIC = re.compile(r"[^aeiouy]les?$")
_ABBREVIATIONS = re.compile(
    r"mr|mrs|ms|dr|prof|st|jr|sr|inc|corp|co|ltd|vs|etc|fig|vol|"
    r"approx|dept|est|u\.s|u\.k|e\.g|i\.e|a\.m|p\.m|jan|feb|mar|apr|jun|jul|"
    r"aug|sep|sept|oct|nov|dec"
)
_LONGEST = 20
"""Letters to look back for an abbreviation."""
_FAMILIAR_COMPOUNDS = re.compile(
    r"afternoon|another|anybody|anyone|anything|anyway|anywhere|basketball|bookkeeper|"
    r"butterfly|everybody|everyone|everything|everywhere|forever|grandfather|grandmother|"
    r"however|moreover|nevertheless|newspaper|nobody|otherwise|overall|overcome|"
    r"shareholder|somebody|stakeholder|stockholder|sunflower|takeover|turnover|undergo|"
    r"undertake|understand|understood|watermelon|whatever|whenever|wherever|whichever|"
    r"whoever|policyholder|everyday|copyright|householder|landowner|overtake|overdue|"
    r"underline|underlying|underwater|underway|underwrite|underwriter"
)


def gunning_fog(texts: Sequence[str]) -> ComplexityValues:
    """Fog index of each text.

    Args:
        texts: English.

    Returns:
        Years of schooling for each text, the mean, and its interval.

    Raises:
        BadInput: when there is no text, one is empty, or they are not English.

    Example:
        >>> gunning_fog(["The cat sat. Regulatory uncertainty is bad."]).mean  # 0.4 * (7 / 2 + 100 * 2 / 7)
        12.82857142857143
    """
    check_texts(texts)
    require_english(texts, "the fog index")
    return mean_values([_fog(text) for text in texts])


def syllables(word: str) -> int:
    """Groups of vowels, without a silent e at the end; at least one.

    Example:
        >>> [syllables(word) for word in ("rate", "table", "market", "volatility")]
        [1, 2, 2, 5]
    """
    lower = word.lower()
    groups = len(_VOWELS.findall(lower))
    silent = lower.endswith("e") and not _SYLLABIC.search(lower) and lower[-2:-1] not in "aeiouy"
    return max(1, groups - silent)


def is_complex(word: str) -> bool:
    """Whether a word has three syllables or more, as Gunning counts; proper nouns are not told here.

    Example:
        >>> [is_complex(word) for word in ("dividend", "accepted", "well-being", "butterfly", "2,000,000")]
        [True, False, False, False, False]
    """
    lower = re.sub(r"['\u2019]s$", "", word.lower())
    if _FAMILIAR_COMPOUNDS.fullmatch(lower) or _FAMILIAR_COMPOUNDS.fullmatch(
        lower.removesuffix("s")
    ):
        return False
    return any(part.isalpha() and syllables(_stem(part)) >= COMPLEX for part in lower.split("-"))


def sentences(text: str) -> list[str]:
    """A text cut after full stops, marks and empty lines; common abbreviations and initials end no sentence.

    Example:
        >>> sentences("Acme Inc. fell 3.5 % today. Why? Ask J. Doe.")
        ['Acme Inc. fell 3.5 % today.', 'Why?', 'Ask J. Doe.']
    """
    text = text.rstrip()
    cuts = [0, *(m.end() for m in _END.finditer(text) if not _abbreviated(text, m)), len(text)]
    parts = (text[start:end].strip() for start, end in pairwise(cuts))
    return [part for part in parts if _WORD.search(part)]


def _fog(text: str) -> float:
    cased = any(letter.islower() for letter in text)
    parts = [_WORD.findall(sentence) for sentence in sentences(text)]
    count = sum(len(words) for words in parts)
    hard = sum(
        is_complex(word)
        for words in parts
        for place, word in enumerate(words)
        # In a text of capitals alone they mark no name.
        if not (cased and place > 0 and word[0].isupper())
    )
    return 0.4 * (count / len(parts) + 100 * hard / count)


def _stem(word: str) -> str:
    """A word without -es, -ed or -ing, unless no vowel is left, or the e belongs to the syllable of -le."""
    if _SYLLABIC.search(word):
        return word.removesuffix("s")
    for ending in ("es", "ed", "ing"):
        stem = word.removesuffix(ending)
        if stem != word and _VOWELS.search(stem):
            return stem
    return word


def _abbreviated(text: str, end: re.Match[str]) -> bool:
    if end[0] != "." or end.end() == len(text):
        return False
    before = text[max(0, end.start() - _LONGEST) : end.start()].split()
    last = before[-1].lstrip("(\"'\u201c\u2018[").lower() if before else ""
    initial = len(last) == 1 and last.isalpha() and last != "i"
    return initial or bool(_ABBREVIATIONS.fullmatch(last))
