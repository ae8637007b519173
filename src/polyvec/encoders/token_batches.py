"""Working through many inputs: tokenised ahead, in batches of like length under a token budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device, truncate_embeddings

from polyvec.encoders.precision import computing_in

Task = Literal["query", "document"]
Vectors = NDArray[np.float32]
Rows = NDArray[np.intp]
Features = dict[str, Any]

_WINDOW = 2048
"""Texts that are tokenised and sorted by length together, one such window ahead of the model."""

_WINDOW_TOKENS = 2**22
"""Most tokens in a window, padding counted: models for long texts must not fill the memory."""

_CPU_BATCH_TOKENS = 2048
"""By benchmarks/encode.py: 1,024 to 4,096 are alike, 8,192 leave the caches and are a tenth slower. In training
(benchmarks/train_step.py) 8,192 are a third slower."""

_GPU_BATCH_TOKENS = 32768
"""About what 128 texts of 256 tokens take, enough to keep a GPU busy in a small memory."""

_BATCH_COUNT = 32
"""Inputs in a batch where lengths are unknown: images, or a module without an attention mask."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model encodes; see `polyvec.encode` for what each means."""

    dtype: torch.dtype
    batch_tokens: int
    normalize: bool = False
    prompt: str | None = None
    task: Task | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What both the model's ``preprocess`` and its ``forward`` are told."""
        return {} if self.task is None else {"task": self.task}


def default_batch_tokens(device: torch.device) -> int:
    """Most tokens that a batch should have where nobody says: what the device works through fastest.

    Example:
        >>> default_batch_tokens(torch.device("cpu"))
        2048
    """
    return _CPU_BATCH_TOKENS if device.type == "cpu" else _GPU_BATCH_TOKENS


def encode_parts(
    model: SentenceTransformer,
    parts: Sequence[Sequence[Any]],
    settings: Settings,
    advance: Callable[[int], None],
) -> Iterator[Vectors]:
    """Encode several lists one after the other, without a pause between them.

    Args:
        model: as in `encode`.
        parts: lists of inputs, none of them empty.
        settings: how.
        advance: told after each batch how many inputs it had.

    Yields:
        For each part, the vectors of its inputs, in order.
    """
    if not parts:
        return
    model.eval()
    prompt, options = settings.prompt, settings.options

    def prepare(inputs: list[Any]) -> Features:
        return model.preprocess(inputs, prompt=prompt, **options)

    cuttable = _can_be_cut(prepare([parts[0][0]]))
    size = _window(model) if cuttable else _BATCH_COUNT
    windows = (list(part[at : at + size]) for part in parts for at in range(0, len(part), size))
    prepared = _one_ahead(prepare, windows)
    for part in parts:
        windows_left = range(0, len(part), size)
        if cuttable:
            found = [_by_tokens(model, next(prepared), settings, advance) for _ in windows_left]
        else:
            found = [_forward(model, next(prepared), settings, advance) for _ in windows_left]
        yield np.concatenate(found)


def encode_window(
    model: SentenceTransformer,
    inputs: Sequence[Any],
    settings: Settings,
    advance: Callable[[int], None],
) -> Iterator[tuple[Rows, Vectors, NDArray[np.intp]]]:
    """Encode a few inputs at once in the calling thread, batch by batch, and count what the model read of each.

    The vectors are those of `encode_parts`; this one is for a server, whose next inputs are not known yet, and whose
    clients wait for the end of a batch rather than of all.

    Args:
        model: as in `encode`.
        inputs: at least one; all are tokenised together.
        settings: how.
        advance: told after each batch how many inputs it had.

    Yields:
        For each batch the positions of its inputs, each of which comes once in all; their vectors; and the tokens of
        each as the model read it: with its prompt and special tokens, cut at the model's longest length; 0 for what
        has no tokens.
    """
    model.eval()
    features = model.preprocess(list(inputs), prompt=settings.prompt, **settings.options)
    if _can_be_cut(features):
        lengths = features["attention_mask"].sum(dim=1).numpy()
        for rows in batches_by_tokens(lengths, settings.batch_tokens):
            yield rows, _forward(model, _cut(features, rows), settings, advance), lengths[rows]
    elif len(inputs) > _BATCH_COUNT:
        for at in range(0, len(inputs), _BATCH_COUNT):
            part = inputs[at : at + _BATCH_COUNT]
            for rows, vectors, counts in encode_window(model, part, settings, advance):
                yield rows + at, vectors, counts
    else:
        counts = _lengths_in_a_row(features, len(inputs))
        yield np.arange(len(inputs)), _forward(model, features, settings, advance), counts


