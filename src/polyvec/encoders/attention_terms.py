"""Which words of a text an encoder looks at, set against what it looks at in the whole collection.

The term weights of B-PROP: Bootstrapped Pre-training with Representative Words Prediction (Ma, Guo, Zhang, Fan, Li,
Cheng 2021, arXiv:2104.09791). Texts go in; for each come its words with chances to be drawn, as
`polyvec.data.representative_words.RepresentativeWords` takes them.

The weight a(w) of a word is the attention that [CLS] pays to the first piece of it in one layer, averaged over heads,
summed over its occurrences, and saturated: a / (a + .01). Divided by their sum, the weights of a text are its
distribution θ_D; their mean over texts, divided by its sum, is the collection's θ_C. Their contrast g is
min(-θ_D log2 θ_C, 100) (``entropy``) or max(θ_D - θ_C, 0) (``subtract``), and a word's chance is softmax(g / T).

Departure: g is divided by its largest value in the text, and T is .2. As published, T is 1 and g of the order of .01 to
.1, so that all words are almost equally likely (see `effective_words`); ``normalise=False`` does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor

from polyvec.data.representative_words import DocumentTerms
from polyvec.errors import BadInput

Contrast = Literal["entropy", "subtract"]

_MOST = 100.0
"""Largest contrast of a word, as in the authors' code."""
_NORMALISED = 0.2
_PUBLISHED = {"entropy": 1.0, "subtract": 0.1}
"""Temperatures of the softmax: of normalised contrasts, and of the authors' as they are."""


class _Attended(NamedTuple):
    """Words of a text by number, ascending, and the attention that each of them gets."""

    numbers: NDArray[np.intp]
    weights: NDArray[np.float64]


class AttentionTerms:
    """Distributions over the words of texts from an encoder's attention; computed once, when it is made.

    Words are the tokenizer's, in lower case; only those of letters are counted. A text is read as far as the model
    does.

    Args:
        model: a text model with a fast tokenizer, whose transformer computes attention by the ``eager`` implementation:
            no other tells what it attends to.
        texts: what is drawn from; two or more.
        layer: whose attention is read; the last.
        saturation: of a word's attention; 0 leaves it as it is.
        contrast: with the collection.
        normalise: divide the contrasts of each text by the largest.
        temperature: of the softmax over contrasts; by default .2 where they are normalised, else the authors' 1
            (``entropy``) or .1 (``subtract``).
        batch: texts that are read at once.

    Attributes:
        words: all words found.
        collection: θ_C, shape (words,).
        lengths: of the texts in word pieces, shape (texts,).

    Raises:
        BadInput: when there are fewer than 2 texts, no words in them, a setting is unknown, or the model does not tell
            its attention.

    Example:
        >>> model.transformers_model.set_attn_implementation("eager")  # doctest: +SKIP
        >>> source = AttentionTerms(model, texts)  # doctest: +SKIP
        >>> RepresentativeWords(source, replace=False, min_words=10, min_length=200)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: SentenceTransformer,
        texts: Sequence[str],
        *,
        layer: int = -1,
        saturation: float = 0.01,
        contrast: Contrast = "entropy",
        normalise: bool = True,
        temperature: float | None = None,
        batch: int = 32,
    ) -> None:
        if contrast not in _PUBLISHED:
            raise BadInput(f"contrast {contrast!r}: give {' or '.join(map(repr, _PUBLISHED))}")
        if temperature is not None and temperature <= 0:
            raise BadInput(f"a temperature of {temperature}: it has to be above 0")
        if len(texts) < 2:
            raise BadInput(f"{len(texts)} texts: a contrast with the collection needs 2 or more")
        self.contrast = contrast
        self.normalise = normalise
        self.temperature = temperature or (_NORMALISED if normalise else _PUBLISHED[contrast])
        _check(model, layer)
        place: dict[str, int] = {}
        found: list[_Attended] = []
        lengths: list[int] = []
        for start in range(0, len(texts), batch):
            part, sizes = _read(model, texts[start : start + batch], layer, place)
            found += part
            lengths += sizes
        if not place:
            raise BadInput(f"none of the {len(texts)} texts has a word of letters")
        self.words = tuple(place)
        self.lengths: NDArray[np.int64] = np.array(lengths, np.int64)
        self._texts = [
            of._replace(weights=of.weights / (of.weights + saturation)) if saturation else of
            for of in found
        ]
        summed = np.zeros(len(self.words))
        for of in self._texts:
            summed[of.numbers] += of.weights
        self.collection: NDArray[np.float64] = summed / summed.sum()

    def contrasts(self, document: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Numbers of a text's words in `words`, and their contrasts with the collection, shape (words,) both."""
        numbers, weights = self._texts[document]
        share = weights / max(weights.sum(), np.finfo(float).tiny)
        theirs = self.collection[numbers]
        if self.contrast == "entropy":
            found = np.minimum(-share * np.log2(theirs), _MOST)
        else:
            found = np.maximum(share - theirs, 0.0)
        if self.normalise and len(found) and found.max() > 0:
            found = found / found.max()
        return numbers, found

    def terms(self, document: int, rng: np.random.Generator) -> DocumentTerms:
        """Words that may be drawn from a text, their chances, and their contrasts as scores.

        Args:
            document: its number.
            rng: nothing here is drawn.
        """
        numbers, contrasts = self.contrasts(document)
        raised = np.exp((contrasts - contrasts.max(initial=0.0)) / self.temperature)
        return DocumentTerms(numbers, raised / max(raised.sum(), 1e-300), contrasts)

    def spell(self, numbers: NDArray[np.intp], rng: np.random.Generator) -> list[str]:
        """Words by their numbers."""
        return [self.words[number] for number in numbers]

    def effective_words(self, document: int) -> float:
        """How many equally likely words would be drawn as evenly: exp of the entropy of a text's chances."""
        chances = self.terms(document, np.random.default_rng(0)).chances
        chances = chances[chances > 0]
        return float(np.exp(-(chances * np.log(chances)).sum()))


