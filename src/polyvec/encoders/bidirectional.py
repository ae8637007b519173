"""Let every token of a decoder see the whole text, and test that it does.

A language model's token sees only what is before it, so that early tokens know nothing of the text that their average
is to stand for. LLM2Vec (BehnamGhader et al. 2024, arXiv:2404.05961) and KaLM-Embedding-V2 (Zhao et al. 2025,
arXiv:2506.20923) take that mask away and keep the one that hides padding. In transformers the switch is
``config.is_causal``; versions and implementations of attention differ in whether they heed it. So the effect is
tested, here and whenever a model is opened: states of the beginning must change with the end.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from polyvec.errors import BadInput

_SHARED, _OWN = 6, 2
"""Tokens of the beginning that two texts share, and of their different ends."""

_CHANGED = 1e-3
"""Share of a state's length from which on it has changed; rounding stays a hundred times below."""

FIELD, BIDIRECTIONAL = "attention_direction", "bidirectional"
"""What a model's config.json says beside ``is_causal``, which other tools may drop."""


def sees_the_future(model: SentenceTransformer) -> bool:
    """Whether the states of a text's beginning change with its end, found out by two short texts of token ids.

    Args:
        model: begins with a transformer that reads token ids; it is not changed.

    Raises:
        BadInput: when it begins with something else.

    Example:
        >>> import polyvec
        >>> sees_the_future(polyvec.load("minilm", "cpu"))  # doctest: +SKIP
        True
    """
    body = transformer_of(model)
    device = next(body.parameters()).device
    size = int(body.config.vocab_size)
    ids = torch.arange(_SHARED + 2 * _OWN, device=device) * (size // 16 + 1) % size
    beginning, ends = ids[:_SHARED], ids[_SHARED:].view(2, _OWN)
    texts = torch.stack([torch.cat([beginning, end]) for end in ends])
    learning = body.training
    body.eval()
    with torch.no_grad():
        found = body(input_ids=texts, attention_mask=torch.ones_like(texts))
    body.train(learning)
    states = found.last_hidden_state[:, :_SHARED].double()
    change = (states[0] - states[1]).norm(dim=-1) / states[0].norm(dim=-1).clamp(min=1e-12)
    # The first of them would do, were it not that its state may lean on itself alone.
    return bool(change.max() > _CHANGED)


def to_bidirectional(model: SentenceTransformer, verify: bool = True) -> SentenceTransformer:
    """Take the causal mask off a decoder.

    Args:
        model: begins with a decoder of transformers (Llama, Qwen, Mistral, Gemma …); it is not changed.
        verify: test the effect.

    Returns:
        A model with the same weights whose every token sees the whole text. Its config.json says so
        (``is_causal: false``), plain sentence-transformers opens it too, and `polyvec.load` tests it again.

    Raises:
        BadInput: when the attention of this model ignores the switch.
    """
    found = deepcopy(model)
    config = transformer_of(found).config
    config.is_causal = False
    setattr(config, FIELD, BIDIRECTIONAL)
    if verify:
        check_attention(found, "the model")
    return found


def check_attention(model: SentenceTransformer, name: str) -> None:
    """Refuse a model that is said to see whole texts and does not.

    Args:
        model: as opened.
        name: what the error calls it.

    Raises:
        BadInput: says what is wrong and what would be right. Models that say nothing of it pass.
    """
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    if config is None or not _says_bidirectional(config) or sees_the_future(model):
        return
    raise BadInput(
        f"{name}: it says that its tokens see the whole text, but they see only what is before them; its attention "
        f"({config._attn_implementation}) ignores the switch or config.json lost 'is_causal: false': "
        "make it anew with to_bidirectional"
    )


def transformer_of(model: SentenceTransformer) -> Any:
    """The transformer of transformers that a model begins with.

    Raises:
        BadInput: when it begins with something else.
    """
    body = getattr(model[0], "auto_model", None)
    if not isinstance(body, nn.Module) or not hasattr(getattr(body, "config", None), "vocab_size"):
        raise BadInput(
            f"{type(model[0]).__name__}: not a transformer that reads token ids; give a model that begins with one"
        )
    return body


def _says_bidirectional(config: Any) -> bool:
    return getattr(config, FIELD, None) == BIDIRECTIONAL or (
        getattr(config, "is_causal", None) is False
    )
