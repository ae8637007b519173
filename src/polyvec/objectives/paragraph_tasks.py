"""Training pairs that a hyperlinked, sectioned corpus makes of itself: pre-training tasks for dense retrieval.

Chang, Yu, Chang, Yang and Kumar 2020 (arXiv 2002.03932): inverse cloze (Lee, Chang and Toutanova 2019, arXiv
1906.00300), body first selection and link prediction. Beside them two random crops of a passage (Contriever, Izacard et
al. 2021, arXiv 2112.09118). Documents go in; pairs of a query and a passage come out, for `Contrastive`.

Where this departs from the paper: a passage is what `polyvec.data.passages` cuts, prose only, of up to 400 characters;
the lead is the first section that has prose; title and passage are joined by a line break, as exams join them, since
``[SEP]`` is a token of some tokenizers only. Lengths of queries are counted in words, not in word pieces.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, Protocol

from polyvec.data.documents import Document
from polyvec.data.passages import Passage, passages, sentences
from polyvec.data.structure_pairs import inverse_cloze_pairs, says_something
from polyvec.errors import BadInput

FEWEST_WORDS, MOST_WORDS = 4, 48
"""Of a query; 48 words are about 64 word pieces, the paper's limit."""
MOST_REPEATED = 20
"""A sentence that the corpus says more often is boilerplate, and asks for nothing."""
LEAST_LETTERS = 0.75
"""Share of letters in what is written of a query; code and tables have fewer."""

Skipped = Counter[str]
"""Reason → how many pages, sentences or pairs were left out for it."""


@dataclass(frozen=True, slots=True)
class ParagraphPair:
    """A query and the passage that it should find.

    Attributes:
        task: name of the task that made it.
        query: a sentence, or a crop.
        text: the passage as it is trained on.
        page: id of the document that the query comes from.
        passage: id of the passage.
        source: id of the document that the passage comes from; that of the query but for link prediction.
    """

    task: str
    query: str
    text: str
    page: str
    passage: str
    source: str


class ParagraphTask(Protocol):
    """Makes pairs of a corpus."""

    @property
    def name(self) -> str:
        """Of the task."""

    @property
    def whole_page(self) -> bool:
        """Whether a query asks for its whole page, so that its other passages are no negatives."""

    def pairs(self, corpus: Corpus, seed: int, skipped: Skipped) -> Iterator[ParagraphPair]:
        """Draw one pair for each passage, sentence of a lead, or passage with a link.

        Args:
            corpus: what is drawn from.
            seed: of the draw.
            skipped: what is left out is counted there.
        """


class Corpus:
    """Documents as the tasks see them: pages of passages, leads, and who links to whom.

    Args:
        documents: pages; only their prose is looked at.

    Attributes:
        pages: document id → document.
        prose: document id → section → its passages, sections without prose left out.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self.pages = {document.id: document for document in documents}
        self.prose: dict[str, dict[int, list[Passage]]] = {id: {} for id in self.pages}
        for piece in passages(documents):
            if piece.kind == "text":
                self.prose[piece.document].setdefault(piece.section, []).append(piece)
        said = Counter(
            sentence
            for page in self.pages
            for piece in self.of(page)
            for sentence in sentences(piece.text)
        )
        self._ask = {
            sentence
            for sentence, times in said.items()
            if times <= MOST_REPEATED and _is_prose(sentence)
        }

    def of(self, page: str) -> list[Passage]:
        """The passages of a page, in reading order."""
        return [piece for section in self.prose[page].values() for piece in section]

    def asks(self, sentence: str) -> bool:
        """Whether a sentence of the corpus can be a query: prose of 4 to 48 words that is not said over and over."""
        return sentence in self._ask

    def lead(self, page: str) -> list[str]:
        """The sentences of a page's first section with prose that can be queries."""
        first = next(iter(self.prose[page].values()), [])
        return [part for piece in first for part in sentences(piece.text) if self.asks(part)]

    def body(self, page: str) -> list[Passage]:
        """The passages of the sections after the first with prose."""
        return [piece for part in list(self.prose[page].values())[1:] for piece in part]

    @cached_property
    def links(self) -> Mapping[str, list[tuple[str, int, str]]]:
        """Page → what leads to it from other pages: their id, number of the section, and text of the link."""
        found: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
        for id, document in self.pages.items():
            for number, section in enumerate(document.sections):
                for link in section.links:
                    target = link.target
                    target = target if target in self.pages else target.partition("#")[0]
                    if target in self.pages and target != id:
                        found[target].append((id, number, link.text))
        return found