def _check(model: SentenceTransformer, layer: int) -> None:
    body = model.transformers_model
    config = getattr(body, "config", None)
    told = getattr(config, "_attn_implementation", None)
    if told != "eager":
        raise BadInput(
            f"the model computes attention with {told!r}, which does not tell its weights; "
            "call model.transformers_model.set_attn_implementation('eager') first"
        )
    if not getattr(model.tokenizer, "is_fast", False):
        raise BadInput("the model's tokenizer does not tell where words begin; give a fast one")
    layers = int(config.num_hidden_layers) if config is not None else 0
    if not -layers <= layer < layers:
        raise BadInput(f"layer {layer} of {layers}: give {-layers} to {layers - 1}")


@torch.inference_mode()
def _read(
    model: SentenceTransformer, texts: Sequence[str], layer: int, place: dict[str, int]
) -> tuple[list[_Attended], list[int]]:
    """The attention that each word of some texts gets, and how many pieces each of them has."""
    model.eval()
    encoded = model.tokenizer(
        list(texts),
        padding=True,
        truncation=True,
        max_length=model.max_seq_length,
        return_tensors="pt",
    )
    features = batch_to_device(dict(encoded), model.device)
    body = model.transformers_model
    assert body is not None  # `_check` has seen its configuration
    attention: Tensor = body(**features, output_attentions=True).attentions[layer]
    from_first = attention.float().mean(dim=1)[:, 0].cpu().double().numpy()
    found = [
        _to_words(text, of.word_ids, of.offsets, row, place)
        for text, of, row in zip(texts, encoded.encodings, from_first, strict=True)
    ]
    return found, [int(size) for size in encoded["attention_mask"].sum(dim=1)]


def _to_words(
    text: str,
    word_ids: Sequence[int | None],
    offsets: Sequence[tuple[int, int]],
    attention: NDArray[np.float64],
    place: dict[str, int],
) -> _Attended:
    """The attention to first pieces, summed over the occurrences of each word; new words are entered in ``place``."""
    of_word = np.array([-1 if word is None else word for word in word_ids])
    spans = np.array(offsets).reshape(-1, 2)
    before = np.concatenate([[-1], of_word[:-1]])
    first = np.flatnonzero((of_word >= 0) & (of_word != before))
    if len(first):
        ends = np.maximum.reduceat(spans[:, 1], first)  # of special tokens it is 0
        # Where the text was cut inside its last word, the rest of it stands behind.
        whole = len(first) - text[ends[-1] : ends[-1] + 1].isalpha()
        first, ends = first[:whole], ends[:whole]
    else:
        ends = first
    written = [
        text[start:end].strip().lower() for start, end in zip(spans[first, 0], ends, strict=True)
    ]
    kept = [number for number, word in enumerate(written) if word.isalpha()]
    numbers, of_kept = np.unique(
        np.array([place.setdefault(written[at], len(place)) for at in kept], np.intp),
        return_inverse=True,
    )
    weights = np.zeros(len(numbers))
    np.add.at(weights, of_kept, attention[first[kept]])
    return _Attended(numbers, weights)
