"""One vector of two halves: the meaning of [CLS], and the words that a text's tokens predict most strongly.

The representation of DupMAE (Xiao, Liu 2022, arXiv:2211.08769): a projection of the first token's vector, and beside it
the largest logit of each word of the vocabulary over the ordinary tokens (OT), of which the largest few are kept. Two
texts are scored by the inner product of both halves. The memory is that of one dense vector: a kept word costs one
number of 32 bits for its value and half of one for its place.

Where this departs from the paper, whose authors published no code for it: as in SPLADE (Formal et al. 2021,
arXiv:2107.05720) negative logits become 0, so that an inverted index can hold the words; the two halves are scaled to
the same length, because logits are many times larger than the numbers of [CLS]; and the projection to words is a copy
of the pre-trained head, so that it is free to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Module
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.nn.functional import normalize

from polyvec.encoders.language_head import LanguageHead
from polyvec.encoders.max_over_tokens import max_over_tokens
from polyvec.errors import BadInput

Activation = Literal["relu", "log1p", "none"]
_SHORT_PLACES = 2**16
"""Words that can be numbered with 16 bits."""


class DuplexPooling(Module):
    """Pools tokens' vectors to a dense half and a half of words, joined in ``sentence_embedding``.

    It adds to the features ``cls_embedding`` (rows, cls_dim), ``word_ids`` and ``word_values`` (rows, ot_topk), and
    ``sentence_embedding`` (rows, cls_dim + vocabulary), in which the words stand at their places. The inner product of
    two such vectors is the score, so that whatever trains or judges dense vectors can be used as it is; to store
    vectors, take `duplex_vectors`.

    Args:
        width: of the tokens' vectors.
        vocabulary: how many words the projection knows.
        cls_dim: numbers in the dense half, the paper's 384 of 768; 0 leaves the half out.
        ot_topk: words that are kept, the paper's 384; 0 leaves the half out.
        ot_activation: of the logits: ``relu``; ``log1p`` of that, as in SPLADE; or ``none``, nearest to the paper.
        budget_floats: what a text may take, in numbers of 32 bits; what ``cls_dim`` leaves of it goes to words, and
            ``ot_topk`` is not looked at. The paper's 768 make 384 and 256.
        unit_halves: give both halves the same length and the joined vector length 1; the score is then the mean of two
            cosines. Without it the half with the larger numbers decides, as in the paper.
        norm_eps: of the norm before the projection.

    Raises:
        BadInput: when both halves are empty, one is larger than it can be, or the activation is unknown.

    Example:
        >>> pooling = DuplexPooling(width=8, vocabulary=50, cls_dim=4, budget_floats=10)
        >>> pooling.ot_topk, pooling.floats
        (4, 10.0)
        >>> features = {"token_embeddings": torch.randn(2, 5, 8), "attention_mask": torch.ones(2, 5)}
        >>> pooling(features)["sentence_embedding"].shape
        torch.Size([2, 54])
    """

    config_keys: list[str] = [  # noqa: RUF012, as the base class has it
        "width",
        "vocabulary",
        "cls_dim",
        "ot_topk",
        "ot_activation",
        "unit_halves",
        "norm_eps",
    ]

    def __init__(
        self,
        width: int,
        vocabulary: int,
        cls_dim: int = 384,
        ot_topk: int = 384,
        ot_activation: Activation = "relu",
        budget_floats: float | None = None,
        unit_halves: bool = True,
        norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vocabulary = vocabulary
        if budget_floats is not None:
            ot_topk = int((budget_floats - cls_dim) / self.floats_per_word)
        if not 0 <= cls_dim <= width or not 0 <= ot_topk <= vocabulary or cls_dim + ot_topk == 0:
            raise BadInput(
                f"{cls_dim} dense numbers and {ot_topk} words: give up to {width} and {vocabulary}, not 0 twice"
            )
        if ot_activation not in get_args(Activation):
            raise BadInput(f"activation {ot_activation!r}: give 'relu', 'log1p' or 'none'")
        self.width = width
        self.cls_dim = cls_dim
        self.ot_topk = ot_topk
        self.ot_activation = ot_activation
        self.unit_halves = unit_halves
        self.norm_eps = norm_eps
        self.narrow = nn.Linear(width, cls_dim, bias=False) if cls_dim else None
        if self.narrow is not None:
            nn.init.orthogonal_(self.narrow.weight)
        self.words = _Words(width, vocabulary, norm_eps) if ot_topk else None

    @property
    def floats_per_word(self) -> float:
        """What a kept word costs, in numbers of 32 bits: its value, and its place in 16 bits if that is enough."""
        return 1.5 if self.vocabulary <= _SHORT_PLACES else 2.0

    @property
    def floats(self) -> float:
        """What a text takes when it is stored, in numbers of 32 bits."""
        return self.cls_dim + self.floats_per_word * self.ot_topk

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Pool; the first real token and the last, [CLS] and [SEP], are not among those that predict words."""
        vectors: Tensor = features["token_embeddings"]
        mask: Tensor = features["attention_mask"].bool()
        rows = torch.arange(len(mask), device=mask.device)
        first = mask.int().argmax(dim=1)
        halves = []
        scale = 0.5**0.5 if self.narrow is not None and self.words is not None else 1.0
        if self.narrow is not None:
            dense = self.narrow(vectors[rows, first]).float()
            features["cls_embedding"] = (
                normalize(dense, dim=1) * scale if self.unit_halves else dense
            )
            halves.append(features["cls_embedding"])
        if self.words is not None:
            last = mask.shape[1] - 1 - mask.int().flip(1).argmax(dim=1)
            ordinary = mask.clone()
            ordinary[rows, first] = ordinary[rows, last] = False
            strengths = self._activated(self.words(vectors, ordinary))
            values, ids = strengths.topk(self.ot_topk, dim=1)
            features["word_ids"] = ids
            features["word_values"] = (
                normalize(values, dim=1) * scale if self.unit_halves else values
            )
            halves.append(torch.zeros_like(strengths).scatter(1, ids, features["word_values"]))
        features["sentence_embedding"] = torch.cat(halves, dim=1)
        return features

    def get_embedding_dimension(self) -> int:
        """Of ``sentence_embedding``."""
        return self.cls_dim + (self.vocabulary if self.ot_topk else 0)

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Write configuration and weights into a folder."""
        self.save_config(output_path)
        self.save_torch_weights(output_path)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> DuplexPooling:
        """Read what `save` wrote; arguments are those of every module of sentence-transformers."""
        where: dict[str, Any] = {
            "subfolder": subfolder,
            "token": token,
            "cache_folder": cache_folder,
            "revision": revision,
            "local_files_only": local_files_only,
        }
        made = cls(**{**(init_defaults or {}), **cls.load_config(model_name_or_path, **where)})
        found: DuplexPooling = cls.load_torch_weights(model_name_or_path, model=made, **where)
        return found

    def _activated(self, logits: Tensor) -> Tensor:
        if self.ot_activation == "none":
            return logits
        return logits.relu() if self.ot_activation == "relu" else logits.relu().log1p()


class _Words(nn.Module):
    """How strongly tokens predict words: a head in the form that those of all known architectures have."""

    def __init__(self, width: int, vocabulary: int, norm_eps: float) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.projection = nn.Linear(width, vocabulary)

    def transform(self, vectors: Tensor) -> Tensor:
        """What stands before the projection."""
        normed: Tensor = self.norm(nn.functional.gelu(self.layer(vectors)))
        return normed

    def forward(self, vectors: Tensor, counted: Tensor) -> Tensor:
        """The largest logit of each word over the counted tokens, shape (rows, vocabulary)."""
        return max_over_tokens(
            self.transform(vectors), self.projection.weight, self.projection.bias, counted
        )

    @torch.no_grad()
    def copy(self, head: LanguageHead) -> None:
        """Take over the weights of a head."""
        layer, norm = _part(head, nn.Linear), _part(head, nn.LayerNorm)
        pairs = (layer, self.layer), (norm, self.norm), (head.projection, self.projection)
        for source, target in pairs:
            target.weight.copy_(source.weight)
            nn.init.zeros_(target.bias)
            if source.bias is not None:
                target.bias.copy_(source.bias)
        probe = torch.eye(len(self.norm.weight), device=self.norm.weight.device)
        if not torch.allclose(self.transform(probe), head.transform(probe), atol=1e-4):
            raise BadInput("the head is not a layer, GELU and a norm before its projection")


def _part(head: LanguageHead, kind: type[nn.Module]) -> Any:
    return next(part for part in head.transform.modules() if isinstance(part, kind))


def duplex_model(
    model: SentenceTransformer,
    head: LanguageHead,
    *,
    cls_dim: int = 384,
    ot_topk: int = 384,
    ot_activation: Activation = "relu",
    budget_floats: float | None = None,
    unit_halves: bool = True,
    seed: int = 0,
) -> SentenceTransformer:
    """A model whose vectors are duplex, of an encoder and the head that was pre-trained with it.

    Args:
        model: its encoder is taken, the very same and not a copy; its pooling is left out.
        head: predicts words, for example that of `polyvec.objectives.dupmae.DupMAE`; its weights are copied.
        cls_dim: see `DuplexPooling`, as for all up to ``unit_halves``.
        ot_topk: words that are kept.
        ot_activation: of their logits.
        budget_floats: what a text may take.
        unit_halves: whether both halves weigh the same.
        seed: of the projection of [CLS].

    Raises:
        BadInput: see `DuplexPooling`; or when the head has another form than those of known architectures.

    Example:
        >>> made = duplex_model(model, objective.head, cls_dim=192, budget_floats=384)  # doctest: +SKIP
    """
    eps = _part(head, nn.LayerNorm).eps
    width, vocabulary = head.projection.in_features, head.projection.out_features
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pooling = DuplexPooling(
            width, vocabulary, cls_dim, ot_topk, ot_activation, budget_floats, unit_halves, eps
        ).to(model.device)
    if pooling.words is not None:
        pooling.words.copy(head)
    return SentenceTransformer(
        modules=[model[0], pooling], device=str(model.device), similarity_fn_name="dot"
    )


class DuplexVectors(NamedTuple):
    """Vectors as they are stored.

    Attributes:
        cls: the dense half, shape (texts, cls_dim).
        ids: places of the kept words, shape (texts, ot_topk); 16 bits each if that is enough.
        values: of these words, shape (texts, ot_topk).
        vocabulary: how many words there are.
    """

    cls: Tensor
    ids: Tensor
    values: Tensor
    vocabulary: int

    @property
    def nbytes(self) -> int:
        """Of all texts together."""
        return sum(part.nbytes for part in (self.cls, self.ids, self.values))


@torch.inference_mode()
def duplex_vectors(
    model: SentenceTransformer, texts: Sequence[str], batch: int = 32
) -> DuplexVectors:
    """Encode texts to vectors as they are stored, without the vocabulary's length in memory for more than a batch.

    Args:
        model: ends in `DuplexPooling`.
        texts: one or more.
        batch: texts at once.

    Raises:
        BadInput: when there are no texts, or the model's pooling is another one.
    """
    pooling = model[-1]
    if not isinstance(pooling, DuplexPooling) or not texts:
        raise BadInput(
            f"{len(texts)} texts and a model that ends in {type(pooling).__name__}: "
            "give one text or more, and a model of duplex_model"
        )
    model.eval()
    short = pooling.vocabulary <= _SHORT_PLACES
    parts = []
    for start in range(0, len(texts), batch):
        features = model.preprocess(list(texts[start : start + batch]))
        found = model(batch_to_device(features, model.device))
        nothing = torch.empty(len(found["sentence_embedding"]), 0)
        ids = found.get("word_ids", nothing).cpu()
        parts.append(
            (
                found.get("cls_embedding", nothing).cpu(),
                ids.to(torch.uint16 if short else torch.int32),
                found.get("word_values", nothing).cpu(),
            )
        )
    cls, ids, values = (torch.cat(column) for column in zip(*parts, strict=True))
    return DuplexVectors(cls, ids, values, pooling.vocabulary)


def duplex_similarity(first: DuplexVectors, second: DuplexVectors) -> Tensor:
    """Scores of each of the first texts with each of the second, shape (first, second).

    It is the inner product of their dense halves plus, over the words that both keep, the products of their values: the
    inner product of ``sentence_embedding``. The fewer, say queries, should be the first.

    Example:
        >>> one = DuplexVectors(torch.eye(1), torch.tensor([[3, 1]]), torch.tensor([[2.0, 1.0]]), 5)
        >>> two = DuplexVectors(torch.eye(1), torch.tensor([[0, 3]]), torch.tensor([[9.0, 4.0]]), 5)
        >>> duplex_similarity(one, two)
        tensor([[9.]])
    """
    asked = torch.zeros(len(first.values), first.vocabulary)
    asked.scatter_(1, first.ids.long(), first.values)
    rows = torch.arange(len(second.values))[:, None].expand(second.ids.shape)
    places = torch.stack([rows.flatten(), second.ids.long().flatten()])
    stored = torch.sparse_coo_tensor(
        places,
        second.values.flatten(),
        (len(second.values), second.vocabulary),
        check_invariants=True,
    )
    scores: Tensor = first.cls @ second.cls.T + torch.sparse.mm(stored, asked.T).T
    return scores