@dataclass(frozen=True, slots=True)
class InverseCloze:
    r"""A sentence asks for the passage that it was taken out of.

    Each passage gives one pair a round.

    Args:
        remove_prob: how often the sentence is taken out; the paper's 1. Left in, words to match are learned; ORQA left
            it in for a tenth.
        add_title: put the page's title before the passage.
        min_sentences: that a passage has to have.

    Raises:
        BadInput: when ``remove_prob`` is no probability, or nothing would be left of passages.

    Example:
        >>> from polyvec.data.documents import Section
        >>> text = "Red kites soar over the hills. They feed on what is dead."
        >>> page = Document("kites", "Kites", "kites", (Section(paragraphs=(text,)),))
        >>> (pair,) = InverseCloze().pairs(Corpus([page]), seed=0, skipped=Counter())
        >>> pair.query, pair.text
        ('Red kites soar over the hills.', 'Kites\nThey feed on what is dead.')
    """

    remove_prob: float = 1.0
    add_title: bool = True
    min_sentences: int = 2
    name: ClassVar[str] = "ict"
    whole_page: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the sizes."""
        _refuse_no_probability("remove_prob", self.remove_prob)
        if self.min_sentences < 1 or (self.min_sentences < 2 and self.remove_prob == 1):
            raise BadInput(
                f"min_sentences={self.min_sentences} with remove_prob={self.remove_prob:g}: nothing is left of a "
                "passage of one sentence that is taken out; give 2 or more"
            )

    def pairs(self, corpus: Corpus, seed: int, skipped: Skipped) -> Iterator[ParagraphPair]:
        """See `ParagraphTask`."""
        draw = random.Random(seed)
        for page, document in corpus.pages.items():
            found = inverse_cloze_pairs(
                corpus.of(page),
                draw.getrandbits(32),
                1 - self.remove_prob,
                self.min_sentences,
                corpus.asks,
            )
            if not found:
                skipped["pages without a passage that a sentence could ask for"] += 1
            title = f"{document.title}\n" if self.add_title and document.title else ""
            for pair in found:
                text = title + pair.text
                yield ParagraphPair(self.name, pair.query, text, page, pair.passage, page)


@dataclass(frozen=True, slots=True)
class BodyFirst:
    """A sentence of a page's lead asks for another passage of the page.

    Each sentence of a lead gives one pair a round, with a passage at random: three and more a page, as in the paper.

    Args:
        outside_lead: ask for passages of later sections only; otherwise for any.
    """

    outside_lead: bool = True
    name: ClassVar[str] = "bfs"
    whole_page: ClassVar[bool] = True

    def pairs(self, corpus: Corpus, seed: int, skipped: Skipped) -> Iterator[ParagraphPair]:
        """See `ParagraphTask`."""
        draw = random.Random(seed)
        for page in corpus.pages:
            lead = corpus.lead(page)
            body = corpus.body(page) if self.outside_lead else corpus.of(page)
            if not body:
                skipped["pages without a second section of prose"] += 1
            elif not lead:
                skipped["pages whose lead has no sentence to ask with"] += 1
            else:
                for query in lead:
                    piece = draw.choice(body)
                    if _says(piece, query, skipped):
                        continue
                    yield ParagraphPair(self.name, query, piece.text, page, piece.id, page)


@dataclass(frozen=True, slots=True)
class LinkPrediction:
    """A sentence of a page's lead asks for a passage of another page that links to it.

    Each passage that links to a page gives one pair a round, with a sentence at random.

    Args:
        passage: ``linking``: the passage that holds the link's text; ``any``: one of the linking page at random.
        max_per_target: most passages a round that ask for one page, so that a page that all link to is not all there
            is.

    Raises:
        BadInput: when ``passage`` is neither, or ``max_per_target`` below 1.
    """

    passage: Literal["linking", "any"] = "linking"
    max_per_target: int = 50
    name: ClassVar[str] = "wlp"
    whole_page: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.passage not in ("linking", "any"):
            raise BadInput(f"passage={self.passage!r}: give linking or any")
        if self.max_per_target < 1:
            raise BadInput(f"max_per_target={self.max_per_target}: give 1 or more")

    def pairs(self, corpus: Corpus, seed: int, skipped: Skipped) -> Iterator[ParagraphPair]:
        """See `ParagraphTask`.

        Raises:
            BadInput: when no page links to another.
        """
        if not corpus.links:
            raise BadInput(
                f"{len(corpus.pages)} documents without a link from one to another: link prediction reads the field "
                "sections[].links; give pages with links (HTML, Markdown, reStructuredText), or leave wlp out"
            )
        draw = random.Random(seed)
        for page in corpus.pages:
            lead = corpus.lead(page)
            pieces = self._linking(page, corpus, draw, skipped)
            if not pieces:
                skipped["pages that no passage of another links to"] += 1
            elif not lead:
                skipped["pages whose lead has no sentence to ask with"] += 1
            else:
                for piece in draw.sample(pieces, min(self.max_per_target, len(pieces))):
                    query = draw.choice(lead)
                    if _says(piece, query, skipped):
                        continue
                    source = piece.document
                    yield ParagraphPair(self.name, query, piece.text, page, piece.id, source)

    def _linking(
        self, page: str, corpus: Corpus, draw: random.Random, skipped: Skipped
    ) -> list[Passage]:
        """The passages that link to a page, each once; for ``any`` one of each linking page."""
        links = corpus.links.get(page, [])
        if self.passage == "any":
            sources = dict.fromkeys(source for source, _, _ in links)
            return [draw.choice(found) for source in sources if (found := corpus.of(source))]
        holding = {}
        for source, section, text in links:
            here = corpus.prose[source].get(section, [])
            holds = next((piece for piece in here if text in piece.text), None)
            if holds is None:
                skipped["links whose text stands in no passage"] += 1
            else:
                holding[holds.id] = holds
        return list(holding.values())


@dataclass(frozen=True, slots=True)
class RandomCrop:
    """A run of words of a passage asks for another run of it; they may overlap.

    Each passage gives one pair a round. Contriever crops spans of 256 tokens of a document; ours are its passages.

    Args:
        shortest: least share of the passage's words in a crop; Contriever's .05.
        longest: most; its .5.

    Raises:
        BadInput: when the shares are not between 0 and 1, in this order.
    """

    shortest: float = 0.05
    longest: float = 0.5
    name: ClassVar[str] = "crop"
    whole_page: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the shares."""
        if not 0 < self.shortest <= self.longest <= 1:
            raise BadInput(
                f"crops of {self.shortest:g} to {self.longest:g} of a passage: give shares above 0, up to 1, the "
                "shorter first"
            )

    def pairs(self, corpus: Corpus, seed: int, skipped: Skipped) -> Iterator[ParagraphPair]:
        """See `ParagraphTask`."""
        draw = random.Random(seed)
        for page in corpus.pages:
            for piece in corpus.of(page):
                words = piece.text.split()
                if self.longest * len(words) < FEWEST_WORDS:
                    skipped[f"passages too short for crops of {FEWEST_WORDS} words"] += 1
                    continue
                query, text = (self._crop(words, draw) for _ in range(2))
                yield ParagraphPair(self.name, query, text, page, piece.id, page)

    def _crop(self, words: Sequence[str], draw: random.Random) -> str:
        share = draw.uniform(self.shortest, self.longest)
        size = max(FEWEST_WORDS, round(share * len(words)))
        start = draw.randint(0, len(words) - size)
        return " ".join(words[start : start + size])


def _is_prose(sentence: str) -> bool:
    signs = sentence.replace(" ", "")
    return (
        says_something(sentence, FEWEST_WORDS)
        and len(sentence.split()) <= MOST_WORDS
        and sum(map(str.isalpha, signs)) >= LEAST_LETTERS * len(signs)
    )


def _says(piece: Passage, query: str, skipped: Skipped) -> bool:
    """Whether the passage says the query word for word, so that there is nothing to learn; counted."""
    says = query.casefold() in piece.text.casefold()
    if says:
        skipped["pairs whose passage says the query word for word"] += 1
    return says


def _refuse_no_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise BadInput(f"{name}={value:g}: give a probability, from 0 to 1")
