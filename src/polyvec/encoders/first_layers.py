"""The first layers of a trained transformer as a model of their own: a start that a small machine can train on."""

from __future__ import annotations

from copy import deepcopy

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.errors import BadInput


def first_layers(
    model: SentenceTransformer, layers: int, *, fresh: int = 0, seed: int = 0
) -> SentenceTransformer:
    """Keep the first layers of a model; the rest is really removed, so that it is as fast as it is small.

    Args:
        model: begins with a transformer whose layers are a list (BERT, RoBERTa, MPNet, Llama …); it is not changed.
        layers: how many to keep.
        fresh: how many of these, the last ones, forget what they have learned.
        seed: of their new weights.

    Returns:
        A model of the same width on the same device.

    Raises:
        BadInput: when the model has fewer layers, or more are to be fresh than are kept.

    Example:
        >>> import polyvec
        >>> small = first_layers(polyvec.load("minilm", "cpu"), 3)  # doctest: +SKIP
        >>> small.encode("words").shape  # doctest: +SKIP
        (384,)
    """
    found = deepcopy(model)
    body = getattr(found[0], "auto_model", None)
    holder = None if body is None else getattr(body, "encoder", body)
    name = next((name for name in ("layer", "layers") if hasattr(holder, name)), None)
    if body is None or holder is None or name is None:
        raise BadInput(f"{type(model[0]).__name__}: no layers in a list; give a transformer")
    stack = getattr(holder, name)
    if not 0 < layers <= len(stack) or not 0 <= fresh <= layers:
        raise BadInput(
            f"{layers} layers, {fresh} of them fresh, of a model with {len(stack)}: give 1 to {len(stack)}, "
            "and no more fresh ones than that"
        )
    kept = stack[:layers]
    setattr(holder, name, kept)
    body.config.num_hidden_layers = layers
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in kept[layers - fresh :]:
            for module in layer.modules():
                _forget(module, body.config.initializer_range)
    return found


def _forget(module: nn.Module, spread: float) -> None:
    """As transformers initialises them; what is neither keeps its weights."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=spread)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
