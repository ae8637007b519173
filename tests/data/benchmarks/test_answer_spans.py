import json

import pytest

from polyvec.data.benchmarks.answer_spans import Answered, read_squad
from polyvec.errors import BadInput

CONTEXT = " A cat  came. It rained."


def question(id, *answers, text="What\n came?"):
    found = [{"text": said, "answer_start": start} for said, start in answers]
    return {"id": id, "question": text, "answers": found}


def squad(*questions, context=CONTEXT):
    other = {"context": "Nothing.", "qas": []}
    return json.dumps(
        {
            "data": [
                {"paragraphs": [other]},
                {"paragraphs": [{"context": context, "qas": questions}]},
            ]
        }
    )


def test_the_first_answer_counts_and_questions_without_one_are_left_out(put, tmp_path):
    put("dev.json.gz", squad(question("a", ("cat", 3), ("came", 8)), question("b")))
    passages, questions = read_squad(tmp_path / "dev.json.gz")
    assert passages == {"1": "Nothing.", "2": CONTEXT}
    assert questions == [Answered("a", "What came?", "2", 3)]


@pytest.mark.parametrize(
    ("questions", "says"),
    [
        (
            [question("a", ("cat", 4))],
            r"qas\[0\]\.answers\[0\]: the paragraph does not say this at 4",
        ),
        ([question("a", ("d.", -2))], r"does not say this at -2"),
        (
            [question("a", ("cat", 3)), question("a", ("cat", 3))],
            r"qas\[1\]: id 'a' is there a sec",
        ),
        ([{"id": "a"}], r"data\[1\]\.paragraphs\[0\]\.qas\[0\]: no 'answers' in it"),
    ],
)
def test_what_is_malformed_is_named(put, tmp_path, questions, says):
    put("dev.json", squad(*questions))
    with pytest.raises(BadInput, match=rf"dev\.json: .*{says}"):
        read_squad(tmp_path / "dev.json")
