import json

import numpy as np
import pytest

from polyvec.errors import BadInput
from polyvec.training.mined_lines import mine_file

ROWS = [
    {"query": "red wine", "pos": ["red wine in a glass"], "neg": ["the sea"], "task": "wine"},
    {"query": "blue sea", "pos": ["the deep blue sea"], "instruction": "Find seas"},
]


@pytest.fixture
def examples(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "texts.txt").write_text("white wine\nred brick\n\nblue house\nsea bird\n")
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("model", ["bm25", "{tiny}", "hybrid:{tiny}"])
def test_examples_get_negatives_and_scores(examples, tiny_model_path, tmp_path, model):
    out = tmp_path / "mined.jsonl"
    named = model.format(tiny=tiny_model_path)
    report = mine_file(
        named,
        examples,
        out,
        corpus=tmp_path / "texts.txt",
        ranks=(0, 5),
        n=2,
        rule=None,
        device="cpu",
    )
    first, second = lines(out)
    assert first["neg"][0] == "the sea"
    assert len(first["neg"]) == 3 or set(first["neg"]) > {"the sea"}
    assert len(second["neg"]) == 2
    assert second["instruction"] == "Find seas"
    for row in (first, second):
        assert not set(row["pos"]) & set(row["neg"])
        assert len(row["teacher_scores"]) == len(row["pos"]) + len(row["neg"])
        assert np.isfinite(row["teacher_scores"]).all()
    kept = json.loads((tmp_path / "mined.jsonl.report.json").read_text())
    assert kept["queries"] == report.queries == 2


def test_what_was_mined_can_be_mined_again(examples, tmp_path):
    again = tmp_path / "again.jsonl"
    options = {"corpus": tmp_path / "texts.txt", "ranks": (0, 5), "n": 2, "rule": None}
    mine_file("bm25", examples, tmp_path / "mined.jsonl", **options)
    mine_file("bm25", tmp_path / "mined.jsonl", again, **options)
    assert [row["query"] for row in lines(again)] == ["red wine", "blue sea"]


def test_bad_input(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(BadInput, match="no example in it"):
        mine_file("bm25", empty, tmp_path / "out.jsonl")


def test_a_hybrid_ranker_has_no_graph(examples, tmp_path):
    with pytest.raises(BadInput, match="flat only"):
        mine_file("hybrid:minilm", examples, tmp_path / "out.jsonl", index="hnsw")
