import gzip
import json

import pytest

from polyvec.data.training_lines import probe_columns, read_training_lines
from polyvec.errors import BadInput

WHOLE = {
    "query": "a cat?",
    "pos": ["a cat", "the cat"],
    "neg": ["a dog"],
    "task": "animals",
    "instruction": "Find animals",
    "teacher_scores": [1, 0.9, -2],
}


def written(path, *rows):
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8"
    )
    return path


def test_a_line_with_everything_and_one_with_the_least(tmp_path):
    path = written(tmp_path / "a.jsonl", WHOLE, "", {"query": "sea", "pos": "the sea"})
    whole, least = read_training_lines(path)
    assert (whole.query, whole.positives, whole.negatives) == (
        "a cat?",
        ["a cat", "the cat"],
        ["a dog"],
    )
    assert (whole.task, whole.instruction, whole.teacher_scores) == (
        "animals",
        "Find animals",
        [1.0, 0.9, -2.0],
    )
    assert (least.positives, least.negatives, least.task) == (["the sea"], [], "all")


def test_compressed_files(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(WHOLE).encode()))
    assert next(read_training_lines(path)).query == "a cat?"


def test_a_probe_has_columns_by_task(tmp_path):
    path = written(
        tmp_path / "a.jsonl",
        WHOLE,
        {**WHOLE, "query": "q"},
        {"query": "sea", "pos": ["water"], "task": "b"},
    )
    assert probe_columns(path) == {
        "animals": [["a cat?", "q"], ["a cat", "a cat"]],
        "b": [["sea"], ["water"]],
    }
    with pytest.raises(BadInput, match="no example in it"):
        probe_columns(written(tmp_path / "none.jsonl"))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ({"pos": ["a"]}, 'no "query"'),
        ({"query": " ", "pos": ["a"]}, 'no "query"'),
        ({"query": "a"}, 'no "pos"'),
        ({"query": "a", "pos": [1]}, '"pos" is no list of texts'),
        ({"query": "a", "pos": ["b", ""]}, "one of them is empty"),
        ({"query": "a", "pos": ["b"], "teacher_scores": [1, 2]}, '2 "teacher_scores" of 1 texts'),
        ({"query": "a", "pos": ["b"], "teacher_scores": ["1"]}, "no list of numbers"),
        ({"query": "a", "pos": ["b"], "task": 3}, "are texts"),
    ],
)
def test_bad_lines_are_named(tmp_path, row, sentence):
    path = written(tmp_path / "a.jsonl", WHOLE, row)
    with pytest.raises(BadInput, match=r"a\.jsonl:2: ") as caught:
        list(read_training_lines(path))
    assert sentence in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="nowhere"):
        list(read_training_lines(tmp_path / "nowhere.jsonl"))
