import json

import pytest
import torch

from polyvec.errors import BadInput
from polyvec.evaluation.comparison import evaluate, read_exam
from polyvec.evaluation.exam import Exam, Task, fuse, mean_over_tasks
from polyvec.evaluation.retrieval_metrics import METRICS

TEXTS = ["the queen of the lake", "bread and fish", "an old stone house", "a dog in the garden"]
QUERIES = ["queen", "fish", "house", "big dog"]


@pytest.fixture(scope="module")
def exam():
    passages = {f"p{n}": text for n, text in enumerate(TEXTS)}
    queries = {f"q{n}": text for n, text in enumerate(QUERIES)}
    relevant = {f"q{n}": {f"p{n}": 1} for n in range(len(QUERIES))}
    return Exam(
        [Task("one", queries, passages, relevant), Task("two", queries, passages, relevant)]
    )


@pytest.fixture(scope="module")
def folder(exam, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapted")
    exam.save(folder / "exam.json")
    return folder


@pytest.fixture(scope="module")
def other(tiny_model):
    """The tiny model with other words."""
    model = tiny_model()
    with torch.no_grad():
        embeddings = model[0].auto_model.embeddings.word_embeddings.weight
        embeddings.copy_(embeddings.flip(0) * 3)
    return model


def test_one_model_stands_beside_bm25_and_their_hybrid(tiny_model_path, tiny_model, folder, exam):
    name = str(tiny_model_path)
    found = evaluate(name, folder)
    assert list(found["mean"]) == ["bm25", name, f"{name} + bm25"]
    assert found["on"] == str(folder)
    assert found["gains"] == {}
    assert found["sizes"] == {
        "one": {"queries": 4, "passages": 4},
        "two": {"queries": 4, "passages": 4},
    }

    bm25, ranked = exam.rank_bm25(), exam.rank(tiny_model())
    for system, rankings in [
        ("bm25", bm25),
        (name, ranked),
        (f"{name} + bm25", fuse(bm25, ranked)),
    ]:
        scores = exam.score(rankings)
        assert found["mean"][system] == pytest.approx(mean_over_tasks(scores))
        assert found["tasks"]["one"][system]["mrr@10"] == pytest.approx(
            scores["one"]["mrr@10"].mean()
        )
        assert set(found["tasks"]["two"][system]) == set(METRICS)
    assert found["mean"]["bm25"]["ndcg@10"] == 1


def test_gains_are_measured_against_the_first_model(tiny_model, other, folder):
    found = evaluate([tiny_model(), other], folder, seed=1)
    assert list(found["gains"]) == ["model 2"]
    mean = found["mean"]
    gain = found["gains"]["model 2"]
    assert gain["value"] == pytest.approx(mean["model 2"]["ndcg@10"] - mean["model 1"]["ndcg@10"])
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert evaluate([tiny_model(), other], folder, seed=1) == found


def test_a_model_gains_nothing_over_itself(tiny_model, tiny_model_path, folder):
    found = evaluate([tiny_model(), tiny_model_path], folder)
    assert found["gains"] == {
        str(tiny_model_path): {"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    }


@pytest.fixture
def beir(tmp_path):
    """The exam's texts as a BEIR folder."""
    (tmp_path / "qrels").mkdir()
    lines = [json.dumps({"_id": f"p{n}", "title": "", "text": t}) for n, t in enumerate(TEXTS)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    lines = [json.dumps({"_id": f"q{n}", "text": text}) for n, text in enumerate(QUERIES)]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines) + "\n")
    lines = [f"q{n}\tp{n}\t1" for n in range(3)]
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n"
    )
    return tmp_path


def test_a_beir_folder_is_an_exam(beir):
    (task,) = read_exam(beir).tasks
    assert task.queries == {f"q{n}": QUERIES[n] for n in range(3)}
    assert task.passages == {f"p{n}": text for n, text in enumerate(TEXTS)}
    assert task.relevant == {f"q{n}": {f"p{n}": 1} for n in range(3)}


def test_models_are_examined_on_a_beir_folder(beir, tiny_model):
    found = evaluate(tiny_model(), beir)
    assert found["mean"]["bm25"]["ndcg@10"] == 1
    assert list(found["mean"]) == ["bm25", "model 1", "model 1 + bm25"]


def test_the_exam_of_an_adaptation_goes_before_a_beir_folder(beir, exam):
    exam.save(beir / "exam.json")
    assert [task.name for task in read_exam(beir).tasks] == ["one", "two"]


@pytest.mark.parametrize("place", ["", "missing"])
def test_a_place_without_an_exam_is_refused(tmp_path, place, tiny_model):
    with pytest.raises(BadInput, match="no exam there; give the --out folder"):
        evaluate(tiny_model(), tmp_path / place)


def test_no_model_at_all_is_refused(folder):
    with pytest.raises(BadInput, match="no model"):
        evaluate([], folder)
