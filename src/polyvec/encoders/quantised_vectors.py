"""Vectors kept in fewer bytes: a number in one byte, or in one bit.

The bytes are those of sentence-transformers' `quantize_embeddings`, so whatever searches its int8 or binary vectors
searches these. Only what is stored is made smaller. Queries stay float32 and are compared with what the stored bytes
stand for, as in sentence-transformers' own rescoring.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sentence_transformers.util.quantization import quantize_embeddings

from polyvec.errors import BadInput
from polyvec.files import read_json, write_json

Kind = Literal["int8", "binary"]
KINDS: tuple[Kind, ...] = ("int8", "binary")
FILE = "quantisation.json"
"""In the folder of a model whose vectors `polyvec encode` is to write so; sentence-transformers passes it over."""


@dataclass(frozen=True, slots=True)
class Quantiser:
    """Turns unit vectors into bytes and back.

    Attributes:
        kind: ``int8`` takes 256 equal steps between the least and the greatest value of each dimension; ``binary``
            keeps whether a number is above 0.
        dims: numbers of a vector.
        low: least value of each dimension; empty for ``binary``.
        high: greatest value of each.

    Example:
        >>> quantiser = Quantiser.fit("binary", np.eye(2, 16, dtype=np.float32))
        >>> quantiser.bytes_per_vector
        2
        >>> quantiser.encode(np.eye(1, 16, dtype=np.float32)).tolist()
        [[0, -128]]
    """

    kind: Kind
    dims: int
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def fit(cls, kind: str, vectors: NDArray[np.float32]) -> Quantiser:
        """Learn what is needed from vectors like those to be stored.

        Args:
            kind: ``int8`` or ``binary``.
            vectors: shape (n, d), of unit length. Values beyond theirs will be cut off at them.

        Raises:
            BadInput: when there is no such kind, or there are fewer than two vectors to learn the range of.
        """
        check_kind(kind)
        if kind == "binary":
            return cls("binary", vectors.shape[1])
        if len(vectors) < 2:
            raise BadInput(
                f"{len(vectors)} vectors to learn the range of int8 from: give two or more"
            )
        low, high = vectors.min(axis=0), vectors.max(axis=0)
        return cls("int8", vectors.shape[1], tuple(low.tolist()), tuple(high.tolist()))

    @property
    def bytes_per_vector(self) -> int:
        """Bytes of one stored vector; the ranges are kept once for all."""
        return self.dims if self.kind == "int8" else ceil(self.dims / 8)

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int8]:
        """The bytes of vectors, shape (n, bytes per vector)."""
        ranges = self._ranges if self.kind == "int8" else None
        return np.asarray(quantize_embeddings(vectors, self.kind, ranges=ranges), dtype=np.int8)

    def decode(self, stored: NDArray[np.int8]) -> NDArray[np.float32]:
        """What bytes stand for, shape (n, d): the middle of a step, or -1 and 1."""
        if self.kind == "binary":
            bits = np.unpackbits((stored.astype(np.int16) + 128).astype(np.uint8), axis=1)
            return bits[:, : self.dims].astype(np.float32) * 2 - 1
        low, high = self._ranges
        steps = stored.astype(np.float32) + np.float32(128.5)
        return np.asarray(low + steps * ((high - low) / 255), dtype=np.float32)

    @property
    def _ranges(self) -> NDArray[np.float32]:
        return np.array([self.low, self.high], dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        ranges = {"low": list(self.low), "high": list(self.high)} if self.low else {}
        return {"kind": self.kind, "dims": self.dims, **ranges}

    def save(self, folder: Path) -> None:
        """Write it into a model's folder."""
        write_json(folder / FILE, self.to_dict())

    @classmethod
    def of_folder(cls, folder: Path) -> Quantiser | None:
        """What `save` left in a model's folder; None where nothing is.

        Raises:
            BadInput: when the file holds something else.
        """
        path = folder / FILE
        if not path.exists():
            return None
        found = read_json(path)
        try:
            low, high = (tuple(map(float, found.get(name, ()))) for name in ("low", "high"))
            quantiser = cls(found["kind"], int(found["dims"]), low, high)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise BadInput(f"{path}: not written by polyvec; remove it") from None
        wanted = quantiser.dims if quantiser.kind == "int8" else 0
        if quantiser.kind not in KINDS or not len(low) == len(high) == wanted:
            raise BadInput(f"{path}: not written by polyvec; remove it")
        return quantiser


def check_kind(kind: str) -> None:
    """Refuse what is no kind.

    Raises:
        BadInput: for it.
    """
    if kind not in KINDS:
        raise BadInput(f"quantise {kind!r}: give {' or '.join(KINDS)}")
