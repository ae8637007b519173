"""The experiment of KaLM-Embedding-V2: its rule, its picture, and that terms change what is learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polyvec.recipes import kalm_v2_model
from polyvec.recipes.kalm_v2 import (
    BOTH,
    FOCAL,
    LAST,
    MEAN,
    METRIC,
    MIXED,
    PLAIN,
    RECIPE,
    TRUNCATED,
    WHOLE,
    WIDTHS,
    judge,
    picture,
)
from polyvec.recipes.peg_data import Pairs
from polyvec.recipes.recipe import Run


def _values(**changes):
    """An outcome in which all that is claimed is there; changes are arm → (whole, truncated)."""
    found = {
        LAST: (0.30, 0.20),
        MEAN: (0.31, 0.20),
        WHOLE: (0.35, 0.25),
        PLAIN: (0.40, 0.30),
        FOCAL: (0.41, 0.31),
        MIXED: (0.41, 0.31),
        BOTH: (0.42, 0.32),
        WIDTHS: (0.40, 0.37),
    } | changes
    return {
        arm: {METRIC: [whole] * 3, TRUNCATED: [narrow] * 3}
        for arm, (whole, narrow) in found.items()
    }


def test_the_claim_holds_when_all_three_parts_do():
    assert judge(_values()) == "holds"


@pytest.mark.parametrize(
    "changes",
    [
        {WHOLE: (0.305, 0.2)},  # below one of the causal arms
        {BOTH: (0.397, 0.3)},  # hurts
        {WIDTHS: (0.42, 0.37)},  # keeps 88 %
        {PLAIN: (0.40, 0.38)},  # untrained widths are as good
    ],
)
def test_a_part_that_fails_leaves_a_part(changes):
    assert judge(_values(**changes)) == "holds in part"


def test_two_seeds_of_three_are_enough_for_attention():
    values = _values(**{BOTH: (0.3, 0.2), WIDTHS: (0.4, 0.2)})
    values[WHOLE][METRIC] = [0.35, 0.35, 0.1]

    assert judge(values) == "holds in part"

    values[WHOLE][METRIC] = [0.35, 0.1, 0.1]

    assert judge(values) == "not seen at this scale"


def test_the_opposite_in_every_seed_contradicts():
    opposite = {WHOLE: (0.29, 0.2), BOTH: (0.39, 0.3), WIDTHS: (0.4, 0.2)}

    assert judge(_values(**opposite)) == "contradicted"


def test_the_picture_is_written(tmp_path):
    picture({"verdict": "holds", "arms": _values()}, tmp_path / "picture.png")

    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """The terms' arms over known vectors: sixteen pairs of which each answer is near its question."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(32, 128)).astype(np.float32)
    vectors[16:] = vectors[:16] + 0.5 * vectors[16:]
    texts = [f"question {n}" for n in range(16)] + [f"answer {n}" for n in range(16)]
    pairs = Pairs(texts[:16], texts[16:])
    size = kalm_v2_model.SIZES["cpu"]._replace(rows=16, tuned_batch=8, tuned_steps=4)
    monkeypatch.setitem(kalm_v2_model.SIZES, "cpu", size)
    monkeypatch.setattr(kalm_v2_model, "_MINED", {})
    monkeypatch.setattr(kalm_v2_model, "RANKS", (2, 12))
    monkeypatch.setattr(kalm_v2_model, "learned", lambda rows: pairs)
    monkeypatch.setattr(kalm_v2_model, "_known", lambda run: (texts, torch.from_numpy(vectors)))
    monkeypatch.setattr(
        kalm_v2_model,
        "_asked",
        lambda run, model: {METRIC: model[1].linear.weight[0].tolist(), TRUNCATED: 0.0},
    )
    return Run(seed=1, scale="cpu", device="cpu", cache=tmp_path, say=lambda text: None)


def test_every_arm_of_terms_learns_something_of_its_own(tiny):
    found = {name: RECIPE.arms[name](tiny) for name in (PLAIN, FOCAL, MIXED, BOTH, WIDTHS)}

    assert len({tuple(values[METRIC]) for values in found.values()}) == 5
    assert "focal weight, last third" in found[FOCAL]
    assert "mixed dropped, last third" in found[MIXED]
    assert found[PLAIN] == RECIPE.arms[PLAIN](tiny)
