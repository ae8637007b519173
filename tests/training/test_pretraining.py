import json
import subprocess
import sys

import pytest
import torch

from polyvec.data.documents import Document, Link, Section
from polyvec.encoders.loading import load
from polyvec.errors import BadInput
from polyvec.objectives.own_weights import FILE
from polyvec.training.pretraining import lesson, pretrain

STORIES = [
    "The cat and the dog play in the garden. The children run to the river and swim. "
    "A bird sings in the tree near the house. Night comes and the moon is over the hill.",
    "A king and a queen live on the island. The ship of the king goes over the sea. "
    "The storm takes the ship to the mountain. Winter comes to the village with rain.",
    "The farmer makes bread in the kitchen. The friend of the farmer helps in the field. "
    "Music is in the street of the city. The teacher gives a book to the children.",
]


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(12):
        first, second = STORIES[number % 3], STORIES[(number + 1) % 3]
        other = (number + 1) % 12
        (folder / f"page-{number}.md").write_text(
            f"# Page {number}\n\nStory number {number}. {first} See [page {other}](page-{other}.md).\n\n"
            f"## More of page {number}\n\n{second} It is told {number} times.\n"
        )
    return folder


def weights(model):
    return {name: weight.clone() for name, weight in model.state_dict().items()}


@pytest.mark.parametrize(
    "objective", ["mlm", "retromae", "dupmae", "smae", "prop", "ict", "ict,bfs,wlp"]
)
def test_each_objective_changes_the_encoder(objective, corpus, tiny_model_path, tmp_path):
    folder = pretrain(
        objective,
        corpus,
        encoder=tiny_model_path,
        steps=3,
        batch=4,
        length=32,
        out=tmp_path / "out",
        device="cpu",
    )
    before, after = (weights(load(path, "cpu")) for path in (tiny_model_path, folder))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    curve = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert [point["step"] for point in curve] == [1, 2, 3]
    assert (folder / FILE).exists() == (objective in ("mlm", "retromae", "dupmae", "smae"))


def test_a_finished_run_is_not_repeated_and_a_changed_one_refused(
    corpus, tiny_model_path, tmp_path
):
    given = {
        "encoder": tiny_model_path,
        "steps": 2,
        "batch": 4,
        "out": tmp_path / "out",
        "device": "cpu",
    }
    folder = pretrain("mlm", corpus, **given)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert pretrain("mlm", corpus, **given) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(BadInput, match="--steps was 2 and is now 3"):
        pretrain("mlm", corpus, **{**given, "steps": 3})


def test_it_goes_on_from_the_heads_that_were_saved(corpus, tiny_model_path, tmp_path):
    given = {"steps": 2, "batch": 4, "device": "cpu"}
    first = pretrain("dupmae", corpus, encoder=tiny_model_path, out=tmp_path / "first", **given)
    again = pretrain("mlm", corpus, encoder=first, out=tmp_path / "again", **given)
    assert again.is_dir()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"objective": "ict,mlm"}, "no objective is called 'ict,mlm'; there are mlm, retromae"),
        ({"minutes": 0}, "--minutes 0: give more than 0"),
        ({"steps": 0}, "--steps 0: give 1 or more"),
        ({"batch": 1}, "--batch 1 --length 128: give at least 2 rows"),
    ],
)
def test_bad_input_gets_a_sentence(given, sentence, corpus, tmp_path):
    with pytest.raises(BadInput, match=sentence):
        pretrain(**{"objective": "mlm", "corpus": corpus, "out": tmp_path / "out", **given})


def test_documents_without_prose_or_links_are_refused(tiny_model):
    code = Document("a.py", "a", "a", (Section(code="x = 1"),))
    with pytest.raises(BadInput, match="hold nothing that mlm can learn from"):
        lesson("mlm", tiny_model(), [code])
    lonely = Document(
        "b.md", "b", "b", (Section(paragraphs=(STORIES[0],), links=(Link("x", "y"),)),)
    )
    with pytest.raises(BadInput, match="link"):
        lesson("wlp", tiny_model(), [lonely])


def test_two_processes_learn_what_one_learns_from_the_joined_batch(
    corpus, tiny_model_path, tmp_path
):
    command = ["polyvec", "pretrain", "ict", str(corpus), "--encoder", str(tiny_model_path)]
    command += ["--steps", "2", "--length", "32", "--device", "cpu"]
    alone = [sys.executable, "-m", *command, "--batch", "8", "--out", str(tmp_path / "alone")]
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
    ]
    together = [*launcher, *command, "--batch", "4", "--out", str(tmp_path / "together")]
    for line in (alone, together):
        subprocess.run(line, check=True, capture_output=True, text=True, timeout=240)
    first, second = (
        weights(load(tmp_path / name / "model", "cpu")) for name in ("alone", "together")
    )
    for name, weight in first.items():
        # A step moves a weight by 1e-4; half a batch rounds otherwise, where processors compute in bfloat16.
        torch.testing.assert_close(second[name], weight, atol=5e-5, rtol=1e-4)
