"""Training pairs and exam questions that documents carry in their own structure, without any label.

A title names its sections, a heading its body, a docstring's summary its code, and the text of a link the page it
leads to. Each such pair is a query a person could have typed and a passage that answers it. The inverse cloze task
(Lee, Chang and Toutanova 2019, arXiv 1906.00300) adds pairs from plain prose: a sentence and the passage around it.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from polyvec.data.documents import Document
from polyvec.data.passages import Passage, sentences

TITLE = "title → section"
HEADING = "heading → body"
SUMMARY = "summary → code"
LINK = "link → target"
CLOZE = "sentence → passage"

STRUCTURE_TASKS = (TITLE, HEADING, SUMMARY, LINK)
"""The tasks an exam is made of; `CLOZE` is for training only."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it.

    Attributes:
        task: one of `STRUCTURE_TASKS` or `CLOZE`.
        query: what is asked.
        passage: id of the passage that answers.
        answers: what the query asks for (a document or a section of one); passages of two pairs with the same
            ``answers`` are not negatives of one another.
        text: the passage's text as it is trained on, when that differs from the passage (inverse cloze).
    """

    task: str
    query: str
    passage: str
    answers: str
    text: str = ""


def structure_pairs(documents: Sequence[Document], pieces: Iterable[Passage]) -> list[Pair]:
    """All pairs that titles, headings, summaries and links make with the given passages.

    A query that could mean several things (``Parameters``, ``Examples``, the anchor ``here``) is left out: a query
    stays only if every pair of its task that bears it asks for the same thing.

    Args:
        documents: where titles, headings and links come from; link sources may lie outside ``pieces``.
        pieces: the passages that may be answers.

    Example:
        >>> from polyvec.data.documents import Section
        >>> from polyvec.data.passages import passages
        >>> body = Section("Setting up", paragraphs=("Run make install.",))
        >>> page = Document("guide.md", "User guide", "guide.md", (body,))
        >>> for pair in structure_pairs([page], passages([page])):
        ...     print(pair.task, "|", pair.query, "|", pair.passage)
        title → section | User guide | guide.md#0.0
        heading → body | Setting up | guide.md#0.0
    """
    answers = _Answers(documents, pieces)
    found = [pair for document in documents for pair in _pairs_of(document, answers)]
    return _unambiguous(dict.fromkeys(found))


def says_something(query: str, least_words: int = 1) -> bool:
    """Whether a text has so many words with letters in them, and three letters in all.

    Example:
        >>> says_something("1.2.3"), says_something("See also", least_words=3)
        (False, False)
    """
    written = [word for word in query.split() if any(c.isalpha() for c in word)]
    return len(written) >= least_words and sum(c.isalpha() for c in query) >= 3


def _ask_in_four_words(sentence: str) -> bool:
    return says_something(sentence, least_words=4)


def inverse_cloze_pairs(
    pieces: Iterable[Passage],
    seed: int,
    keep: float = 0.1,
    least_sentences: int = 3,
    asks: Callable[[str], bool] = _ask_in_four_words,
) -> list[Pair]:
    """One pair for each prose passage of enough sentences: a sentence of it, and the rest.

    Args:
        pieces: passages; code is passed over.
        seed: chooses the sentences.
        keep: how often the sentence stays in the passage, so that matching words is learned too; the paper's 0.1.
        least_sentences: that a passage has to have.
        asks: whether a sentence may be the query; by default one of four words or more.

    Example:
        >>> page = Passage("a#0.0", "a", 0, "text", "It was the first. Nobody saw it come.")
        >>> (pair,) = inverse_cloze_pairs([page], seed=0, keep=0.0, least_sentences=2)
        >>> pair.query, pair.text
        ('Nobody saw it come.', 'It was the first.')
    """
    rng = random.Random(seed)
    return [
        pair
        for piece in pieces
        if piece.kind == "text"
        for pair in _cloze(piece, rng, keep, least_sentences, asks)
    ]


def _cloze(
    piece: Passage,
    rng: random.Random,
    keep: float,
    least_sentences: int,
    asks: Callable[[str], bool],
) -> Iterator[Pair]:
    parts = sentences(piece.text)
    # What the passage says twice would still be there when one of the two is taken out.
    whole = piece.text.casefold()
    candidates = [
        n for n, part in enumerate(parts) if asks(part) and whole.count(part.casefold()) == 1
    ]
    if len(parts) < least_sentences or not candidates:
        return
    chosen = rng.choice(candidates)
    rest = parts if rng.random() < keep else parts[:chosen] + parts[chosen + 1 :]
    if rest:
        section = f"{piece.document}#{piece.section}"
        yield Pair(CLOZE, parts[chosen], piece.id, section, " ".join(rest))


class _Answers:
    """The passages of each section, and where links lead."""

    def __init__(self, documents: Iterable[Document], pieces: Iterable[Passage]) -> None:
        self.prose: Mapping[tuple[str, int], list[str]] = defaultdict(list)
        self.code: dict[tuple[str, int], str] = {}
        for piece in pieces:
            if piece.kind == "code":
                self.code[piece.document, piece.section] = piece.id
            else:
                self.prose[piece.document, piece.section].append(piece.id)
        self.section_of = {
            f"{document.id}#{section.anchor}": (document.id, position)
            for document in documents
            for position, section in enumerate(document.sections)
            if section.anchor
        }
        self.first_section = {
            document.id: next(
                (n for n in range(len(document.sections)) if self.prose.get((document.id, n))), 0
            )
            for document in documents
        }

    def of_link(self, target: str) -> tuple[str, int] | None:
        """The section a link leads to; a link to a page leads to its opening."""
        if target in self.section_of:
            return self.section_of[target]
        page = target.partition("#")[0]
        return (page, self.first_section[page]) if page in self.first_section else None


def _pairs_of(document: Document, answers: _Answers) -> Iterator[Pair]:
    yield from _title_pairs(document, answers)
    for position, section in enumerate(document.sections):
        where = (document.id, position)
        yield from _prose_pairs(HEADING, section.heading, where, answers)
        if where in answers.code and says_something(section.summary, least_words=3):
            yield Pair(SUMMARY, section.summary, answers.code[where], _section_key(where))
        for link in section.links:
            goal = answers.of_link(link.target)
            if goal is not None:
                yield from _prose_pairs(LINK, link.text, goal, answers)


def _title_pairs(document: Document, answers: _Answers) -> Iterator[Pair]:
    if not says_something(document.title):
        return
    prose = (answers.prose.get((document.id, n), []) for n in range(len(document.sections)))
    for passage in (section[0] for section in prose if section):
        yield Pair(TITLE, document.title, passage, document.id)


def _prose_pairs(
    task: str, query: str, where: tuple[str, int], answers: _Answers
) -> Iterator[Pair]:
    if says_something(query):
        for passage in answers.prose.get(where, []):
            yield Pair(task, query, passage, _section_key(where))


def _section_key(where: tuple[str, int]) -> str:
    return f"{where[0]}#{where[1]}"


def _unambiguous(pairs: Iterable[Pair]) -> list[Pair]:
    pairs = list(pairs)
    meanings = Counter((task, query) for task, query, _ in {_meaning(pair) for pair in pairs})
    return [pair for pair in pairs if meanings[_meaning(pair)[:2]] == 1]


def _meaning(pair: Pair) -> tuple[str, str, str]:
    return pair.task, pair.query.casefold(), pair.answers
