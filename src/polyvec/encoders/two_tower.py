"""Two towers: an encoder of queries and one of documents, whose vectors are compared by their inner product.

The model of Chang et al. 2020 (arXiv 2002.03932): each tower is a Transformer whose pooled vector a linear layer maps
to k dimensions. It is made of sentence-transformers' own modules, so that a saved folder opens there as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import Dense
from sentence_transformers.util import SimilarityFunction
from torch import nn

from polyvec.errors import BadInput


def two_tower(
    query_encoder: SentenceTransformer,
    document_encoder: SentenceTransformer | None = None,
    dim: int = 512,
    *,
    heads: Literal["shared", "separate"] = "shared",
    seed: int = 0,
) -> SentenceTransformer:
    """Put a linear layer on one encoder, or on two.

    Whether the paper's towers share their weights is not stated; here they do unless two encoders are given, as those
    of today's bi-encoders do, which needs half of the memory.

    Where towers or heads differ, a `Router` chooses: ``encode_query`` and ``encode_document``, or the argument
    ``task``, say which is meant; what is not said is a document. Training needs ``router_mapping={"anchor": "query",
    "positive": "document"}`` among its arguments, and `Contrastive` refuses columns that do not say what they are.

    Args:
        query_encoder: embeds queries, and documents if there is no other; the paper pools by the first token.
        document_encoder: embeds documents.
        dim: of the vectors; the paper's 512.
        heads: with one encoder, whether queries and documents have the same linear layer.
        seed: of the linear layers.

    Returns:
        A new model, on the device of ``query_encoder``; the encoders are copied. Its similarity is the inner product.

    Raises:
        BadInput: when ``dim`` is below 1, or an encoder brings a router of its own.

    Example:
        >>> towers = two_tower(load("minilm"), dim=128)  # doctest: +SKIP
        >>> towers.encode(["a query"]).shape  # doctest: +SKIP
        (1, 128)
    """
    if dim < 1:
        raise BadInput(f"dim={dim}: give 1 or more, say 512")
    if heads not in ("shared", "separate"):
        raise BadInput(f"heads={heads!r}: give shared or separate")
    query = _modules(query_encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        query_head = _head(query_encoder, dim)
        document_head = _head(document_encoder or query_encoder, dim)
    if document_encoder is None and heads == "shared":
        modules: list[nn.Module] = [*query, query_head]
    else:
        document = query if document_encoder is None else _modules(document_encoder)
        routes: dict[str, Any] = {
            "query": [*query, query_head],
            "document": [*document, document_head],
        }
        modules = [Router(routes, default_route="document")]
    return SentenceTransformer(
        modules=modules,
        device=str(query_encoder.device),
        similarity_fn_name=SimilarityFunction.DOT_PRODUCT,
    )


def _modules(encoder: SentenceTransformer) -> Sequence[nn.Module]:
    modules = deepcopy(list(encoder))
    if isinstance(modules[0], Router):
        raise BadInput("an encoder with two towers of its own: give the encoders of its towers")
    return modules


def _head(encoder: SentenceTransformer, dim: int) -> Dense:
    width = encoder.get_embedding_dimension()
    if width is None:
        raise BadInput("an encoder that does not say how wide its vectors are: give one that pools")
    return Dense(width, dim, activation_function=nn.Identity())
