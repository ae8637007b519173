"""Will the activations of a batch fit in memory?"""

from __future__ import annotations

import psutil
import torch
from sentence_transformers import SentenceTransformer

SHARE = 0.5
"""Share of the free memory that activations may take; weights, gradients and the optimiser want the rest."""
FLOATS_PER_UNIT = 16
"""Numbers that a transformer layer keeps for the way back, for each token and hidden unit (measured on BERT in float32,
flash attention, no dropout)."""


def fits_in_memory(model: SentenceTransformer, tokens: int) -> bool:
    """Whether one forward pass over ``tokens`` padded tokens can keep all it needs for the way back.

    A model whose size cannot be told from its configuration is taken to fit.
    """
    needed = activation_bytes(model, tokens)
    return not needed or needed < SHARE * free_bytes(model.device)


def activation_bytes(model: SentenceTransformer, tokens: int) -> int:
    """Bytes that a forward pass over ``tokens`` padded tokens keeps for the way back.

    0 where the model's size cannot be told from its configuration.
    """
    config = getattr(getattr(model[0], "auto_model", None), "config", None) if len(model) else None
    layers, hidden = (getattr(config, name, None) for name in ("num_hidden_layers", "hidden_size"))
    return 4 * FLOATS_PER_UNIT * tokens * (layers or 0) * (hidden or 0)


def free_bytes(device: torch.device) -> int:
    """Memory of a device that nobody uses, in bytes."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return int(psutil.virtual_memory().available)
