import json
import shutil
import threading
from itertools import pairwise

import pytest
import torch
from datasets import Dataset

from polyvec.objectives.contrastive import Contrastive
from polyvec.training.fine_tuning import OVERTIME, SECONDS_BETWEEN_CHECKPOINTS, fine_tune

STEPS, BATCH = 6, 4
NOUNS = ["apple", "bird", "boat", "cat", "city", "dog", "door", "fish", "forest", "king"]
PLACES = ["sea", "lake", "moon", "mountain", "river", "road", "storm", "street", "sun", "village"]
ROWS = Dataset.from_dict(
    {
        "anchor": [f"the {NOUNS[n % 10]}" for n in range(24)],
        "positive": [f"a {NOUNS[n % 10]} by the {PLACES[n % 10]}" for n in range(24)],
        "label": [n % 10 for n in range(24)],
    }
)
OFTEN, SELDOM = SECONDS_BETWEEN_CHECKPOINTS, 0.01
"""Expected seconds a step that make a checkpoint after every step, or only after the last."""


class Stopping(Contrastive):
    """Raises in the middle of a run, as Ctrl-C does."""

    def __init__(self, model, at):
        super().__init__(model)
        self.at = at
        self.calls = 0

    def forward(self, features, labels=None):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return super().forward(features, labels)


