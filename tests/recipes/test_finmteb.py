"""The finance experiment: its rule, its slices and its scores."""

import numpy as np
import pytest

from polyvec.data.beir import Judgements
from polyvec.data.benchmarks.files import data_root
from polyvec.data.benchmarks.question_answering import RetrievalSet
from polyvec.recipes.finmteb import CONTROLLED, COVERAGE, FALSE, RAW, RECIPE, judge
from polyvec.recipes.finmteb_scores import leave_one_out_map, scores
from polyvec.recipes.finmteb_slices import (
    CLINC_DOMAINS,
    DRAWN_CORPUS,
    DRAWN_QUERIES,
    FINANCE,
    GENERAL,
    IntentSlice,
    RetrievalSlice,
    intent_slices,
    pool,
    redrawn,
    retrieval_slices,
)


def _values(
    estimates: list[float],
    half: float,
    coverage: float = 0.95,
    false: float = 0.04,
    raw: float = 0.99,
) -> dict[str, dict[str, list[float]]]:
    name = "retrieval b1 (fog)"
    return {
        RAW: {FALSE: [raw] * len(estimates)},
        CONTROLLED: {
            FALSE: [false] * len(estimates),
            COVERAGE: [coverage] * len(estimates),
            name: estimates,
            f"{name} low": [value - half for value in estimates],
            f"{name} high": [value + half for value in estimates],
        },
    }


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (_values([-0.2, -0.3], 0.1), "holds"),
        (_values([-0.2, -0.3], 0.25), "holds in part"),
        (_values([-0.2, 0.01], 0.25), "not seen at this scale"),
        (_values([0.2, 0.3], 0.1), "contradicted"),
        (_values([-0.2, -0.3], 0.1, coverage=0.92), "contradicted"),
        (_values([-0.2, -0.3], 0.1, false=0.1), "contradicted"),
        (_values([-0.2, -0.3], 0.1, raw=0.4), "contradicted"),
    ],
)
def test_the_rule_decides(values: dict[str, dict[str, list[float]]], verdict: str) -> None:
    assert judge(values) == verdict


def test_the_rule_is_written_with_its_numbers() -> None:
    assert all(number in RECIPE.rule for number in ("50%", "9%", "93%"))


def test_map_by_hand() -> None:
    # From a1 the order is b, a2, from a2 it is b, a1: precision 1/2 each; b has nobody.
    vectors = np.array([[1, 0], [0.6, 0.8], [0.8, 0.6]], np.float32)
    assert leave_one_out_map(vectors, ["a", "a", "b"]) == pytest.approx(0.5)


def test_every_domain_has_fifteen_intents_of_its_own() -> None:
    intents = [intent for own in CLINC_DOMAINS.values() for intent in own.split()]
    assert {len(own.split()) for own in CLINC_DOMAINS.values()} == {15}
    assert len(intents) == len(set(intents)) == 150


def test_scores_have_a_row_for_each_model_and_slice() -> None:
    found = RetrievalSet(
        {"d1": "a bond", "d2": "a virus"}, Judgements({"q": "bond"}, {"q": {"d1": 1}})
    )
    slices = [
        IntentSlice("intents", FINANCE, ["pay", "pay now", "stop"], ["pay", "pay", "stop"]),
        RetrievalSlice("questions", GENERAL, found),
    ]

    def by_first_letter(texts: list[str]) -> np.ndarray:
        letters = [text.removeprefix("a ")[0] for text in texts]
        return np.array([[letter == other for other in "psbv"] for letter in letters], np.float32)

    table = scores({"letters": by_first_letter}, slices)
    assert table[["task_type", "domain", "score"]].values.tolist() == [
        ["intents", "finance", 1.0],
        ["retrieval", "general", 1.0],
    ]


@pytest.fixture(scope="module")
def root():
    found = data_root()
    if found is None:
        pytest.skip("POLYVEC_DATA is not set")
    return found


def test_intent_slices_are_of_one_design(root) -> None:
    slices = intent_slices(root, seed=0)
    assert len(slices) == 15
    assert sum(part.domain == FINANCE for part in slices) == 7
    assert all(len(set(part.labels)) == 15 for part in slices)
    assert {len(part.texts) for part in slices if part.name.startswith("clinc")} == {450}


def test_retrieval_slices_are_of_one_size(root) -> None:
    known = set(pool(root))
    for whole in retrieval_slices(root):
        part = redrawn(whole, seed=1).data
        assert len(part.documents) == DRAWN_CORPUS
        assert DRAWN_QUERIES - 8 <= len(part.judgements.queries) <= DRAWN_QUERIES
        assert set(part.documents.values()) <= known
        for grades in part.judgements.qrels.values():
            assert set(grades) <= set(part.documents)
