"""Where a transformer keeps its layers, and what it does to the states of the last one.

BERT, RoBERTa and MPNet bring every layer's states to one scale inside the layer (post-norm). Llama, Qwen, Gemma and
ModernBERT do not: their layers add to what comes in, and one norm after the last layer brings the sum to scale
(pre-norm). Cutting such a model after an earlier layer keeps that norm, as everybody does who removes layers from the
list; so the vector of layer n is, for all of polyvec, made of the states after layer n *and* the final norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from polyvec.errors import BadInput

_HOLDERS = ("encoder", "transformer")
_LISTS = ("layer", "layers")
_FINAL_NORMS = ("norm", "final_norm", "final_layer_norm", "final_layernorm", "emb_layer_norm_after")
_LISTED_BY_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers")


@dataclass(frozen=True, slots=True)
class LayerStack:
    """The layers of a transformer.

    Attributes:
        body: the transformer, of transformers.
        holder: the part of it that has the list of layers.
        name: of the list there.
    """

    body: Any
    holder: Any
    name: str

    @property
    def layers(self) -> nn.ModuleList:
        """The list itself, the first layer first."""
        found: nn.ModuleList = getattr(self.holder, self.name)
        return found

    @property
    def final_norm(self) -> nn.Module | None:
        """What is done to the states of the last layer; None for a post-norm transformer."""
        found = (getattr(self.holder, name, None) for name in _FINAL_NORMS)
        return next((norm for norm in found if isinstance(norm, nn.Module)), None)

    def keep(self, count: int) -> None:
        """Remove all layers but the first ``count``, from the weights and from the configuration."""
        before = len(self.layers)
        setattr(self.holder, self.name, self.layers[:count])
        config = self.body.config
        config.num_hidden_layers = count
        for name in _LISTED_BY_LAYER:
            listed = getattr(config, name, None)
            if isinstance(listed, list | tuple) and len(listed) == before:
                setattr(config, name, list(listed[:count]))


def layer_stack(module: nn.Module | None) -> LayerStack:
    """Find the layers of a model's first module.

    Raises:
        BadInput: when it is no transformer with its layers in a list.

    Example:
        >>> import polyvec
        >>> len(layer_stack(polyvec.load("minilm", "cpu")[0]).layers)  # doctest: +SKIP
        6
    """
    body = getattr(module, "auto_model", None)
    if body is not None:
        holders = (getattr(body, name, None) for name in _HOLDERS)
        for holder in (*holders, body):
            for name in _LISTS:
                if isinstance(getattr(holder, name, None), nn.ModuleList):
                    return LayerStack(body, holder, name)
    raise BadInput(f"{type(module).__name__}: no layers in a list; give a transformer")
