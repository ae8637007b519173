"""Masked auto-encoders kept whole, so that pre-training can go on: the model, its heads and its settings.

Checkpoints of RetroMAE have been published without decoder and head, so that nobody could continue from them.
"""

from __future__ import annotations

from pathlib import Path

from polyvec.encoders.loading import load, save
from polyvec.errors import BadInput
from polyvec.files import read_json, write_json
from polyvec.objectives.dupmae import DupMAE
from polyvec.objectives.own_weights import FILE, load_own_weights, save_own_weights
from polyvec.objectives.retromae import RetroMAE
from polyvec.objectives.smae import SMAE

SETTINGS = "mae_config.json"
_OBJECTIVES: dict[str, type[RetroMAE]] = {"retromae": RetroMAE, "dupmae": DupMAE, "smae": SMAE}


def save_mae(objective: RetroMAE, folder: str | Path) -> None:
    """Write a masked auto-encoder: a model that opens by itself, and beside it what only pre-training needs.

    Args:
        objective: RetroMAE, DupMAE or SMAE.
        folder: holds, besides the model, ``objective.safetensors`` and ``mae_config.json``.

    Example:
        >>> save_mae(objective, "pretrained")  # doctest: +SKIP
        >>> objective = load_mae("pretrained")  # doctest: +SKIP
    """
    place = Path(folder)
    save(objective.model, place)
    save_own_weights(objective, place)
    kind = next(name for name, made in _OBJECTIVES.items() if type(objective) is made)
    write_json(place / SETTINGS, {"objective": kind, **objective.settings})


def load_mae(folder: str | Path, device: str = "auto", seed: int = 0) -> RetroMAE:
    """Open what `save_mae` wrote.

    Args:
        folder: of the model.
        device: as for `polyvec.load`.
        seed: of what is hidden from now on.

    Raises:
        BadInput: when there is no model, or only a model.
    """
    place = Path(folder)
    if not (place / SETTINGS).is_file() or not (place / FILE).is_file():
        raise BadInput(
            f"{place}: no {SETTINGS} and {FILE}; to start anew from this encoder, "
            "build RetroMAE, DupMAE or SMAE with polyvec.load of it"
        )
    settings = dict(read_json(place / SETTINGS))
    kind = settings.pop("objective", None)
    if kind not in _OBJECTIVES:
        raise BadInput(
            f"{place / SETTINGS}: the objective {kind!r} is not known; there are {', '.join(_OBJECTIVES)}"
        )
    objective = _OBJECTIVES[kind](load(place, device), seed=seed, **settings)
    load_own_weights(objective, place)
    return objective
