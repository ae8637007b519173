from math import exp, log2

import numpy as np
import pytest
import torch

from polyvec.data.representative_words import RepresentativeWords
from polyvec.encoders.attention_terms import AttentionTerms
from polyvec.errors import BadInput

TEXTS = ["The cat and cats, 42 cat", "a dog and the big dog"]
# [CLS] the cat and cat ##s , 4 ##2 cat [SEP]
FIRST = {"the": [1], "cat": [2, 9], "and": [3], "cats": [4]}
# [CLS] a dog and the big dog [SEP]
SECOND = {"a": [1], "dog": [2, 6], "and": [3], "the": [4], "big": [5]}


@pytest.fixture
def model(tiny_model):
    made = tiny_model().eval()
    made.transformers_model.set_attn_implementation("eager")
    return made


def attention(model, text, layer=-1):
    """From [CLS], mean over heads: shape (length,)."""
    features = model.tokenizer([text], return_tensors="pt")
    with torch.no_grad():
        found = model.transformers_model(**features, output_attentions=True).attentions[layer]
    return found[0].mean(dim=0)[0].double()


def by_hand(model, text, places, layer=-1, saturation=0.01):
    paid = attention(model, text, layer)
    summed = {word: float(sum(paid[at] for at in of)) for word, of in places.items()}
    return {word: a / (a + saturation) if saturation else a for word, a in summed.items()}


def shares(weights):
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def named(source, document):
    numbers, found = source.contrasts(document)
    return dict(zip(source.spell(numbers, np.random.default_rng(0)), found.tolist(), strict=True))


@pytest.mark.parametrize(("layer", "saturation"), [(-1, 0.01), (0, 0.01), (-1, 0.0)])
def test_contrasts_worked_by_hand(model, layer, saturation) -> None:
    one, two = (
        by_hand(model, text, places, layer, saturation)
        for text, places in zip(TEXTS, (FIRST, SECOND), strict=True)
    )
    theirs = shares({word: one.get(word, 0) + two.get(word, 0) for word in {*one, *two}})
    source = AttentionTerms(model, TEXTS, layer=layer, saturation=saturation, normalise=False)
    expected = {word: -share * log2(theirs[word]) for word, share in shares(one).items()}
    assert named(source, 0) == pytest.approx(expected, rel=1e-5)
    collection = dict(zip(source.words, source.collection.tolist(), strict=True))
    assert collection == pytest.approx(theirs, rel=1e-5)
    lower = AttentionTerms(
        model, TEXTS, layer=layer, saturation=saturation, contrast="subtract", normalise=False
    )
    expected = {word: max(share - theirs[word], 0) for word, share in shares(two).items()}
    assert named(lower, 1) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_chances_are_a_softmax_of_contrasts(model) -> None:
    for given, temperature in (({}, 0.2), ({"normalise": False}, 1.0), ({"temperature": 3.0}, 3.0)):
        source = AttentionTerms(model, TEXTS, **given)
        contrasts = named(source, 0)
        raised = shares({word: exp(g / temperature) for word, g in contrasts.items()})
        terms = source.terms(0, np.random.default_rng(0))
        assert terms.chances.tolist() == pytest.approx(list(raised.values()))
        assert terms.scores.tolist() == list(contrasts.values())


def test_normalised_contrasts_are_further_from_even(model) -> None:
    normalised, published = (
        AttentionTerms(model, TEXTS, normalise=yes).effective_words(1) for yes in (True, False)
    )
    assert 1 <= normalised < published <= 5
    assert published > 4.5


def test_batches_and_padding_change_nothing(model) -> None:
    texts = [*TEXTS, "moon " * 20, "river and stone"]
    one, all_at_once = (AttentionTerms(model, texts, batch=size) for size in (1, 8))
    for document in range(len(texts)):
        assert named(one, document) == pytest.approx(named(all_at_once, document), abs=1e-5)
    assert one.lengths.tolist() == all_at_once.lengths.tolist() == [11, 8, 22, 5]


def test_a_word_that_the_model_reads_in_part_is_left_out(model) -> None:
    # 64 tokens: [CLS], 61 times a, the first piece of "cats", [SEP]
    source = AttentionTerms(model, ["a " * 61 + "cats", "a cat"])
    assert set(named(source, 0)) == {"a"}
    assert set(named(AttentionTerms(model, ["a " * 60 + "cats", "a cat"]), 0)) == {"a", "cats"}


def test_it_is_a_source_of_word_sets(model) -> None:
    source = AttentionTerms(model, TEXTS)
    drawer = RepresentativeWords(source, replace=False, min_words=5, min_length=0)
    found = list(drawer.pairs())
    assert {sets.document for sets in found} == {1}
    assert drawer.report.skipped == {"fewer than 5 words to draw from": 1}
    contrasts = named(source, 1)
    for sets in found:
        better, worse = (sum(contrasts[w] for w in words.split()) for words in sets[:2])
        assert sets.gap == pytest.approx(better - worse)


def test_a_text_without_words_gives_none(model) -> None:
    source = AttentionTerms(model, ["42", *TEXTS])
    assert len(source.terms(0, np.random.default_rng(0)).numbers) == 0


def test_a_model_that_does_not_tell_its_attention(tiny_model) -> None:
    with pytest.raises(BadInput, match=r"'sdpa', which does not tell .*set_attn_implementation"):
        AttentionTerms(tiny_model(), TEXTS)


@pytest.mark.parametrize(
    ("texts", "given", "message"),
    [
        (TEXTS[:1], {}, "1 texts: a contrast with the collection needs 2"),
        (["42", "!"], {}, "none of the 2 texts has a word of letters"),
        (TEXTS, {"contrast": "divide"}, "contrast 'divide': give 'entropy' or 'subtract'"),
        (TEXTS, {"temperature": 0.0}, "a temperature of 0.0"),
        (TEXTS, {"layer": 2}, "layer 2 of 2: give -2 to 1"),
    ],
)
def test_settings_that_make_no_sense(model, texts, given, message) -> None:
    with pytest.raises(BadInput, match=message):
        AttentionTerms(model, texts, **given)
