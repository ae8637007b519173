"""A smaller model out of a larger one: its first layers, and the first numbers of its vectors.

What 2D Matryoshka (Li et al. 2024, arXiv:2402.14776) and Starbucks (Zhuang et al. 2024, arXiv:2410.13230) train a model
for; any model can be cut, but one that was not trained for it loses much. Their code runs all layers, or cuts BERT's
alone. Here layers are really removed, so that the smaller model is faster; a final norm (Llama, ModernBERT …) is kept
behind the last layer that is left. Dimensions are cut by a module of sentence-transformers that stands before the one
that brings vectors to unit length, so that the folder opens in plain ``SentenceTransformer(path)`` and gives unit
vectors: its own ``truncate_dim`` cuts afterwards, which leaves them shorter than 1.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Router,
    WeightedLayerPooling,
)
from torch import nn

from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.layer_vectors import layer_count
from polyvec.errors import BadInput

_NAME = "dimensions"
"""Of the module that cuts, in modules.json."""


def truncate(
    model: SentenceTransformer, *, layers: int | None = None, dims: int | None = None
) -> SentenceTransformer:
    """Cut a model to its first layers, and its vectors to their first numbers.

    Args:
        model: any model of sentence-transformers; to have layers removed it begins with a transformer. It is not
            changed.
        layers: how many to keep, from 1 to all; None keeps all.
        dims: how many numbers of a vector to keep, from 1 to all; None keeps all. The vectors get unit length again
            where the model gives unit vectors.

    Returns:
        A model of stock modules on the same device. Its vectors are those of the given model after that layer (and
        after the final norm, where it has one), cut, to 1e-6.

    Raises:
        BadInput: when the model has fewer layers or dimensions; the sentence says what it has.

    Example:
        >>> import polyvec
        >>> small = truncate(polyvec.load("minilm", "cpu"), layers=3, dims=128)  # doctest: +SKIP
        >>> small.encode("words").shape  # doctest: +SKIP
        (128,)
    """
    if layers is not None:
        count = layer_count(model)
        if not 1 <= layers <= count:
            raise BadInput(f"layers={layers}: give 1 to {count}, which is all that the model has")
        if any(isinstance(module, WeightedLayerPooling) for module in model):
            raise BadInput("WeightedLayerPooling reads every layer, so none can be removed")
        model = first_layers(model, layers)
    return model if dims is None else _narrowed(model, dims)


def _narrowed(model: SentenceTransformer, dims: int) -> SentenceTransformer:
    width = int(model.get_embedding_dimension() or 0)
    if not 1 <= dims <= width:
        raise BadInput(f"dims={dims}: give 1 to {width}, which is all that the vectors have")
    if isinstance(model[-1], Router):
        raise BadInput("a model of several routes: cut the model of each route before joining them")
    found = deepcopy(model)
    # After this the vectors have no more numbers than any cut that was asked for earlier.
    found.truncate_dim = None
    if dims == int(found.get_embedding_dimension() or 0):
        return found
    names, modules = list(found._modules), list(found)
    place = len(modules) - isinstance(modules[-1], Normalize)
    last = modules[place - 1]
    if isinstance(last, Dense) and _can_lose_rows(last):
        _keep_rows(last, dims)
        return found
    full = int(found.get_embedding_dimension() or 0)
    modules.insert(place, _first_numbers(full, dims).to(found.device, found.dtype))
    names.insert(place, _NAME)
    found._modules = dict(zip(names, modules, strict=True))
    return found


def _first_numbers(width: int, dims: int) -> Dense:
    """A linear layer whose weights are ones and zeros, so that it gives what it is given, exactly."""
    return Dense(
        width,
        dims,
        bias=False,
        activation_function=nn.Identity(),
        init_weight=torch.eye(dims, width),
    )


def _can_lose_rows(dense: Dense) -> bool:
    """Whether each number that a linear layer gives depends on its own weights alone."""
    alone = isinstance(dense.activation_function, nn.Identity | nn.Tanh)
    whole = dense.module_input_name == dense.module_output_name == "sentence_embedding"
    return alone and whole and not dense.use_residual


def _keep_rows(dense: Dense, dims: int) -> None:
    dense.out_features = dense.linear.out_features = dims
    dense.linear.weight = nn.Parameter(dense.linear.weight.detach()[:dims].clone())
    if dense.linear.bias is not None:
        dense.linear.bias = nn.Parameter(dense.linear.bias.detach()[:dims].clone())