def batches_by_tokens(lengths: NDArray[np.integer[Any]], budget: int) -> list[Rows]:
    """Group texts of like length so that no batch, padded to its longest text, exceeds ``budget``.

    Args:
        lengths: tokens of each text.
        budget: most tokens in a batch; a longer text is a batch of its own.

    Returns:
        Positions in ``lengths``, each exactly once, the longest texts first.

    Example:
        >>> [b.tolist() for b in batches_by_tokens(np.array([2, 9, 4, 4]), budget=8)]
        [[1], [2, 3], [0]]
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = max(1, budget // longest)
        batches.append(order[start : start + size])
        start += size
    return batches


def _window(model: SentenceTransformer) -> int:
    longest = model.max_seq_length or 1
    return max(1, min(_WINDOW, _WINDOW_TOKENS // longest))


def _can_be_cut(features: Features) -> bool:
    """Whether rows and padding can be taken out of ``features`` without changing the others."""
    mask = features.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2:
        return False
    tensors = [value for value in features.values() if isinstance(value, torch.Tensor)]
    return all(tensor.shape[:2] == mask.shape for tensor in tensors)


def _lengths_in_a_row(features: Features, count: int) -> NDArray[np.intp]:
    """Tokens of texts that stand one after the other in one row, as embedding bags have them; else zeros."""
    if "offsets" not in features or "input_ids" not in features:
        return np.zeros(count, np.intp)
    ends = [*features["offsets"].tolist(), len(features["input_ids"])]
    return np.diff(ends).astype(np.intp)


def _one_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in order, each computed in the background while the one before is used."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        ahead: deque[Future[Result]] = deque()
        for item in items:
            ahead.append(worker.submit(function, item))
            if len(ahead) > 1:
                yield ahead.popleft().result()
        for last in ahead:
            yield last.result()


def _by_tokens(
    model: SentenceTransformer,
    features: Features,
    settings: Settings,
    advance: Callable[[int], None],
) -> Vectors:
    """Vectors of a window, in its order, computed in batches of like length."""
    lengths = features["attention_mask"].sum(dim=1).numpy()
    batches = batches_by_tokens(lengths, settings.batch_tokens)
    found = [_forward(model, _cut(features, rows), settings, advance) for rows in batches]
    return np.concatenate(found)[np.argsort(np.concatenate(batches))]


def _cut(features: Features, rows: Rows) -> Features:
    """Some rows of ``features``, without the columns in which all of them are padding."""
    chosen = torch.from_numpy(rows)
    used = features["attention_mask"][chosen].any(dim=0)
    used[0] |= ~used.any()  # a model may not take a batch without any column
    return {
        name: value[chosen][:, used] if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
    }


@torch.inference_mode()
def _forward(
    model: SentenceTransformer,
    features: Features,
    settings: Settings,
    advance: Callable[[int], None],
) -> Vectors:
    features = batch_to_device(features, model.device)
    with computing_in(model.device, settings.dtype):
        vectors = model(features, **settings.options)["sentence_embedding"].float()
    if model.truncate_dim is not None:
        vectors = truncate_embeddings(vectors, model.truncate_dim)
    if settings.normalize:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    found: Vectors = vectors.cpu().numpy()
    advance(len(found))
    return found
