from __future__ import annotations

import numpy as np
import pytest

import polyvec
from polyvec.encoders.decoder import decoder_encoder
from polyvec.encoders.in_context import (
    Example,
    batch_prompts,
    choose_examples,
    encode_after_prompt,
    in_context_prompt,
    with_examples,
)
from polyvec.errors import BadInput

TASK = "Find the intent"
POOL = [Example(f"query {n}", f"answer {n}") for n in range(6)]


@pytest.fixture(scope="module")
def causal(tiny_decoder_path):
    return decoder_encoder(tiny_decoder_path, pooling="last", bidirectional=False, max_length=200)


def test_a_prompt_by_hand():
    found = in_context_prompt(TASK, [Example("q", "a")])
    assert found == "Instruct: Find the intent\nQuery: q\na\n\nInstruct: Find the intent\nQuery: "


def test_each_side_of_an_example_is_cut(causal):
    found = in_context_prompt(
        TASK, [Example("abcdef", "uvwxyz")], tokenizer=causal.tokenizer, example_tokens=3
    )
    assert "Query: abc\nuvw\n" in found


def test_the_prompt_stands_before_queries_and_is_saved(causal, tmp_path):
    model = with_examples(causal, TASK, POOL[:1])
    before = in_context_prompt(TASK, POOL[:1])
    np.testing.assert_array_equal(model.encode_query("x"), causal.encode(before + "x"))
    np.testing.assert_array_equal(model.encode_document("x"), causal.encode("x"))
    assert "query" not in causal.prompts or not causal.prompts["query"]
    model.save(str(tmp_path), create_model_card=False)
    opened = polyvec.load(tmp_path, "cpu")
    np.testing.assert_array_equal(opened.encode_query("x"), model.encode_query("x"))


def test_states_of_the_prompt_computed_once_are_exact(causal):
    model = with_examples(causal, TASK, POOL[:2])
    texts = ["x", "something longer", "", "y" * 300]
    whole = model.encode(texts, prompt_name="query")
    np.testing.assert_allclose(encode_after_prompt(model, texts), whole, atol=1e-6)
    np.testing.assert_allclose(encode_after_prompt(model, texts, batch_size=1), whole, atol=1e-6)


def test_examples_are_of_the_same_task_and_give_no_answer_away():
    rows = [Example("q one", "same"), Example("q two", "SAME!"), Example("q three", "other")]
    rows += [Example("z four", "else")]
    texts = batch_prompts(rows, ["A", "A", "A", "B"], shown=(5, 5))
    assert "q two" not in texts[0]
    assert "q three\nother" in texts[0]
    assert "q one" not in texts[1]
    assert texts[2].count("Instruct: A") == 3
    assert texts[3] == "Instruct: B\nQuery: z four"


def test_every_number_of_examples_comes():
    rows = [Example(f"q{n}", f"a{n}") for n in range(300)]
    texts = batch_prompts(rows, ["A"] * 300, seed=1)
    counts = np.bincount([text.count("Instruct:") - 1 for text in texts], minlength=6)
    assert len(counts) == 6
    assert counts.min() > 25
    assert batch_prompts(rows, ["A"] * 300, seed=1) == texts
    assert all(text.endswith(f"Query: q{n}") for n, text in enumerate(texts))


def test_chosen_examples(tiny_model):
    model = tiny_model()
    pool = [
        *[Example(f"the boat and the ship {n}", "sea") for n in range(5)],
        *[Example(f"sort the list and the array {n}", "code") for n in range(5)],
    ]
    assert {row.answer for row in choose_examples(model, pool, 2)} == {"sea", "code"}
    nearest = choose_examples(model, pool, 1, strategy="nearest", query="The boat and the ship 2")
    assert nearest[0].query != "the boat and the ship 2"
    drawn = choose_examples(model, pool, 4, strategy="random", seed=3)
    assert drawn == choose_examples(model, pool, 4, strategy="random", seed=3)


def test_bad_input(causal, tiny_model):
    with pytest.raises(BadInput, match=r"ends in \{text\}"):
        in_context_prompt(TASK, template="{task}: {text}!")
    with pytest.raises(BadInput, match="at most 5"):
        with_examples(causal, TASK, POOL)
    long = [POOL[0], Example("x" * 150, "y" * 90)]
    with pytest.raises(BadInput, match="the longest is number 2, 241 tokens"):
        with_examples(causal, TASK, long)
    with pytest.raises(BadInput, match="one task a row"):
        batch_prompts(POOL, ["A"])
    with pytest.raises(BadInput, match="fewest and the most"):
        batch_prompts(POOL, ["A"] * 6, shown=(3, 1))
    with pytest.raises(BadInput, match="give the query"):
        choose_examples(causal, POOL, 1, strategy="nearest")
    with pytest.raises(BadInput, match="7 examples of 6"):
        choose_examples(causal, POOL, 7)
    with pytest.raises(BadInput, match="none of that name"):
        encode_after_prompt(causal, ["x"])
    with pytest.raises(BadInput, match="last-token pooling only"):
        encode_after_prompt(tiny_model(), ["x"])
