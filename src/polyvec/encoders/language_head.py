"""From vectors of tokens to words: the masked-language-model head that belongs to an encoder.

An embedding model is stored without the head that its encoder was pre-trained with; objectives that predict words
need one again. It is taken from a checkpoint that still has it, or made anew in the architecture's own form (transform,
norm, projection tied to the word embeddings). BERT, RoBERTa, DistilBERT, ModernBERT and their kin are known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from sentence_transformers import CrossEncoder, SentenceTransformer
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, PreTrainedModel

from polyvec.errors import BadInput

_HEADS = {
    "bert": ("cls",),
    "roberta": ("lm_head",),
    "xlm-roberta": ("lm_head",),
    "mpnet": ("lm_head",),
    "distilbert": ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    "modernbert": ("head", "decoder"),
}
"""Architecture → the parts of its masked-language model that follow the encoder, in order."""


class LanguageHead(nn.Module):
    """Predicts words from vectors of tokens, and knows how its encoder embeds tokens before the first layer.

    Args:
        model: its first module is a transformer of a known architecture.
        checkpoint: folder with the weights of a masked-language model of the same encoder; where None, or where the
            folder holds no such head, the head starts untrained.
        seed: of an untrained head.

    Attributes:
        transform: what stands before the projection; keeps the shape (…, d).
        projection: to the vocabulary, its weight tied to the word embeddings.
        trained: whether the head comes from a checkpoint.

    Raises:
        BadInput: when the encoder's architecture is not known here, or its tokenizer has no mask token.

    Example:
        >>> head = LanguageHead(model)  # doctest: +SKIP
        >>> head(torch.zeros(2, 7, 384)).shape  # doctest: +SKIP
        torch.Size([2, 7, 30522])
    """

    def __init__(
        self,
        model: SentenceTransformer | CrossEncoder,
        checkpoint: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        body = body_of(model)
        if model.tokenizer.mask_token_id is None:
            raise BadInput(
                "the tokenizer has no mask token; give an encoder that was trained with one"
            )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            full = AutoModelForMaskedLM.from_config(body.config)
        parts = _HEADS[body.config.model_type]
        self.trained = checkpoint is not None and _read_head(full, parts, Path(checkpoint))
        setattr(full, full.base_model_prefix, body)
        full.tie_weights()
        self.projection = _taken_out(full)
        self.transform = nn.Sequential(*(getattr(full, name) for name in parts))
        self.to(model.device)
        # In a list, because the encoder's weights are not the head's.
        self._embeddings: list[Any] = [body.embeddings]
        self.train(model.training)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits of shape (…, vocabulary) for vectors of shape (…, d)."""
        logits: Tensor = self.projection(self.transform(hidden))
        return logits

    def embed(self, ids: Tensor) -> Tensor:
        """What the encoder's first layer is given for tokens: shape (rows, length, d) for ids (rows, length)."""
        embedded: Tensor = self._embeddings[0](input_ids=ids)
        return embedded

    def at_each_position(self, vectors: Tensor, length: int) -> Tensor:
        """Vectors (rows, d) as the first layer is given words, at each of ``length`` positions: (rows, length, d)."""
        repeated = vectors[:, None].expand(-1, length, -1)
        embedded: Tensor = self._embeddings[0](input_ids=None, inputs_embeds=repeated)
        return embedded

    @property
    def positions(self) -> Tensor | None:
        """The encoder's table of positions, shape (positions, d); None where it turns vectors instead."""
        table = getattr(self._embeddings[0], "position_embeddings", None)
        if not isinstance(table, nn.Embedding):
            return None
        # RoBERTa counts positions from behind that of padding.
        return table.weight if table.padding_idx is None else table.weight[table.padding_idx + 1 :]


def body_of(model: SentenceTransformer | CrossEncoder) -> PreTrainedModel:
    """The encoder of a text model, of an architecture whose head is known; of a cross-encoder what is below its score.

    Raises:
        BadInput: when there is none.
    """
    whole = getattr(model[0], "auto_model", None) if len(model) else None
    body = getattr(whole, "base_model", None)
    kind = getattr(getattr(body, "config", None), "model_type", type(model[0]).__name__)
    if not isinstance(body, PreTrainedModel) or kind not in _HEADS:
        raise BadInput(
            f"no masked-language head is known for {kind}; there are {', '.join(_HEADS)}"
        )
    return body


def _taken_out(full: PreTrainedModel) -> nn.Linear:
    """The projection to the vocabulary; in its place the model keeps what changes nothing."""
    projection: nn.Linear = full.get_output_embeddings()
    for owner in full.modules():
        for name, part in owner.named_children():
            if part is projection:
                setattr(owner, name, nn.Identity())
    return projection


def _read_head(full: nn.Module, parts: tuple[str, ...], folder: Path) -> bool:
    """Copy a checkpoint's head into ``full``; False where the checkpoint has none."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise BadInput(
            f"{path}: no such file; the head is read from a masked-language model's folder"
        )
    wanted: dict[str, Any] = {
        name: tensor for name, tensor in full.state_dict().items() if name.startswith(parts)
    }
    with safe_open(path, framework="pt") as stored:
        names = wanted.keys() & set(stored.keys())
        found = {name: stored.get_tensor(name) for name in names}
    # The projection is tied to the word embeddings, so that checkpoints leave it out.
    needed = {
        name for name in wanted if not name.rsplit(".", 2)[-2].endswith(("decoder", "projector"))
    }
    if not needed <= names:
        return False
    full.load_state_dict(found, strict=False)
    return True
