import pytest

from polyvec.errors import BadInput
from polyvec.objectives.progressive_weight import Scheduled
from polyvec.objectives.soft_labels import SoftLabels
from polyvec.training.stage_config import EXAMPLE, Stage, read_plan

GOOD = {"name": "one", "kind": "contrastive", "data": ["a.jsonl"]}


def plan(*stages, **more):
    return {"model": "minilm", "stages": [{**GOOD, **stage} for stage in stages], **more}


def test_the_example_is_a_plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(EXAMPLE)
    found = read_plan(path)
    assert [stage.kind for stage in found.stages] == [
        "contrastive",
        "contrastive",
        "distil",
        "soup",
    ]
    weak, good, distilled, _ = found.stages
    assert weak.highest_rate == pytest.approx(5e-5 * 2)  # √(256 / 64)
    assert good.terms(10)["focal"].gamma == 0.5
    assert isinstance(distilled.terms(10)["soft_labels"], SoftLabels)


def test_yaml_says_the_same(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("model: minilm\nstages:\n- {name: one, kind: contrastive, data: [a.jsonl]}\n")
    assert read_plan(path) == read_plan(plan({}))


def test_a_schedule_lasts_as_long_as_its_stage():
    stage = Stage(**GOOD, progressive={"kind": "scheduled", "beta": [-1, 2]})
    weight = stage.terms(steps=7)["progressive"]
    assert isinstance(weight, Scheduled)
    assert (weight.steps, weight.beta) == (7, (-1, 2))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"model": "minilm"}, "a plan without stages"),
        ({"stages": [GOOD]}, "the plan: no model"),
        (plan({}, modle=1), "the plan: nothing is called 'modle'; did you mean 'model'"),
        (plan({"batch": "many"}), "stage 'one': batch = 'many' is not a whole number"),
        (plan({"batch": True}), "batch = True is not a whole number"),
        (plan({"data": "a.jsonl"}), "data = 'a.jsonl' is not a list"),
        (plan({"kind": "kontrastive"}), "kind = 'kontrastive'; give one of pretrain"),
        (plan({}, {}), "stage 'one': give each stage a name of its own"),
        (plan({"name": "../up"}), "give each stage a name of its own, of letters"),
        (plan({"data": []}), "no data"),
        (plan({"steps": 3, "epochs": 1}), "give one of epochs, steps and minutes"),
        (plan({"minutes": 0}), "give one of epochs, steps and minutes, above 0"),
        (plan({"order": "sorted"}), "order = 'sorted'; give one of random"),
        (plan({"ratio": 0.5}), "ratio belongs to order = 'semi-homogeneous'"),
        (plan({"start": "two"}), "no stage before it is called 'two'"),
        (plan({"kind": "soup", "members": []}), "a soup needs members"),
        (plan({"kind": "distil"}), "give negatives"),
        (plan({"elastic": "mocha"}), "elastic = 'mocha'; give one of 2dmse"),
        (plan({"elastic": "starbucks", "matryoshka": {}}), "cuts widths itself"),
        (plan({"teacher": "mpnet"}), "a teacher is for the kind distil"),
        (plan({"objective": "ict"}), "an objective is what a stage of the kind pretrain has"),
        (plan({"focal": {"gama": 1}}), "focal: nothing is called 'gama'; did you mean 'gamma'"),
        (plan({"focal": {"gamma": -1}}), "stage 'one': a focal weight with gamma=-1"),
        (plan({"progressive": {"kind": "slow"}}), "give curricular or scheduled"),
        (plan({}, length=2), "length = 2"),
    ],
)
def test_each_mistake_gets_a_sentence(given, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_plan(given)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("plan.toml", "model = ", "plan.toml: Invalid"),
        ("plan.yaml", "a: [", "plan.yaml: while parsing"),
        ("plan.yaml", "- 1", "no plan; polyvec train --example"),
    ],
)
def test_a_broken_file_gets_a_sentence(name, text, sentence, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_plan(tmp_path / name)
    with pytest.raises(BadInput, match="No such file"):
        read_plan(tmp_path / "missing.toml")