def tune(objective, folder, seconds_per_step=OFTEN, rows=ROWS, **options):
    return fine_tune(
        objective,
        rows,
        BATCH,
        folder,
        learning_rate=1e-2,
        seconds_per_step=seconds_per_step,
        seed=0,
        **options,
    )


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same_weights(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.allclose(value.float(), expected[name].float(), atol=1e-6), name


@pytest.fixture(scope="module")
def whole(tiny_model, tmp_path_factory):
    """Weights, curve and folder of a run that nothing stopped, a checkpoint after each step."""
    folder = tmp_path_factory.mktemp("whole")
    model = tiny_model()
    points = tune(Contrastive(model), folder)
    return weights_of(model), points, folder


def lines_of(folder):
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def test_training_moves_the_weights_and_leaves_the_model_ready_to_encode(tiny_model, tmp_path):
    model = tiny_model()
    before = weights_of(model)
    tune(Contrastive(model), tmp_path, SELDOM)
    moved = [
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert any("query" in name for name in moved)
    assert not model.training


TERMS = {"positive", "masked_share", "rows_without_negatives"}  # what the objective says of a step


def test_the_curve_has_a_point_a_step(whole):
    _, points, folder = whole
    assert [point["step"] for point in points] == list(range(1, STEPS + 1))
    always = {"step", "seconds", "loss", "learning_rate"}
    assert all(set(point) == {*always, *TERMS} for point in points)
    assert all(a["seconds"] <= b["seconds"] for a, b in pairwise(points))
    assert lines_of(folder) == points


def test_the_learning_rate_rises_over_a_tenth_and_falls_to_zero(tiny_model, tmp_path):
    rows = Dataset.from_dict({name: ROWS[name][:] * 4 for name in ROWS.column_names})
    points = tune(Contrastive(tiny_model()), tmp_path, SELDOM, rows=rows)
    assert len(points) == 24
    # Two steps of warming up, from 0 to the top, then 22 equal steps down; the rate shown at step n
    # is the one of the step after it or of the step itself, as the trainer logs it.
    rates = [point["learning_rate"] for point in points]
    top = rates.index(max(rates))
    assert top in {1, 2}
    assert max(rates) == pytest.approx(1e-2)
    falls = [a - b for a, b in pairwise(rates[top:])]
    assert falls == pytest.approx([1e-2 / 22] * len(falls))
    assert rates[-1] <= 1e-2 / 22 * 1.001


def test_rows_are_learned_in_the_order_given(tiny_model, tmp_path):
    seen = []

    class Watched(Contrastive):
        def forward(self, features, labels=None):
            seen.extend(labels.tolist())
            return super().forward(features, labels)

    tune(Watched(tiny_model()), tmp_path, SELDOM)
    assert seen == list(ROWS["label"])


def test_dropout_is_off_so_that_the_first_loss_is_that_of_the_model_itself(tiny_model, whole):
    model = tiny_model().eval()
    first = ROWS[:BATCH]
    features = [model.preprocess(first[name]) for name in ("anchor", "positive")]
    loss = Contrastive(model)(features, torch.tensor(first["label"]))
    # The run may compute in bfloat16, where the processor has it.
    assert whole[1][0]["loss"] == pytest.approx(loss.item(), abs=0.02)


def test_the_same_seed_gives_the_same_weights(tiny_model, tmp_path, whole):
    model = tiny_model()
    points = tune(Contrastive(model), tmp_path, SELDOM)
    assert_same_weights(weights_of(model), whole[0])
    assert [p["loss"] for p in points] == [p["loss"] for p in whole[1]]


@pytest.mark.parametrize("stop", [1, 4])
def test_a_run_stopped_in_the_middle_ends_like_one_that_was_not(tiny_model, tmp_path, whole, stop):
    with pytest.raises(KeyboardInterrupt):
        tune(Stopping(tiny_model(), at=stop), tmp_path)
    # What was stopped in step n has finished n - 1 steps and a checkpoint after each.
    model = tiny_model()
    objective = Stopping(model, at=None)
    points = tune(objective, tmp_path)
    assert objective.calls == STEPS - (stop - 1)
    assert_same_weights(weights_of(model), whole[0])
    assert_same_curve(points, whole[1])
    assert lines_of(tmp_path) == points


def test_an_interrupted_run_takes_its_progress_bar_down(tiny_model, tmp_path):
    # A bar of another test, whose kept traceback still holds it, may be drawing in this process.
    earlier = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        tune(Stopping(tiny_model(), at=2), tmp_path, SELDOM)
    # Rich's thread ends a moment after it is told to.
    drawing = [
        thread
        for thread in set(threading.enumerate()) - earlier
        if type(thread).__module__ == "rich.live"
    ]
    for thread in drawing:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in drawing)


def assert_same_curve(points, expected):
    assert [p["step"] for p in points] == list(range(1, STEPS + 1))
    assert [p["loss"] for p in points] == pytest.approx([p["loss"] for p in expected], abs=1e-3)
    rates = [p["learning_rate"] for p in expected]
    assert [p["learning_rate"] for p in points] == pytest.approx(rates)
    assert all(a["seconds"] <= b["seconds"] for a, b in pairwise(points))


def test_a_run_stopped_twice_still_ends_alike(tiny_model, tmp_path, whole):
    for stop in (3, 2):
        with pytest.raises(KeyboardInterrupt):
            tune(Stopping(tiny_model(), at=stop), tmp_path)
    model = tiny_model()
    points = tune(Contrastive(model), tmp_path)
    assert_same_weights(weights_of(model), whole[0])
    assert_same_curve(points, whole[1])


def test_steps_after_the_last_checkpoint_are_done_again_and_stand_once_in_the_curve(
    tiny_model, tmp_path, whole
):
    # A checkpoint every second step; the run is stopped in step 4, after the checkpoint of step 2.
    with pytest.raises(KeyboardInterrupt):
        tune(Stopping(tiny_model(), at=4), tmp_path, OFTEN / 2)
    assert [point["step"] for point in lines_of(tmp_path)] == [1, 2, 3]
    model = tiny_model()
    objective = Stopping(model, at=None)
    points = tune(objective, tmp_path, OFTEN / 2)
    assert objective.calls == 4
    assert_same_curve(points, whole[1])
    assert_same_weights(weights_of(model), whole[0])


@pytest.mark.parametrize("broken", ["missing", "cut"])
def test_a_checkpoint_cut_short_is_removed_and_the_one_before_it_used(
    tiny_model, tmp_path, whole, broken
):
    with pytest.raises(KeyboardInterrupt):
        tune(Stopping(tiny_model(), at=4), tmp_path)
    state = tmp_path / "checkpoint-3" / "trainer_state.json"
    if broken == "missing":
        state.unlink()
    else:
        state.write_text(state.read_text()[:200])
    model = tiny_model()
    objective = Stopping(model, at=None)
    points = tune(objective, tmp_path)
    assert objective.calls == 4
    assert_same_weights(weights_of(model), whole[0])
    assert_same_curve(points, whole[1])


def test_without_a_whole_checkpoint_the_run_begins_again(tiny_model, tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        tune(Stopping(tiny_model(), at=3), tmp_path)
    for state in tmp_path.glob("checkpoint-*/trainer_state.json"):
        state.unlink()
    (tmp_path / "checkpoint-9").mkdir()
    model = tiny_model()
    objective = Stopping(model, at=None)
    assert_same_curve(tune(objective, tmp_path), whole[1])
    assert objective.calls == STEPS
    assert_same_weights(weights_of(model), whole[0])


def test_a_curve_cut_in_the_middle_of_a_line_is_mended(tiny_model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tune(Stopping(tiny_model(), at=4), tmp_path)
    curve = tmp_path / "curve.jsonl"
    curve.write_text(curve.read_text()[:-20])
    points = tune(Contrastive(tiny_model()), tmp_path)
    # The cut line, step 3, is lost, since its checkpoint is whole; the others stand once each.
    assert [point["step"] for point in points] == [1, 2, 4, 5, 6]
    assert lines_of(tmp_path) == points


def test_a_finished_run_is_not_repeated(tiny_model, tmp_path, whole):
    shutil.copytree(whole[2], tmp_path, dirs_exist_ok=True)
    model = tiny_model()
    objective = Stopping(model, at=None)
    points = tune(objective, tmp_path)
    assert objective.calls == 0
    assert points == whole[1]
    assert_same_weights(weights_of(model), whole[0])


def test_no_more_than_two_checkpoints_are_kept(whole):
    assert sorted(path.name for path in whole[2].glob("checkpoint-*")) == [
        "checkpoint-5",
        "checkpoint-6",
    ]


def test_a_run_that_takes_far_too_long_ends_early(tiny_model, tmp_path):
    points = tune(Contrastive(tiny_model()), tmp_path, seconds_allowed=1e-6)
    assert [point["step"] for point in points] == [1]
    assert points[0]["seconds"] > OVERTIME * 1e-6


def test_a_run_with_recomputing_ends_like_one_without(tiny_model, tmp_path, monkeypatch):
    # In bfloat16 parts of another size are rounded in another way, which this learning rate makes much of.
    monkeypatch.setattr("polyvec.training.fine_tuning.has_bfloat16", lambda device: False)
    ends = []
    for options in ({}, {"chunk_tokens": 20, "recompute": True}):
        model = tiny_model()
        tune(Contrastive(model, **options), tmp_path / str(len(ends)), SELDOM)
        ends.append(weights_of(model))
    for name, value in ends[0].items():
        assert torch.allclose(value, ends[1][name], atol=2e-3), name
