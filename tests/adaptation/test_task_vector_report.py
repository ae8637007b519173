import json

import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.adaptation.task_vector_report import task_vector_report
from polyvec.adaptation.task_vectors import task_vectors


def small(values):
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([values], dtype=torch.float32)
    return SentenceTransformer(modules=[layer], device="cpu")


@pytest.fixture
def report():
    base = small([20.0, 0.0, 0.0, 0.0])
    models = [small([23.0, 4.0, 0.0, 0.0]), small([23.0, -4.0, 1.0, 0.0])]
    return task_vector_report(task_vectors(base, models, names=["first", "second"]))


def test_by_hand(report):
    assert report.lengths == pytest.approx([5.0, 26**0.5])
    assert report.shares[0] == pytest.approx(0.25)
    assert report.cosines[0][1] == pytest.approx((9 - 16) / 5 / 26**0.5)
    # Two weights are changed by both, one of them in opposite directions.
    assert report.conflicts == [[0.0, 0.5], [0.5, 0.0]]
    assert report.modules[0] == pytest.approx({"0": 5.0})


def test_it_is_shown(report, tmp_path):
    report.picture(tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(json.dumps(report.to_dict()))["names"] == ["first", "second"]
    assert report.table().row_count == 2
