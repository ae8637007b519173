"""The whole job on real documents, with a tiny model so that it takes seconds."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import polyvec
from polyvec.data.beir import write_beir
from polyvec.errors import BadInput

DOCUMENTS = "python:argparse,email,http,json,logging,unittest,urllib,xml"
MINUTES = 0.05


@pytest.fixture(scope="module")
def finished(tiny_model_path, tmp_path_factory):
    """An adaptation that ran to its end."""
    out = tmp_path_factory.mktemp("finished")
    result = polyvec.adapt(DOCUMENTS, base=str(tiny_model_path), minutes=MINUTES, out=out)
    return out, result


def command(base, out, *options):
    words = [sys.executable, "-m", "polyvec", "adapt", DOCUMENTS, "--base", str(base)]
    return [*words, "--minutes", str(MINUTES), "--out", str(out), *options]


def test_all_that_was_promised_is_written(finished):
    out, result = finished
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == result.metrics
    assert metrics["frontier"] == {}
    assert set(metrics["mean"]) == {"bm25", "base", "adapted", "hybrid"}
    assert {"ndcg@10", "mrr@10", "recall@10", "recall@100"} <= set(metrics["mean"]["base"])
    for systems in metrics["tasks"].values():
        assert set(systems) == set(metrics["mean"])
    assert metrics["gain"]["low"] <= metrics["gain"]["value"] <= metrics["gain"]["high"]
    assert {"base", "adapted", "change"} <= set(metrics["retention"])
    assert metrics["cost"]["steps"] == len(metrics["training"]["curve"]) > 0
    assert (out / "report.html").read_text().startswith("<!doctype html>")


def test_the_gain_is_the_difference_of_the_means(finished):
    _, result = finished
    mean = result.metrics["mean"]
    difference = mean["adapted"]["ndcg@10"] - mean["base"]["ndcg@10"]
    assert result.gain["value"] == pytest.approx(difference)


def test_the_model_opens_in_plain_sentence_transformers(finished):
    from sentence_transformers import SentenceTransformer

    out, result = finished
    plain = SentenceTransformer(str(out / "model"), device="cpu")
    ours = result.model("cpu")
    text = ["parse the arguments"]
    assert plain.encode(text) == pytest.approx(ours.encode(text), abs=1e-6)


def test_the_same_call_repeats_no_stage(finished, tiny_model_path):
    out, result = finished
    before = {path: path.stat().st_mtime_ns for path in out.glob("stages/*/done.json")}
    again = polyvec.adapt(DOCUMENTS, base=str(tiny_model_path), minutes=MINUTES, out=out)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("stages/*/done.json")}
    assert again.metrics["mean"] == result.metrics["mean"]


def test_a_changed_option_names_the_stage_it_invalidates(finished, tiny_model_path):
    out, _ = finished
    with pytest.raises(BadInput, match=r"--seed was 0 and is now 1.*'prepare'.*--restart"):
        polyvec.adapt(DOCUMENTS, base=str(tiny_model_path), minutes=MINUTES, out=out, seed=1)
    with pytest.raises(BadInput, match=r"--minutes.*'plan'"):
        polyvec.adapt(DOCUMENTS, base=str(tiny_model_path), minutes=1, out=out)


def test_nothing_of_the_exam_is_learned(finished):
    out, _ = finished
    exam = json.loads((out / "exam.json").read_text())
    pairs = json.loads((out / "stages/prepare/pairs.json").read_text())
    texts = json.loads((out / "stages/prepare/texts.json").read_text())
    asked = {query.casefold() for task in exam for query in task["queries"].values()}
    searched = {text for task in exam for text in task["passages"].values()}
    assert not asked & {pair["query"].casefold() for pair in pairs}
    assert not searched & set(texts.values())


def test_evaluate_gives_the_same_values_as_the_run(finished, tiny_model_path):
    out, result = finished
    values = polyvec.evaluate([tiny_model_path, out / "model"], out)
    assert values["mean"]["bm25"] == pytest.approx(result.metrics["mean"]["bm25"])
    assert values["mean"][str(tiny_model_path)] == pytest.approx(
        result.metrics["mean"]["base"], abs=1e-3
    )
    assert values["gains"][str(out / "model")]["value"] == pytest.approx(
        result.gain["value"], abs=1e-3
    )


def test_killed_at_ten_random_moments_it_still_ends_complete(finished, tiny_model_path, tmp_path):
    _, whole = finished
    rng = random.Random(0)
    words = command(tiny_model_path, tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = None
    kills = 0
    while ended is None and kills < 10:
        process = subprocess.Popen(
            words, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            ended = process.wait(timeout=rng.uniform(4, 12))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    subprocess.run(words, env=environment, check=True, capture_output=True)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["mean"]["base"] == pytest.approx(whole.metrics["mean"]["base"], abs=1e-6)
    steps = [point["step"] for point in metrics["training"]["curve"]]
    assert steps == list(range(1, len(steps) + 1))
    assert polyvec.load(tmp_path / "model", device="cpu").encode(["x"]).shape[0] == 1


def cranes(folder: Path, documents=60):
    """A BEIR folder whose documents each speak of one thing."""
    names = [f"crane{n}" for n in range(documents)]
    corpus = {
        n: (
            f"The {n} manual",
            f"{n} lifts loads. It stands on rails. Oil {n} each week. Its hook turns.",
        )
        for n in names
    }
    queries = {f"q{n}": f"how to oil {n}" for n in names[:20]}
    write_beir(folder, corpus, queries, {f"q{n}": {n: 1} for n in names[:20]})
    return folder


def test_own_judgements_are_the_exam(tiny_model_path, tmp_path):
    folder = cranes(tmp_path / "beir", documents=400)
    result = polyvec.adapt(folder, base=str(tiny_model_path), minutes=0.02, out=tmp_path / "out")
    assert list(result.metrics["tasks"]) == ["your queries"]
    assert result.metrics["sizes"]["your queries"] == {"queries": 20, "passages": 400}
    assert result.metrics["mean"]["bm25"]["recall@10"] > 0.9


def test_documents_are_read_before_pairs_are_learned(tiny_model_path, tmp_path):
    folder, out = cranes(tmp_path / "beir", documents=400), tmp_path / "out"
    result = polyvec.adapt(
        folder, base=str(tiny_model_path), minutes=0.03, pretrain="retromae", out=out
    )
    curve = result.metrics["pretraining"]["curve"]
    assert curve[0]["step"] == 1
    assert {"pretrain", "train"} <= set(result.metrics["cost"]["stages"])
    assert (
        "Loss of pre-training on the raw documents (retromae)" in (out / "report.html").read_text()
    )


def test_an_elastic_model_ends_with_its_sizes(tiny_model_path, tmp_path):
    folder, out = cranes(tmp_path / "beir", documents=400), tmp_path / "out"
    options = {"base": str(tiny_model_path), "minutes": 0.03, "out": out}
    result = polyvec.adapt(folder, **options, elastic=True)
    points = result.metrics["frontier"]["points"]
    # Of two layers and 32 dimensions Starbucks has two sizes.
    assert [(p["model"], p["layers"], p["dims"]) for p in points[::3]] == [
        ("adapted", 2, 32),
        ("adapted", 1, 32),
        ("base", 2, 32),
        ("base", 1, 32),
    ]
    full = result.metrics["mean"]["adapted"]["ndcg@10"]
    assert points[0]["quality"] == pytest.approx(full, abs=1e-3)
    assert "frontier" in result.metrics["cost"]["stages"]
    page = (out / "report.html").read_text()
    assert "Smaller sizes" in page
    with pytest.raises(BadInput, match=r"--elastic was True and is now False.*'plan'"):
        polyvec.adapt(folder, **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--minutes", "0"], "--minutes 0"),
        (["--base", "no/such-model"], "no/such-model"),
        (["--queries", "q.jsonl"], "--qrels"),
        (["--learning-rate", "-1"], "--learning-rate"),
        (["--device", "abacus"], "abacus"),
        (["--pretrain", "bert"], "no objective is called 'bert'"),
    ],
)
def test_bad_options_end_in_one_sentence(options, sentence, tiny_model_path, tmp_path):
    done = subprocess.run(
        [*command(tiny_model_path, tmp_path / "out"), *options], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_one_document_is_too_few(tiny_model_path, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One page\n\nWith a paragraph of text in it.\n")
    with pytest.raises(BadInput, match="too few documents"):
        polyvec.adapt(page, base=str(tiny_model_path), minutes=0.02, out=tmp_path / "out")


def test_identical_documents_are_too_few(tiny_model_path, tmp_path):
    for number in range(40):
        (tmp_path / f"{number}.md").write_text(
            "# Same\n\nThe same text in every file, word by word.\n"
        )
    with pytest.raises(BadInput, match="too few documents"):
        polyvec.adapt(tmp_path, base=str(tiny_model_path), minutes=0.02, out=tmp_path / "out")


def test_unknown_ids_in_judgements_are_named(tiny_model_path, tmp_path):
    folder = cranes(tmp_path / "beir")
    (folder / "bad.tsv").write_text("query-id\tcorpus-id\tscore\nqcrane0\tnowhere\t1\n")
    with pytest.raises(BadInput, match="nowhere"):
        polyvec.adapt(
            folder,
            base=str(tiny_model_path),
            queries=folder / "queries.jsonl",
            qrels=folder / "bad.tsv",
            out=tmp_path / "out",
        )
