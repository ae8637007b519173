from __future__ import annotations

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import TinyModel

from polyvec.encoders import precision
from polyvec.encoders.precision import dtype_for, has_bfloat16, inference_dtype
from polyvec.errors import BadInput

TEXTS = ["a cat on a boat", "read the table", "x"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx2": True, "avx512_f": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True, "amx_tile": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"neon": True, "bf16": False}, False),
        ({}, False),
    ],
)
def test_cpu_has_bfloat16_by_its_flags(
    flags: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    assert has_bfloat16("cpu") is expected
    assert has_bfloat16(torch.device("cpu")) is expected


def test_float32_where_bfloat16_is_emulated(
    tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    assert inference_dtype(tiny_model(), "cpu", TEXTS) is torch.float32


def test_bfloat16_where_it_is_native_and_close(
    tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    assert inference_dtype(tiny_model(), "cpu", TEXTS) is torch.bfloat16
    assert inference_dtype(tiny_model(), "cpu", []) is torch.float32


def test_formats_by_name(tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    model = tiny_model()
    assert dtype_for("float32", model, TEXTS) is torch.float32
    assert dtype_for("bfloat16", model, TEXTS) is torch.bfloat16
    assert dtype_for("auto", model, TEXTS) is torch.bfloat16
    assert dtype_for("auto", model, ()) is torch.float32
    with pytest.raises(BadInput, match="precision 'half': give auto, float32 or bfloat16"):
        dtype_for("half", model, TEXTS)


@pytest.mark.parametrize("change", [torch.nan, 100.0])
def test_float32_where_one_vector_changes(
    change: float, tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    model = tiny_model()
    model.register_forward_hook(lambda _, __, features: _spoil_last_in_bfloat16(features, change))
    assert inference_dtype(model, "cpu", TEXTS) is torch.float32


def _spoil_last_in_bfloat16(features: dict[str, torch.Tensor], change: float) -> None:
    if torch.is_autocast_enabled("cpu"):
        features["sentence_embedding"][-1, 0] += change


def test_weights_stay_in_float32(tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    model: SentenceTransformer = tiny_model()
    inference_dtype(model, "cpu", TEXTS)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
