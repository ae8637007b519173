"""What the experiments on LG-ANNA learn from and are asked: functions with planted paraphrases, and intents."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from polyvec.data.benchmarks.sentence_classes import read_clinc150
from polyvec.data.leak_guard import refuse_leakage
from polyvec.encoders.in_context import Example, batch_prompts
from polyvec.recipes.learned_texts import needed_root, text_fingerprint
from polyvec.recipes.peg_data import learned
from polyvec.recipes.peg_data import sources as code_sources
from polyvec.recipes.recipe import Source

DROPPED = 0.1
"""Share of a function's words that its paraphrase lacks."""
TASK = "Find the intent"
UNSEEN = 30
"""Of the 150 intents, so many are not learned from."""
NEIGHBOURS, ASKED = 20, 20
"""Texts of each unseen intent: those among which neighbours are sought, and those that are asked."""
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_WORD = re.compile(r"\S+\s*")
_DIGIT = re.compile(r"\b\d\b")


class Planted(NamedTuple):
    """Docstrings' first sentences, the functions below them, and a paraphrase of each function that nobody marks."""

    queries: list[str]
    functions: list[str]
    paraphrases: list[str]

    @property
    def corpus(self) -> list[str]:
        """Functions, and then their paraphrases in the same order."""
        return [*self.functions, *self.paraphrases]


class Intents(NamedTuple):
    """What a seed gets of clinc150.

    Attributes:
        learned: a text, and another of its intent.
        labels: the intent's number, one for each of ``learned``.
        neighbours: text → intent, of intents that are not learned from.
        asked: text → intent, of the same intents.
    """

    learned: list[Example]
    labels: list[int]
    neighbours: dict[str, str]
    asked: dict[str, str]


@cache
def planted(rows: int) -> Planted:
    """The pairs that are learned from, each with its paraphrase."""
    given = learned(rows)
    rng = random.Random(0)
    return Planted(
        given.queries, given.functions, [paraphrase(text, rng) for text in given.functions]
    )


def paraphrase(text: str, rng: random.Random) -> str:
    """The text without a tenth of its words, one at least and never the first; single digits become words.

    Example:
        >>> paraphrase("add 2 to it", random.Random(0))
        'add two it'
    """
    words = _WORD.findall(_DIGIT.sub(lambda found: _DIGITS[int(found[0])], text))
    if len(words) < 2:
        return f"{text} {text}"
    dropped = set(rng.sample(range(1, len(words)), max(1, round(DROPPED * len(words)))))
    return "".join(word for place, word in enumerate(words) if place not in dropped).strip()


@cache
def intents(seed: int, rows: int) -> Intents:
    """Divide intents into those that are learned from and those that are asked, and pair texts of the former.

    Args:
        seed: of the division and the pairs.
        rows: pairs, at most; no text is in two of them.
    """
    rng = random.Random(seed)
    splits = _by_intent()
    names = sorted(splits["train"])
    unseen = sorted(rng.sample(names, UNSEEN))
    pairs = []
    for number, name in enumerate(names):
        if name not in unseen:
            texts = rng.sample(splits["train"][name], len(splits["train"][name]))
            pairs += [
                (Example(*both), number) for both in zip(texts[::2], texts[1::2], strict=False)
            ]
    rng.shuffle(pairs)
    examples, labels = zip(*pairs[:rows], strict=True)
    neighbours = _of(unseen, splits["train"], NEIGHBOURS, rng)
    asked = _of(unseen, splits["test"], ASKED, rng)
    seen = [text for example in examples for text in example]
    refuse_leakage(seen, [*neighbours, *asked], "texts of unseen intents in training")
    refuse_leakage(neighbours, asked, "texts that are asked among the neighbours")
    return Intents(list(examples), list(labels), neighbours, asked)


def prompted(given: Intents, batch: int, most: int, seed: int) -> list[str]:
    """The texts that are learned from, behind the instruction and up to ``most`` examples each.

    Args:
        given: of the seed.
        batch: examples of a text are drawn from a group of so many rows with it.
        most: examples of a text; every number from 0 is as likely.
        seed: of what is drawn.

    Returns:
        One for each row.
    """
    found: list[str] = []
    for at in range(0, len(given.learned), batch):
        group = given.learned[at : at + batch]
        found += batch_prompts(group, [TASK] * len(group), shown=(0, most), seed=seed + at)
    return found


def demonstrations(given: Intents, count: int, seed: int) -> list[Example]:
    """Examples to show before what is asked: of intents that were learned from, drawn."""
    return random.Random(seed).sample(given.learned, count)


def sources() -> Mapping[str, Source]:
    """Fingerprints of the pairs and of the intents' texts."""
    texts = [text for split in _by_intent().values() for own in split.values() for text in own]
    return {
        **code_sources(),
        "clinc150: data_full.json": Source(text_fingerprint(texts), len(texts)),
    }


@cache
def _by_intent() -> dict[str, dict[str, list[str]]]:
    """Split → intent → its texts, each text once, and none in both splits."""
    found: dict[str, dict[str, list[str]]] = {}
    known: set[str] = set()
    for split in ("train", "test"):
        read = read_clinc150(needed_root())[split]
        names = read.features["label"].names
        found[split] = defaultdict(list)
        for text, label in dict(zip(read["text"], read["label"], strict=True)).items():
            if text not in known:
                found[split][names[label]].append(text)
        known.update(read["text"])
    return found


def _of(
    names: Sequence[str], texts: Mapping[str, Sequence[str]], count: int, rng: random.Random
) -> dict[str, str]:
    return {text: name for name in names for text in rng.sample(list(texts[name]), count)}
