"""A model's vectors after several of its layers, from one forward pass.

What follows the transformer (pooling, a linear layer) reads each layer's tokens; what brings vectors to unit length
comes last and is left to whoever cuts them. No forward pass is patched: transformers gives the states of all layers
when its configuration asks for them. Of a pre-norm transformer (Llama, ModernBERT …) those are the states before its
final norm, except the last layer's; here the norm follows every layer, so that a layer's vector is the one that the
model cut there gives (`polyvec.truncate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import Tensor, nn

from polyvec.encoders.layer_stack import layer_stack
from polyvec.errors import BadInput

Features = dict[str, Any]


class LayerVectors(nn.Module):
    """Embeds with several layers at once; called like a model.

    Args:
        model: a transformer, followed by pooling and whatever else stands there. It is used, not copied.
        layers: numbers of layers, from 1 to the model's; 0 is what the first layer is given.

    Returns:
        When called with features: ``sentence_embedding`` of shape (rows, layers x d), before any normalisation.

    Raises:
        BadInput: when the model is no transformer, or has no such layer.

    Example:
        >>> LayerVectors(model, [2, 6])(model.preprocess(["a", "b"]))["sentence_embedding"].shape  # doctest: +SKIP
        torch.Size([2, 768])
    """

    def __init__(self, model: SentenceTransformer, layers: Sequence[int]) -> None:
        super().__init__()
        count = layer_count(model)
        if not layers or min(layers) < 0 or max(layers) > count:
            raise BadInput(
                f"layers {list(layers)} of a model with {count}: give numbers from 0 to {count}"
            )
        self.model = model
        self.layers = list(layers)
        self._count = count

    def forward(self, features: Features) -> Features:
        """Vectors of all layers, side by side."""
        _, *rest = self.model
        read = read_all_layers(self.model, features)
        vectors = [
            self._vectors({**read, "token_embeddings": self._tokens(read, layer)}, rest)
            for layer in self.layers
        ]
        return {"sentence_embedding": torch.cat(vectors, dim=1)}

    def _tokens(self, read: Features, layer: int) -> Tensor:
        """States after a layer and the final norm, which those of the last layer have had."""
        norm = layer_stack(self.model[0]).final_norm if layer < self._count else None
        states: Tensor = read["all_layer_embeddings"][layer]
        return states if norm is None else norm(states)

    def _vectors(self, features: Features, rest: Sequence[nn.Module]) -> Tensor:
        for module in rest:
            if not isinstance(module, Normalize):
                features = module(features)
        found: Tensor = features["sentence_embedding"]
        return found


def read_all_layers(model: SentenceTransformer, features: Features) -> Features:
    """Features as a model's transformer leaves them, before pooling, with the states of its tokens after every layer.

    Args:
        model: begins with a transformer.
        features: as the model preprocessed them.

    Returns:
        The features, and in ``all_layer_embeddings`` what the first layer is given and what each layer makes of it,
        each of shape (rows, length, width).
    """
    body: Any = model[0]
    with _all_states(body):
        read: Features = body(dict(features))
    return read


def layer_count(model: SentenceTransformer) -> int:
    """How many layers a model's transformer has.

    Raises:
        BadInput: when it begins with something else.
    """
    return len(layer_stack(model[0] if len(model) else None).layers)


@contextmanager
def _all_states(body: Any) -> Iterator[None]:
    """Let a transformer give the states of all of its layers."""
    config = body.auto_model.config
    before = config.output_hidden_states
    config.output_hidden_states = True
    try:
        yield
    finally:
        config.output_hidden_states = before
