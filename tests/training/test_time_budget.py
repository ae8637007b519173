import pytest
import torch
from datasets import Dataset

from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.progressive_weight import Curricular
from polyvec.training.time_budget import SAFETY, Plan, measure_step, plan_steps


@pytest.mark.parametrize(
    ("minutes", "seconds", "most", "steps"),
    [
        (10, 4.0, 1000, 138),  # 600 · 0.92 / 4 = 138 exactly
        (10, 4.0, 100, 100),  # as many as the data allows
        (1, 10.0, 100, 5),  # 5.52, rounded down
        (0.01, 60.0, 100, 1),  # never none
    ],
)
def test_as_many_steps_as_fit(minutes, seconds, most, steps):
    assert SAFETY == 0.92
    assert plan_steps(minutes, seconds, 16, most) == Plan(steps, 16, seconds)


ROWS = Dataset.from_dict(
    {
        "anchor": ["a cat", "a dog", "the sea", "stone", "a big house", "king"] * 2,
        "positive": ["small cat", "dog run", "water", "hard stone", "door and garden", "queen"] * 2,
        "label": list(range(12)),
    }
)


def test_a_measured_step_leaves_the_weights_and_no_gradients(tiny_model):
    model = tiny_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert 0 < measure_step(Contrastive(model), ROWS, batch=4) < 60
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_measured_step_leaves_running_averages(tiny_model):
    objective = Contrastive(tiny_model(), progressive=Curricular(start=0.25))
    measure_step(objective, ROWS, batch=4)
    assert objective.progressive.t.item() == 0.25


def test_each_batch_is_timed_once_and_the_first_once_more(tiny_model):
    seen = []

    class Watched(Contrastive):
        def forward(self, features, labels=None):
            seen.append(labels.tolist())
            return super().forward(features, labels)

    measure_step(Watched(tiny_model()), ROWS, batch=4)
    assert seen == [[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
