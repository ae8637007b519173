"""What was pre-trained opens as a model, and goes on where it ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from tests.conftest import TinyArchitecture

from polyvec.encoders.loading import load
from polyvec.errors import BadInput
from polyvec.objectives.dupmae import DupMAE
from polyvec.objectives.mae_checkpoint import SETTINGS, load_mae, save_mae
from polyvec.objectives.retromae import RetroMAE
from polyvec.objectives.smae import SMAE

TEXTS = ["a small cat sat in the old garden", "the river and the sea", "stones and boats here"]


def trained(objective: RetroMAE, steps: int = 3) -> RetroMAE:
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-2)
    for _ in range(steps):
        losses = objective([dict(objective.model.preprocess(TEXTS))])
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return objective.eval()


def losses_of(objective: RetroMAE, seed: int = 11) -> dict[str, float]:
    objective._generator.manual_seed(seed)
    found = objective([dict(objective.model.preprocess(TEXTS))])
    return {name: loss.item() for name, loss in found.items()}


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert"])
@pytest.mark.parametrize(
    ("made", "settings"),
    [
        (RetroMAE, {"encoder_mask": 0.2, "decoding": "basic", "decoder_mask": 0.7}),
        (RetroMAE, {"queries": "raw"}),
        (DupMAE, {"bag_weight": 1.0, "bag_target": "count"}),
        (SMAE, {"sizes": [(1, 8)], "encoder_mask": 0.3, "decoder_mask": 0.5}),
    ],
)
def test_saved_opened_and_continued_it_has_the_same_losses(
    tiny_architecture: TinyArchitecture, tmp_path, kind: str, made: Any, settings: dict[str, Any]
) -> None:
    objective = trained(made(tiny_architecture(kind)[1], **settings))
    save_mae(objective, tmp_path)
    opened = load_mae(tmp_path, "cpu", seed=5).eval()
    assert type(opened) is made
    assert opened.settings == objective.settings
    assert losses_of(opened) == pytest.approx(losses_of(objective), abs=1e-6)
    # And after one more step.
    again, other = (trained(one.train(), steps=1) for one in (opened, objective))
    assert losses_of(again) == pytest.approx(losses_of(other), abs=0.3)


def test_it_opens_as_a_model_with_the_same_vectors(
    tiny_architecture: TinyArchitecture, tmp_path
) -> None:
    objective = trained(DupMAE(tiny_architecture("bert")[1]))
    save_mae(objective, tmp_path)
    model = load(tmp_path, "cpu")
    assert (model.encode(TEXTS) == objective.model.encode(TEXTS)).all()


def test_folders_that_cannot_be_continued(tiny_architecture: TinyArchitecture, tmp_path) -> None:
    folder, model = tiny_architecture("bert")
    with pytest.raises(BadInput, match=r"no mae_config\.json and objective\.safetensors"):
        load_mae(folder)
    save_mae(RetroMAE(model), tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps({"objective": "simlm"}))
    with pytest.raises(BadInput, match="the objective 'simlm' is not known; there are retromae"):
        load_mae(tmp_path)
