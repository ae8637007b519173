from __future__ import annotations

import numpy as np
import pytest

import polyvec
from polyvec.encoders.instructions import instructed, with_instructions
from polyvec.errors import BadInput


def test_the_published_template_keeps_its_blanks():
    assert instructed("Do it", "now") == "Instruct: Do it \n Query: now"


def test_instructions_stand_before_queries_only_and_are_saved(tiny_model, tmp_path):
    plain = tiny_model()
    model = with_instructions(plain, "Do it", tasks={"sort": "Sort it"})
    text = "a row of words"
    np.testing.assert_array_equal(model.encode_query(text), plain.encode(instructed("Do it", text)))
    np.testing.assert_array_equal(model.encode_document(text), plain.encode(text))
    np.testing.assert_array_equal(
        model.encode(text, prompt_name="sort"), plain.encode(instructed("Sort it", text))
    )
    model.save(str(tmp_path), create_model_card=False)
    assert polyvec.load(tmp_path, "cpu").prompts == model.prompts


def test_symmetric_tasks_have_it_on_both_sides(tiny_model):
    model = with_instructions(tiny_model(), "Do it", symmetric=True)
    np.testing.assert_array_equal(model.encode_query("x"), model.encode_document("x"))


@pytest.mark.parametrize("template", ["{task}", "{text}", "{task} {text}."])
def test_a_template_without_a_place(tiny_model, template):
    with pytest.raises(BadInput, match=r"\{task\}"):
        with_instructions(tiny_model(), template=template)
