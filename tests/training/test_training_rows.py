import json

import pytest

from polyvec.data.training_lines import TrainingLine
from polyvec.errors import BadInput
from polyvec.training.training_rows import read_examples, training_rows


def line(query, positives, negatives=(), **more):
    given = {"task": "t", "instruction": "", "teacher_scores": [], **more}
    return TrainingLine(query, list(positives), list(negatives), **given)


def test_an_example_that_comes_again_brings_its_next_positive_and_negatives():
    given = [line("q", ["p0", "p1"], ["n0", "n1", "n2", "n3"])]
    rows = training_rows(given, [0] * 4, negatives=2)
    assert sorted(rows["positive"][:2]) == ["p0", "p1"]
    assert rows["positive"][0] == rows["positive"][2]
    first, second = ({row["negative_1"], row["negative_2"]} for row in (rows[0], rows[1]))
    assert first | second == {"n0", "n1", "n2", "n3"}


def test_missing_negatives_are_other_answers_of_the_task_and_never_the_own():
    given = [line("q1", ["p1"], ["n"]), line("q2", ["p2"]), line("x", ["px"], task="other")]
    rows = training_rows(given, [0, 0, 0], negatives=2)
    assert rows["negative_1"][:] == ["n"] * 3
    assert set(rows["negative_2"]) == {"p2"}


def test_equal_answers_have_equal_labels_and_classes_too():
    given = [line("a", ["p"]), line("b", ["p"]), line("c", ["o"]), line("d", ["x"], label="k")]
    given.append(line("e", ["y"], label="k"))
    labels = list(training_rows(given, range(5))["label"])
    assert labels == [0, 0, 1, 2, 2]


def test_scores_stand_beside_the_texts_they_are_of():
    given = [line("q", ["p"], ["n0", "n1", "n2"], teacher_scores=[9, 0, 1, 2])]
    rows = training_rows(given, [0, 0, 0], negatives=2, scores=True)
    for row in rows:
        known = {"p": 9, "n0": 0, "n1": 1, "n2": 2}
        assert row["label"] == [
            known[row[name]] for name in ("positive", "negative_1", "negative_2")
        ]


def test_an_instruction_stands_before_its_query():
    rows = training_rows([line("q", ["p"], instruction="find")], [0])
    assert rows[0]["anchor"] == "Instruct: find \n Query: q"


def test_files_of_labelled_texts_become_examples(tmp_path):
    path = tmp_path / "classes.jsonl"
    given = [{"text": f"{label}{n}", "label": label} for label in "ab" for n in range(3)]
    path.write_text("\n".join(map(json.dumps, given)))
    found = read_examples([path])
    assert [(e.query, e.task, e.label) for e in found][:2] == [
        ("a0", "classes.jsonl", "a"),
        ("a1", "classes.jsonl", "a"),
    ]
    assert sorted(found[0].positives) == ["a1", "a2"]
    assert sorted(found[0].negatives) == ["b0", "b1", "b2"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no example in it"),
        ('{"query": "a"}', r'jsonl:1: no "pos"'),
        ('{"text": "a", "label": "x"}', "all texts are of the class 'x'"),
        ('{"text": "a", "label": "x"}\n{"text": "", "label": "y"}', "jsonl:2: a labelled text has"),
    ],
)
def test_bad_files_get_a_sentence(text, sentence, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_examples([path])


def test_scores_that_are_missing_are_named():
    with pytest.raises(BadInput, match="query 'q': 0 teacher_scores and 1 negatives"):
        training_rows([line("q", ["p"], ["n"])], [0], negatives=1, scores=True)
    with pytest.raises(BadInput, match="too few different answers"):
        training_rows([line("q", ["p"])], [0], negatives=1)
