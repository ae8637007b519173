"""Clients that people use: LangChain's and LlamaIndex's classes for OpenAI's embeddings, as their users write them."""

import asyncio

import numpy as np
import openai
import pytest

from polyvec.encoders.encoding import encode
from polyvec.search import openai_format

langchain_openai = pytest.importorskip("langchain_openai")
llama_openai = pytest.importorskip("llama_index.embeddings.openai")
llama_like = pytest.importorskip("llama_index.embeddings.openai_like")

TEXTS = ["the cat is in the house", "a boat", "query and document", "rain on the lake"]


@pytest.fixture
def vectors(tiny_model) -> np.ndarray:
    return encode(tiny_model(), TEXTS, normalize=True)


def langchain(found, **options):
    return langchain_openai.OpenAIEmbeddings(
        base_url=f"{found.address}/v1", api_key="-", model="tiny", max_retries=0, **options
    )


def llama_index(found, **options):
    return llama_openai.OpenAIEmbedding(
        api_base=f"{found.address}/v1", api_key="-", model_name="tiny", max_retries=0, **options
    )


def llama_index_like(found, **options):
    return llama_like.OpenAILikeEmbedding(
        api_base=f"{found.address}/v1", api_key="-", model_name="tiny", max_retries=0, **options
    )


@pytest.mark.parametrize("options", [{}, {"check_embedding_ctx_length": False}], ids=str)
def test_langchain(start, vectors, cl100k, options) -> None:
    asked = langchain(start(), **options)

    async def later():
        return await asked.aembed_documents(TEXTS), await asked.aembed_query(TEXTS[0])

    many, one = asyncio.run(later())
    np.testing.assert_allclose(asked.embed_documents(TEXTS), vectors, atol=1e-5)
    np.testing.assert_allclose(asked.embed_query(TEXTS[0]), vectors[0], atol=1e-5)
    np.testing.assert_allclose(many, vectors, atol=1e-5)
    np.testing.assert_allclose(one, vectors[0], atol=1e-5)


def test_langchain_in_small_requests_and_dimensions(start, tiny_model, vectors, cl100k) -> None:
    found = start()
    many = langchain(found, chunk_size=3).embed_documents(TEXTS)
    np.testing.assert_allclose(many, vectors, atol=1e-5)
    fewer = vectors[:, :8] / np.linalg.norm(vectors[:, :8], axis=1, keepdims=True)
    few = langchain(found, dimensions=8).embed_documents(TEXTS)
    np.testing.assert_allclose(few, fewer, atol=1e-5)
    # A text of more tokens than a request of OpenAI's may hold is cut, and gets the mean of the vectors of its parts.
    parts = encode(tiny_model(), ["a boat", " house"], normalize=True)
    mean = (2 * parts[0] + parts[1]) / 3
    long = langchain(found, embedding_ctx_length=2).embed_documents(["a boat house"])
    np.testing.assert_allclose(long[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_langchain_is_told_what_to_set_where_no_file_is(start, cl100k, monkeypatch) -> None:
    monkeypatch.setattr(openai_format, "_cl100k", lambda: None)
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        langchain(start()).embed_query("a boat")


@pytest.mark.parametrize("make", [llama_index, llama_index_like])
def test_llama_index(start, vectors, make) -> None:
    asked = make(start(), embed_batch_size=3)

    async def later():
        return (
            await asked.aget_text_embedding_batch(TEXTS),
            await asked.aget_text_embedding(TEXTS[0]),
            await asked.aget_query_embedding(TEXTS[1]),
        )

    many, one, query = asyncio.run(later())
    np.testing.assert_allclose(asked.get_text_embedding_batch(TEXTS), vectors, atol=1e-5)
    np.testing.assert_allclose(asked.get_text_embedding(TEXTS[0]), vectors[0], atol=1e-5)
    np.testing.assert_allclose(asked.get_query_embedding(TEXTS[1]), vectors[1], atol=1e-5)
    np.testing.assert_allclose(many, vectors, atol=1e-5)
    np.testing.assert_allclose(one, vectors[0], atol=1e-5)
    np.testing.assert_allclose(query, vectors[1], atol=1e-5)


@pytest.mark.parametrize("make", [llama_index, llama_index_like])
def test_llama_index_takes_dimensions(start, vectors, make) -> None:
    fewer = vectors[:, :8] / np.linalg.norm(vectors[:, :8], axis=1, keepdims=True)
    few = make(start(), dimensions=8).get_text_embedding_batch(TEXTS)
    np.testing.assert_allclose(few, fewer, atol=1e-5)
