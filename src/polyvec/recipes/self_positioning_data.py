"""Two tasks that want different vectors, one with ten times as many pairs: intents, and questions with passages."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from polyvec.data.benchmarks.question_answering import RetrievalSet, read_covid_qa, read_tat_qa
from polyvec.data.benchmarks.sentence_classes import read_banking77, read_clinc150
from polyvec.data.leak_guard import refuse_leakage
from polyvec.encoders.encoding import encode
from polyvec.evaluation.exam import Task
from polyvec.recipes.learned_texts import needed_root, text_fingerprint
from polyvec.recipes.recipe import Source

INTENT, QUESTION = "same intent", "question to passage"
UNSEEN = 0.3
"""Share of intents, and of COVID-QA's papers, that are not learned from."""
EXAMPLES = 20
"""Texts of an unseen intent: half of them make its centroid, the other half are asked."""
PROBE = 320
"""Pairs of each task by which models are placed; from those learned from."""


class Pairs(NamedTuple):
    """What is learned: equal labels have the same answers."""

    anchors: list[str]
    positives: list[str]
    labels: list[int]


class Material(NamedTuple):
    """What a seed gets.

    Attributes:
        pairs: of each task, to learn from.
        intents: text → intent, of intents that none has learned from.
        questions: what is asked of passages that none has learned from.
    """

    pairs: dict[str, Pairs]
    intents: dict[str, str]
    questions: Task


@cache
def material(seed: int) -> Material:
    """Divide intents and papers, and pair what is learned from."""
    rng = random.Random(seed)
    texts = _by_intent()
    names = sorted(texts)
    unseen = set(rng.sample(names, round(UNSEEN * len(names))))
    intents = {
        text: name
        for name in sorted(unseen)
        for text in rng.sample(texts[name], min(EXAMPLES, len(texts[name])))
    }
    learned, asked = _questions(rng)
    numbers = {
        passage: number for number, passage in enumerate(dict.fromkeys(p for _, p in learned))
    }
    questions = Pairs(
        [question for question, _ in learned],
        [passage for _, passage in learned],
        # Behind the intents', so that labels can be joined.
        [len(names) + numbers[passage] for _, passage in learned],
    )
    same = _same_intent({name: texts[name] for name in names if name not in unseen}, names, rng)
    refuse_leakage([*same.anchors, *same.positives], intents, "texts of unseen intents in training")
    refuse_leakage(questions.anchors, asked.queries.values(), "questions of the exam in training")
    return Material({INTENT: same, QUESTION: questions}, intents, asked)


def probe(seed: int) -> dict[str, list[list[str]]]:
    """A balanced choice of what is learned from: task → anchors and positives."""
    rng = random.Random(seed)
    found = {}
    for task, pairs in material(seed).pairs.items():
        rows = rng.sample(range(len(pairs.anchors)), min(PROBE, len(pairs.anchors)))
        found[task] = [[column[row] for row in rows] for column in (pairs.anchors, pairs.positives)]
    return found


def intent_accuracy(model, intents: Mapping[str, str]) -> float:  # type: ignore[no-untyped-def]
    """Share of texts of unseen intents that are nearest to the centroid of their own."""
    texts = list(intents)
    vectors = encode(model, texts)
    names = sorted(set(intents.values()))
    places = {name: [n for n, text in enumerate(texts) if intents[text] == name] for name in names}
    centroids = np.stack([vectors[rows[::2]].mean(axis=0) for rows in places.values()])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    right = [vectors[rows[1::2]] @ centroids.T for rows in places.values()]
    hits = [np.argmax(scores, axis=1) == number for number, scores in enumerate(right)]
    return float(np.concatenate(hits).mean())


def sources() -> Mapping[str, Source]:
    """Fingerprints of all texts."""
    root = needed_root()
    texts = [text for own in _by_intent().values() for text in own]
    found = {"CLINC150 and BANKING77": Source(text_fingerprint(texts), len(texts))}
    sets = {
        "TAT-QA dev": read_tat_qa(root, "dev"),
        "TAT-QA test": read_tat_qa(root, "test"),
        "COVID-QA": read_covid_qa(root),
    }
    for name, held in sets.items():
        asked = list(held.judgements.queries.values())
        found[name] = Source(text_fingerprint([*asked, *held.documents.values()]), len(asked))
    return found


@cache
def _by_intent() -> dict[str, list[str]]:
    """Texts of each of 227 intents; those of none are left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for source, splits in (
        ("clinc", read_clinc150(needed_root())),
        ("banking", read_banking77(needed_root())),
    ):
        for rows in (found for split, found in splits.items() if not split.startswith("oos")):
            names = rows.features["label"].names
            for text, label in zip(rows["text"], rows["label"], strict=True):
                found[f"{source} {names[label]}"].append(text)
    intents = Counter(text for texts in found.values() for text in set(texts))
    # A text of two intents could stand on both sides.
    return {
        name: sorted(text for text in set(texts) if intents[text] == 1)
        for name, texts in found.items()
    }


def _same_intent(
    texts: Mapping[str, Sequence[str]], names: Sequence[str], rng: random.Random
) -> Pairs:
    """Every text with another one of its intent."""
    anchors, positives, labels = [], [], []
    for name, own in texts.items():
        order = rng.sample(list(own), len(own))
        anchors += order
        positives += [*order[1:], order[0]]
        labels += [names.index(name)] * len(order)
    return Pairs(anchors, positives, labels)


def _questions(rng: random.Random) -> tuple[list[tuple[str, str]], Task]:
    """Question and passage pairs to learn from, and the questions of other passages."""
    root = needed_root()
    covid = read_covid_qa(root)
    papers = sorted({_paper(passage) for passage in covid.documents})
    kept_back = set(rng.sample(papers, round(UNSEEN * len(papers))))
    learned = _answered(read_tat_qa(root, "dev")) + _answered(
        covid, lambda passage: _paper(passage) not in kept_back
    )
    tat = read_tat_qa(root, "test")
    passages = {f"t{id}": text for id, text in tat.documents.items()}
    passages |= {f"c{id}": text for id, text in covid.documents.items() if _paper(id) in kept_back}
    queries, relevant = {}, {}
    for letter, held in (("t", tat), ("c", covid)):
        for query, grades in held.judgements.qrels.items():
            right = {
                f"{letter}{id}": grade
                for id, grade in grades.items()
                if f"{letter}{id}" in passages
            }
            if right:
                queries[f"{letter}{query}"] = held.judgements.queries[query]
                relevant[f"{letter}{query}"] = right
    known = {question for question, _ in learned}
    fresh = {id: text for id, text in queries.items() if text not in known}
    return learned, Task(QUESTION, fresh, passages, {id: relevant[id] for id in fresh})


def _answered(held: RetrievalSet, wanted=lambda passage: True) -> list[tuple[str, str]]:  # type: ignore[no-untyped-def]
    return [
        (held.judgements.queries[query], held.documents[passage])
        for query, grades in held.judgements.qrels.items()
        for passage in grades
        if wanted(passage)
    ]


def _paper(passage: str) -> str:
    return passage.split("-")[0]
