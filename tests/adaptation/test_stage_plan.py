import json
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from polyvec import train
from polyvec.encoders.loading import load
from polyvec.errors import BadInput

SEEN = "cat dog house king lake moon road sea ship star storm tree sun bird boat city"
WORDS = SEEN.split()


@pytest.fixture
def lines(tmp_path):
    rng = random.Random(0)
    path = tmp_path / "pairs.jsonl"
    with open(path, "w") as file:
        for number in range(40):
            words = [" ".join(rng.sample(WORDS, 5)) for _ in range(4)]
            given = {
                "query": words[0],
                "pos": [words[1]],
                "neg": words[2:],
                "task": f"t{number % 2}",
            }
            file.write(json.dumps(given) + "\n")
    return str(path)


def plan(model, lines, steps=4):
    common = {"data": [lines], "batch": 4, "steps": steps, "learning_rate": 1e-3}
    weak = {**common, "name": "weak", "kind": "contrastive", "order": "homogeneous"}
    good = {**common, "name": "good", "kind": "contrastive", "negatives": 2, "focal": {}}
    distilled = {**common, "name": "distilled", "kind": "distil", "negatives": 2}
    soup = {"name": "soup", "kind": "soup", "members": ["good", "distilled"]}
    stages = [weak, good, {**distilled, "start": "weak", "teacher": str(model)}, soup]
    return {"model": str(model), "length": 32, "stages": stages}


def weights(folder):
    return load(folder, "cpu").state_dict()


def same(first, second):
    return all(torch.equal(weight, second[name]) for name, weight in first.items())


def test_the_stages_follow_one_another_and_end_in_a_soup(tiny_model_path, lines, tmp_path):
    given = plan(tiny_model_path, lines)
    model = train(given, out=tmp_path / "out", device="cpu")
    stages = tmp_path / "out" / "stages"
    good, distilled, soup = (weights(stages / n / "model") for n in ("good", "distilled", "soup"))
    for name, weight in soup.items():
        torch.testing.assert_close(weight, (good[name] + distilled[name]) / 2)
    assert same(weights(model), soup)
    told = json.loads((tmp_path / "out" / "training.json").read_text())
    assert [point["step"] for point in told["curves"]["good"]] == [1, 2, 3, 4]
    assert "focal_weight" in told["curves"]["good"][0]
    assert "teacher_entropy" in told["curves"]["distilled"][0]
    assert (tmp_path / "out" / "curve.png").stat().st_size > 10_000
    assert not list(stages.glob("*/checkpoint-*"))

    again = {**given, "stages": given["stages"][:3]}
    assert same(weights(train(again, out=tmp_path / "out", device="cpu")), distilled)
    given["stages"][1]["batch"] = 8
    with pytest.raises(BadInput, match=r"good\.batch was 4 and is now 8"):
        train(given, out=tmp_path / "out", device="cpu")


def test_several_sizes_learn_in_an_elastic_stage(tiny_model_path, lines, tmp_path):
    given = plan(tiny_model_path, lines)
    given["stages"] = [given["stages"][0]]
    plain = load(train(given, out=tmp_path / "plain", device="cpu"), "cpu")
    given["stages"] = [{**given["stages"][0], "elastic": "starbucks"}]
    found = load(train(given, out=tmp_path / "elastic", device="cpu"), "cpu")
    changed = [
        not torch.equal(a, b) for a, b in zip(plain.parameters(), found.parameters(), strict=True)
    ]
    assert any(changed)


def test_pretraining_and_labelled_texts_are_stages_too(tiny_model_path, tmp_path):
    documents = tmp_path / "documents"
    documents.mkdir()
    for number in range(6):
        text = ". ".join(f"The {word} and the {WORDS[number]} go to the sea" for word in WORDS)
        (documents / f"{number}.md").write_text(f"# Page {number}\n\n{text}.\n")
    classes = tmp_path / "classes.jsonl"
    rows = [{"text": f"{a} {b}", "label": a} for a in WORDS[:4] for b in WORDS[4:9]]
    classes.write_text("\n".join(map(json.dumps, rows)))
    first = {"name": "raw", "kind": "pretrain", "objective": "mlm", "data": [str(documents)]}
    second = {"name": "classes", "kind": "contrastive", "data": [str(classes)], "epochs": 1}
    given = [{**first, "steps": 2, "batch": 4}, {**second, "batch": 5, "negatives": 1}]
    plan = {"model": str(tiny_model_path), "length": 32, "stages": given}
    train(plan, out=tmp_path / "out", device="cpu")
    curves = json.loads((tmp_path / "out" / "training.json").read_text())["curves"]
    assert (len(curves["raw"]), len(curves["classes"])) == (2, 4)  # 20 texts, 5 a step


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(tiny_model_path, lines, tmp_path):
    path = tmp_path / "plan.json.yaml"
    path.write_text(json.dumps(plan(tiny_model_path, lines)))
    command = [sys.executable, "-m", "polyvec", "train", str(path), "--device", "cpu", "--out"]
    out = tmp_path / "killed"
    running = subprocess.Popen([*command, str(out)], stderr=subprocess.DEVNULL)
    while not (out / "stages" / "good" / "plan.json").exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (out / "model").exists()
    for folder in (out, tmp_path / "whole"):
        subprocess.run([*command, str(folder)], check=True, capture_output=True, timeout=240)
    first, second = weights(out / "model"), weights(tmp_path / "whole" / "model")
    for name, weight in first.items():
        torch.testing.assert_close(weight, second[name], atol=1e-5, rtol=1e-4)


def test_files_that_are_missing_are_named(tiny_model_path, lines, tmp_path):
    given = plan(tiny_model_path, str(tmp_path / "nothing*.jsonl"))
    with pytest.raises(BadInput, match=r"stage 'weak': no file is called .*nothing\*\.jsonl"):
        train(given, out=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
