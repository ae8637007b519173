"""Embedding models: adapt them to documents, examine them, and encode with them.

The verbs are functions of this module: `load`, `encode`, `adapt`, `train`, `evaluate`, `merge` and `truncate`. What
they need is imported when one of them is first asked for, so that ``import polyvec`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyvec.adaptation.merge import merge
    from polyvec.adaptation.pipeline import adapt
    from polyvec.adaptation.stage_plan import train
    from polyvec.compression.truncation import truncate
    from polyvec.encoders.encoding import encode
    from polyvec.encoders.loading import load
    from polyvec.evaluation.comparison import evaluate

__version__ = "0.1.0"

__all__ = ["__version__", "adapt", "encode", "evaluate", "load", "merge", "train", "truncate"]

_HOMES = {
    "adapt": "polyvec.adaptation.pipeline",
    "encode": "polyvec.encoders.encoding",
    "evaluate": "polyvec.evaluation.comparison",
    "load": "polyvec.encoders.loading",
    "merge": "polyvec.adaptation.merge",
    "train": "polyvec.adaptation.stage_plan",
    "truncate": "polyvec.compression.truncation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    verb = getattr(import_module(_HOMES[name]), name)
    globals()[name] = verb
    return verb


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
