"""Opening models: from installed packages, from a folder, or from the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
from sentence_transformers import SentenceTransformer
from sentence_transformers.util.misc import ORIGINAL_TRANSFORMER_MODELS
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from polyvec.encoders.bidirectional import check_attention, sees_the_future
from polyvec.encoders.folder_checks import check_folder
from polyvec.encoders.installed_models import installed_base, installed_folder
from polyvec.errors import BadInput

__all__ = ["installed_base", "load", "model_fingerprint"]

_FROM_HUB = ["*.json", "*.jinja", "*.model", "*.safetensors", "*.txt"]
_NOT_FROM_HUB = ["onnx/*", "openvino/*"]
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_HUB_ERRORS = (OSError, ValueError, httpx.HTTPError)
_PATIENCE = 10.0
"""Seconds that the hub has for an answer; after that, what is in its cache must do."""

SAFE = {
    "use_safetensors": True,
    "weights_only": True,
    "allow_all_kernels": False,
    "device_map": None,  # it could have weights written to any folder
}
"""What a folder's own configuration would otherwise decide."""


def load(name_or_path: str | Path = "minilm", device: str = "auto") -> SentenceTransformer:
    """Open a model.

    No code that comes with a model is ever run, and no pickle is read: its modules are classes of
    sentence-transformers or polyvec, and its weights are safetensors.

    Args:
        name_or_path: ``minilm`` (22M parameters, 384 dimensions) or ``mpnet`` (109M, 768) from an
            installed package; a folder of polyvec, sentence-transformers or transformers
            (``./minilm`` for one that is called like a short name); or a name on the hub.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …; ``auto`` takes cuda if there is one, else
            mps, else the cpu.

    Returns:
        The model, on the device, ready to encode.

    Raises:
        BadInput: when there is no such model or device, or the model is damaged, or it wants to run
            code.

    Example:
        >>> load("./modle")
        Traceback (most recent call last):
        ...
        polyvec.errors.BadInput: ./modle: no such folder; give one, 'minilm' or a name on the hub
    """
    target = _device(device)
    folder = _folder(name_or_path)
    return _open(folder).to(target)


def model_fingerprint(model: SentenceTransformer | str | Path) -> str:
    """SHA-256 of a model's weights and configuration: it changes when its vectors would.

    Args:
        model: a model, or the folder of one. The two differ: compare like with like.

    Returns:
        64 hexadecimal digits. Takes about 0.1 s for 100 MB.
    """
    digest = hashlib.sha256()
    parts = (
        _parts_in_memory(model)
        if isinstance(model, SentenceTransformer)
        else _parts_of(Path(model))
    )
    for name, content in parts:
        digest.update(f"{name}\0{memoryview(content).nbytes}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _device(name: str) -> torch.device:
    if name == "auto":
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError):
        raise BadInput(f"device {name!r}: not usable on this machine; give cpu or auto") from None
    return torch.device(name)


def _folder(name_or_path: str | Path) -> Path:
    if isinstance(name_or_path, str) and (installed := installed_folder(name_or_path)):
        return installed
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise BadInput(f"{path}: a file; give the folder of a model")
    if isinstance(name_or_path, Path) or not _HUB_NAME.fullmatch(name_or_path):
        raise BadInput(f"{name_or_path}: no such folder; give one, 'minilm' or a name on the hub")
    return _from_hub(name_or_path)


def _from_hub(name: str) -> Path:
    """Folder in the hub's cache with the model's safe files, downloaded where they are missing."""
    in_full = (
        name
        if "/" in name or name in ORIGINAL_TRANSFORMER_MODELS
        else f"sentence-transformers/{name}"
    )
    commit = _newest_commit(in_full)
    try:
        folder = snapshot_download(
            in_full,
            revision=commit,
            local_files_only=commit is None,
            allow_patterns=_FROM_HUB,
            ignore_patterns=_NOT_FROM_HUB,
        )
    except _HUB_ERRORS:
        raise BadInput(
            f"{name}: no such folder, and the hub has no such model, hides it from you, "
            "or cannot be reached; give a folder or 'minilm'"
        ) from None
    return Path(folder)


def _newest_commit(name: str) -> str | None:
    """Asked for by itself because `snapshot_download` would wait for ever; None if there is no answer."""
    try:
        return HfApi().model_info(name, timeout=_PATIENCE).sha
    except _HUB_ERRORS:
        return None


def _open(folder: Path) -> SentenceTransformer:
    classes = check_folder(folder)
    try:
        with without_weight_bars():
            # The one way to hand over classes of our own without trusting the code of every folder.
            model = SentenceTransformer._load_with_module_classes(
                str(folder), classes, device="cpu", local_files_only=True, model_kwargs=dict(SAFE)
            )
    except MemoryError:
        raise
    # A damaged file can make its reader fail in any way; none of them is a bug of the caller.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadInput(f"{folder}: cannot be opened as a model ({reason})") from error
    if _knows_no_word(model):
        raise BadInput(f"{folder}: the files of its tokenizer are missing")
    check_attention(model, str(folder))
    if not classes:
        _check_guess(model, folder)
    return model


def _check_guess(model: SentenceTransformer, folder: Path) -> None:
    """A folder of transformers says nothing of pooling; the mean that is guessed is wrong for a decoder."""
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    averaged = any(getattr(module, "pooling_mode", None) == "mean" for module in model)
    reads_words = hasattr(config, "vocab_size") and not getattr(config, "is_encoder_decoder", False)
    if averaged and reads_words and not sees_the_future(model):
        raise BadInput(
            f"{folder}: a decoder whose tokens see only what is before them, so that their mean says little; "
            "make an encoder of it with polyvec.encoders.decoder.decoder_encoder"
        )


def _knows_no_word(model: SentenceTransformer) -> bool:
    """Whether transformers, for want of files, made up a tokenizer that has special tokens only."""
    tokenizer = getattr(model[0], "tokenizer", None)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return False
    return len(tokenizer) <= len(tokenizer.all_special_ids)


def save(model: SentenceTransformer, folder: Path) -> None:
    """Write a model as a sentence-transformers folder, without a model card that would say nothing."""
    with without_weight_bars():
        model.save_pretrained(str(folder), create_model_card=False)


@contextmanager
def without_weight_bars() -> Iterator[None]:
    """No progress bar over weights that are read or written in an instant."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _parts_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and any(path.match(pattern) for pattern in _FROM_HUB):
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _parts_in_memory(model: SentenceTransformer) -> Iterator[tuple[str, bytes]]:
    settings = [model.prompts, model.default_prompt_name, model.truncate_dim, model.max_seq_length]
    yield "settings", json.dumps(settings, sort_keys=True).encode()
    for name, module in model.named_children():
        yield f"module {name}", f"{type(module).__qualname__} {module!r}".encode()
    tokenizer = getattr(model[0], "tokenizer", None)
    if backend := getattr(tokenizer, "backend_tokenizer", None):
        state = json.loads(backend.to_str())
        # Each call sets these two anew, so they are no part of the model.
        state["padding"] = state["truncation"] = None
        yield "tokenizer", json.dumps(state).encode()
    for name, tensor in model.state_dict().items():
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}", _bytes(tensor)


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
