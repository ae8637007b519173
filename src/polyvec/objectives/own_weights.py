"""What an objective learns beside its model, kept so that training can go on from there."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polyvec.errors import BadInput

FILE = "objective.safetensors"
"""Beside a model: heads and decoders, which the model itself does without."""


def own_weights(objective: nn.Module) -> dict[str, Tensor]:
    """Weights of an objective that are not its model's: name → tensor; what is tied to the model is left out."""
    model: nn.Module = objective.model  # type: ignore[assignment]
    shared = {tensor.data_ptr() for tensor in model.state_dict().values()}
    return {
        name: tensor
        for name, tensor in objective.state_dict().items()
        if not name.startswith("model.") and tensor.data_ptr() not in shared
    }


def save_own_weights(objective: nn.Module, folder: Path) -> None:
    """Write them into a folder; nothing is written where there are none."""
    # Copies, because a file holds no two names of one tensor: a head's bias may have two.
    own = {name: tensor.contiguous().clone() for name, tensor in own_weights(objective).items()}
    if own:
        save_file(own, folder / FILE)


def load_own_weights(objective: nn.Module, folder: Path) -> bool:
    """Read them from a folder, as far as the objective has weights of these names; False where there is no such file.

    Raises:
        BadInput: when a weight has another shape there.
    """
    path = folder / FILE
    if not path.is_file():
        return False
    mine = own_weights(objective)
    for name, tensor in load_file(path).items():
        if name not in mine:
            continue
        if mine[name].shape != tensor.shape:
            raise BadInput(
                f"{path}: {name} has the shape {tuple(tensor.shape)} and should have {tuple(mine[name].shape)}; "
                "it belongs to another encoder"
            )
        mine[name].copy_(tensor)
    return True
