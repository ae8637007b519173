"""Quantised language models of llama.cpp (GGUF) as folders of transformers, converted once.

Reading one through transformers takes half a minute; the folder that it is made into opens in a blink.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

from polyvec.errors import BadInput, MissingExtra
from polyvec.files import put_in_place

_WHOLE = "config.json"


def dequantised(file: Path, folder: Path) -> Path:
    """Write a GGUF file as a folder of transformers, with float32 weights in safetensors.

    Args:
        file: of an architecture that transformers reads (Llama, Qwen2, Gemma …).
        folder: is left as it is when it holds a model already, and appears whole or not at all.

    Returns:
        ``folder``.

    Raises:
        BadInput: when the file is damaged or of another architecture.
        MissingExtra: when the library ``gguf`` is not installed.
    """
    if (folder / _WHOLE).exists():
        return folder
    if find_spec("gguf") is None:
        raise MissingExtra("gguf", "decoders")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        _convert(file, Path(beside, "model"))
        put_in_place(Path(beside, "model"), folder, _WHOLE)
    return folder


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        read = AutoModel.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadInput(f"{file}: cannot be read as a GGUF model ({reason})") from error
    # What was read calls itself quantised, which transformers does not write, though its weights no longer are.
    config = read.config
    del config.quantization_config
    plain = AutoModel.from_config(config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
