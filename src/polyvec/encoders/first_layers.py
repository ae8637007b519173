"""The first layers of a trained transformer as a model of their own: a start that a small machine can train on."""

from __future__ import annotations

from copy import deepcopy

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.encoders.layer_stack import layer_stack
from polyvec.errors import BadInput


def first_layers(
    model: SentenceTransformer, layers: int, *, fresh: int = 0, seed: int = 0
) -> SentenceTransformer:
    """Keep the first layers of a model; the rest is really removed, so that it is as fast as it is small.

    Args:
        model: begins with a transformer whose layers are a list (BERT, RoBERTa, MPNet, ModernBERT, Llama …); it is
            not changed. A norm that follows its last layer is kept and follows the last that is left.
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
    layer_stack(model[0] if len(model) else None)
    found = deepcopy(model)
    stack = layer_stack(found[0])
    count = len(stack.layers)
    if not 0 < layers <= count or not 0 <= fresh <= layers:
        raise BadInput(
            f"{layers} layers, {fresh} of them fresh, of a model with {count}: give 1 to {count}, "
            "and no more fresh ones than that"
        )
    stack.keep(layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in stack.layers[layers - fresh :]:
            for module in layer.modules():
                _forget(module, stack.body.config.initializer_range)
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
