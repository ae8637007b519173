"""Which number format to compute in: bfloat16 where it is native and the vectors stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch.nn.functional import cosine_similarity

from polyvec.errors import BadInput

Precision = Literal["auto", "float32", "bfloat16"]

MIN_COSINE = 0.9995
"""Lowest cosine between a text's vectors in bfloat16 and float32 that is tolerated."""

_CPU_FLAGS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether ``device`` multiplies bfloat16 matrices natively, so that it is faster than float32.

    Where it does not, bfloat16 is emulated: several times slower than float32.

    Example:
        >>> has_bfloat16("meta")
        False
    """
    device = torch.device(device)
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Older versions of torch cannot tell; float32 is right everywhere.
        flags: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(flags.get(flag, False) for flag in _CPU_FLAGS)
    return False


def computing_in(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Context in which a model computes in ``dtype``; its float32 weights stay as they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16)


def dtype_for(
    precision: Precision, model: SentenceTransformer, probe_texts: Sequence[str]
) -> torch.dtype:
    """The number format that is meant: ``auto`` is what `inference_dtype` finds.

    Raises:
        BadInput: when it is none.
    """
    if precision not in get_args(Precision):
        raise BadInput(f"precision {precision!r}: give auto, float32 or bfloat16")
    if precision == "auto":
        return inference_dtype(model, model.device, probe_texts)
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def inference_dtype(
    model: SentenceTransformer, device: torch.device | str, probe_texts: Sequence[str]
) -> torch.dtype:
    """Choose the number format to encode in: measured with this model, on this processor.

    Args:
        model: on ``device``, with float32 weights.
        device: where it computes.
        probe_texts: a few typical texts; each is encoded in both formats.

    Returns:
        ``torch.bfloat16`` if the device has it and every probe's vector has at least cosine 0.9995
        with the one in float32, else ``torch.float32``.
    """
    device = torch.device(device)
    if not probe_texts or not has_bfloat16(device):
        return torch.float32
    exact = _vectors(model, device, probe_texts, torch.float32)
    rounded = _vectors(model, device, probe_texts, torch.bfloat16)
    worst = cosine_similarity(exact, rounded).min().item()
    # Written so that a NaN, of a model that overflows, also means float32.
    return torch.bfloat16 if worst >= MIN_COSINE else torch.float32


@torch.inference_mode()
def _vectors(
    model: SentenceTransformer, device: torch.device, texts: Sequence[str], dtype: torch.dtype
) -> torch.Tensor:
    model.eval()
    features = batch_to_device(model.preprocess(list(texts)), device)
    with computing_in(device, dtype):
        vectors: torch.Tensor = model(features)["sentence_embedding"].float()
    return vectors
