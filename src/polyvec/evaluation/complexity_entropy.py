"""Information entropy of a text: how many bits a word of it takes, by how often words occur inside the text.

The second complexity measure of Tang and Yang 2024 (arXiv:2409.18511): ``H = - sum p(w) log2 p(w)``. It cannot exceed
log2 of the number of words, so it mostly measures length; the normalised form and a fixed window are given to look
past that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log2, nan

from polyvec.errors import BadInput
from polyvec.evaluation.complexity_values import ComplexityValues, check_texts, mean_values

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Letters of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+(?:['\u2019](?:(?![{_UNSPACED}])\w)+)*")


def entropy(
    texts: Sequence[str], normalized: bool = False, window: int | None = None
) -> ComplexityValues:
    """Information entropy of the words of each text.

    Args:
        texts: any language; where words are not set apart by spaces (Chinese, Japanese, Thai) each letter counts as
            one.
        normalized: divide by log2 of the number of words, so that a text of all different words has 1; a text of one
            word then has no value.
        window: look at the first ``window`` words only; 50 takes most of the length out. A shorter text is taken whole.
            By default all words count, as in the paper.

    Returns:
        Bits (or shares of the most there could be) for each text, the mean, and its interval. Case makes no difference.

    Raises:
        BadInput: when there is no text or one is empty, or ``window`` is less than 2.

    Example:
        >>> round(entropy(["a a b"]).mean, 3)
        0.918
        >>> entropy(["red green blue sky"], normalized=True).mean
        1.0
    """
    check_texts(texts)
    if window is not None and window < 2:
        raise BadInput(f"a window of {window} words has no entropy; give 2 or more, such as 50")
    return mean_values([_entropy(words(text)[:window], normalized) for text in texts])


def words(text: str) -> list[str]:
    """Lower-case words of a text in any script.

    Example:
        >>> words("Don't panic: 市场")
        ["don't", 'panic', '市', '场']
    """
    return _WORD.findall(text.lower())


def _entropy(found: Sequence[str], normalized: bool) -> float:
    count = len(found)
    if normalized and count < 2:
        return nan
    shares = [times / count for times in Counter(found).values()]
    # Not the negated sum, which for a single word would be -0.
    bits = sum(share * log2(1 / share) for share in shares)
    return bits / log2(count) if normalized else bits
