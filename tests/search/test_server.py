"""The server: OpenAI's own client against it, and every request that gets an error."""

import base64
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import numpy as np
import openai
import pytest

from polyvec.encoders.encoding import encode
from polyvec.encoders.loading import load
from polyvec.errors import BadInput
from polyvec.search import openai_format
from polyvec.search.dynamic_batching import DynamicBatching
from polyvec.search.index import Index
from polyvec.search.served import Served, is_index, name_of
from polyvec.search.server import Limits, create_app

TEXTS = ["the cat is in the house", "a boat", "query and document", "rain " * 40]


@dataclass
class Hit:
    id: str
    document: str
    title: str
    heading: str
    text: str
    score: float


class WordIndex:
    """An index that finds texts by the words that they share with the query."""

    def __init__(self, model, texts) -> None:
        self.model = model
        self.texts = texts

    def search(self, query, k, mode, where):
        if where and "=" not in where:
            raise BadInput(f"where {where!r}: not a filter")
        words = set(query.split())
        hits = [
            Hit(str(n), f"{n}.md", "Title", "Heading", text, len(words & set(text.split())))
            for n, text in enumerate(self.texts)
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:k]


def client(found, key: str = "-") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{found.address}/v1", api_key=key, max_retries=0)


def post(found, body, **options) -> httpx.Response:
    return httpx.post(f"{found.address}/v1/embeddings", json=body, timeout=20, **options)


def test_the_client_of_openai(start, tiny_model) -> None:
    found = start()
    expected = encode(tiny_model(), TEXTS, normalize=True)
    asked = client(found)
    assert [model.id for model in asked.models.list()] == ["tiny"]
    answer = asked.embeddings.create(input=TEXTS, model="tiny")  # asks for base64
    vectors = np.array([row.embedding for row in answer.data])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert [row.index for row in answer.data] == [0, 1, 2, 3]
    tokens = tiny_model().tokenizer(TEXTS, truncation=True, max_length=64)["input_ids"]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(len, tokens))
    one = asked.embeddings.create(input=TEXTS[0], model="tiny", encoding_format="float")
    np.testing.assert_allclose(one.data[0].embedding, expected[0], atol=1e-5)


def test_fewer_dimensions_are_cut_and_scaled(start, tiny_model) -> None:
    answer = client(start()).embeddings.create(input=TEXTS, model="tiny", dimensions=8)
    vectors = np.array([row.embedding for row in answer.data])
    expected = encode(tiny_model(), TEXTS)[:, :8]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_input_type_takes_the_prompt(start, tiny_model) -> None:
    found = start()
    model = found.served[0].batching.model
    assert model.prompts == {"query": "", "document": ""} or not any(model.prompts.values())
    found.served[0].batching.close()
    model.prompts = {"query": "search query: "}
    found.served[0].batching = DynamicBatching(model)
    asked = client(found).embeddings
    plain = asked.create(input="a boat", model="tiny")
    query = asked.create(input="a boat", model="tiny", extra_body={"input_type": "query"})
    written = asked.create(input="search query: a boat", model="tiny")
    assert query.data[0].embedding == pytest.approx(written.data[0].embedding, abs=1e-5)
    assert query.usage.prompt_tokens == written.usage.prompt_tokens > plain.usage.prompt_tokens


def test_requests_join_in_batches(start, tiny_model) -> None:
    found = start(queue={"max_wait_ms": 200})
    expected = encode(tiny_model(), TEXTS * 4, normalize=True)
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda text: post(found, {"input": text, "model": "tiny"}), TEXTS * 4)
        )
    vectors = np.array([answer.json()["data"][0]["embedding"] for answer in answers])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    page = httpx.get(f"{found.address}/metrics").text
    assert 'polyvec_requests_total{path="/v1/embeddings",status="200"} 16.0' in page
    assert 'polyvec_texts_total{model="tiny"} 16.0' in page
    assert 'polyvec_queue_length{model="tiny"} 0.0' in page
    batches = float(page.split('polyvec_batch_texts_count{model="tiny"} ')[1].split()[0])
    assert batches < 16


@pytest.mark.parametrize(
    ("body", "status", "param", "sentence"),
    [
        (
            {"input": "a", "model": "other"},
            404,
            "model",
            "no model is called 'other'; served: tiny",
        ),
        ({"input": "a", "model": "tiny", "dimensions": 33}, 400, "dimensions", "give 1 to 32"),
        ({"input": "a", "model": "tiny", "dimensions": 0}, 400, "dimensions", "give 1 to 32"),
        ({"input": [], "model": "tiny"}, 400, "input", "give at least one text"),
        ({"input": ["a", ""], "model": "tiny"}, 400, "input", "text 1 of input is empty"),
        ({"input": [None], "model": "tiny"}, 400, "input", "a list of texts"),
        ({"input": [True], "model": "tiny"}, 400, "input", "a list of texts"),
        ({"input": ["a", 1], "model": "tiny"}, 400, "input", "a list of texts"),
        ({"input": "\ud800", "model": "tiny"}, 400, "input", "half of a surrogate pair"),
        ({"input": ["a"] * 9, "model": "tiny"}, 413, "input", "send at most 8 at once"),
        ({"input": "a" * 101, "model": "tiny"}, 413, "input", "send at most 100 at once"),
        ({"input": "a" * 9000, "model": "tiny"}, 413, None, "more than 8,000 bytes"),
        ({"input": [[1, 2], [3]], "model": "tiny"}, 400, "input", "check_embedding_ctx_length"),
        ({"input": "a"}, 400, "model", "field required"),
        ({"model": "tiny"}, 400, "input", "field required"),
        ({"input": "a", "model": "tiny", "encoding_format": "x"}, 400, "encoding_format", "float"),
        ({"input": "a", "model": "tiny", "input_type": "x"}, 400, "input_type", "query"),
        ([1], 400, None, "JSON object"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_answered(start, monkeypatch, body, status, param, sentence) -> None:
    monkeypatch.setattr(openai_format, "_cl100k", lambda: None)
    found = start(limits=Limits(texts=8, characters=100, body=8000))
    content = json.dumps(body)
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{found.address}/v1/embeddings", content=content, headers=headers)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["param"] == param
    assert sentence in error["message"]
    assert error["type"] == "invalid_request_error"


def test_bodies_that_are_no_json(start) -> None:
    found = start(limits=Limits(body=1000))
    url = f"{found.address}/v1/embeddings"
    headers = {"Content-Type": "application/json"}
    bad = httpx.post(url, content='{"input": ', headers=headers)
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "bad_json")
    form = httpx.post(url, content='{"input": "a", "model": "tiny"}')
    assert form.status_code == 400
    assert "Content-Type: application/json" in form.json()["error"]["message"]
    # Sent in chunks, without a length.
    streamed = httpx.post(url, content=iter([b" " * 900, b" " * 900]), headers=headers)
    assert (streamed.status_code, streamed.json()["error"]["code"]) == (413, "body_too_large")
    assert httpx.get(url).status_code == 405
    assert "error" in httpx.get(f"{found.address}/nothing").json()


def test_errors_are_those_of_the_client(start) -> None:
    found = start(keys=["secret", "other"])
    with pytest.raises(openai.NotFoundError):
        client(found, "other").embeddings.create(input="a", model="gpt")
    with pytest.raises(openai.AuthenticationError, match="no valid API key"):
        client(found, "wrong").models.list()


def test_keys(start) -> None:
    found = start(keys=["secret"])
    for path in ("/v1/models", "/metrics", "/search?q=a", "/nothing"):
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic secret"}):
            answer = httpx.get(found.address + path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        answer = httpx.get(found.address + path, headers={"Authorization": "bearer secret"})
        assert answer.status_code != 401
    for path in ("/", "/healthz", "/openapi.json"):
        assert httpx.get(found.address + path).status_code == 200


def test_a_full_queue_is_429(start, until) -> None:
    found = start(queue={"max_queue": 2})
    batching, go = found.served[0].batching, threading.Event()
    batching.call(lambda: go.wait(20))
    until(lambda: batching.waiting == 0)
    waiting = batching.submit(["a"] * 3)
    with pytest.raises(openai.RateLimitError) as limited:
        client(found).embeddings.create(input="a", model="tiny")
    assert int(limited.value.response.headers["Retry-After"]) >= 1
    assert limited.value.code == "queue_full"
    go.set()
    waiting.result(20)
    assert post(found, {"input": "a", "model": "tiny"}).status_code == 200


def test_a_client_that_leaves_is_forgotten(start, until) -> None:
    found = start()
    batching, go = found.served[0].batching, threading.Event()
    batching.call(lambda: go.wait(20))
    until(lambda: batching.waiting == 0)
    body = json.dumps({"input": ["a"] * 5, "model": "tiny"})
    host, port = found.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"POST /v1/embeddings HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        until(lambda: batching.waiting == 5)
    until(lambda: batching.waiting == 0)
    until(lambda: found.gate.in_flight == 0)
    go.set()


def test_a_text_that_fails_is_named(start) -> None:
    found = start()
    model = found.served[0].batching.model
    sound = model.preprocess

    def preprocess(inputs, **options):
        if "bad" in inputs:
            raise ValueError("/secret/path")
        return sound(inputs, **options)

    model.preprocess = preprocess
    answer = post(found, {"input": ["a", "bad"], "model": "tiny"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "text 1 of input cannot be encoded (ValueError)"


def test_token_ids_become_their_text(start, tiny_model, cl100k) -> None:
    asked = client(start()).embeddings
    answer = asked.create(input=[cl100k("a boat"), cl100k("a cat")], model="tiny")
    expected = encode(tiny_model(), ["a boat", "a cat"], normalize=True)
    np.testing.assert_allclose([row.embedding for row in answer.data], expected, atol=1e-5)
    one = asked.create(input=cl100k("a cat"), model="tiny")
    np.testing.assert_allclose(one.data[0].embedding, expected[1], atol=1e-5)


def test_token_ids_may_be_cut_within_a_character(cl100k) -> None:
    ids = cl100k("a 😀")
    assert openai_format.texts_of([ids, ids[:-1]]) == ["a 😀", "a"]
    for wrong in (-1, 100_256, 2**40, 2**200):
        with pytest.raises(openai_format.Refused, match="none of cl100k_base"):
            openai_format.texts_of([wrong])


def test_search(start, tiny_model) -> None:
    found = start(("first", "second"), WordIndex(tiny_model(), TEXTS))
    url = f"{found.address}/search"
    answer = httpx.get(url, params={"q": "the boat", "k": 2}).json()
    assert [hit["text"] for hit in answer["hits"]] == TEXTS[:2]
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2]
    assert (answer["model"], answer["mode"], answer["reordered"]) == ("first", "hybrid", False)
    second = httpx.get(url, params={"q": "the boat", "model": "second"}).json()
    assert second["reordered"]
    vectors = encode(tiny_model(), ["the boat", *TEXTS], normalize=True)
    expected = np.argsort(-(vectors[1:] @ vectors[0]))
    assert [hit["id"] for hit in second["hits"]] == [str(n) for n in expected]
    for params, status, sentence in (
        ({"q": "a", "where": "nonsense"}, 400, "where 'nonsense': not a filter"),
        ({"q": " "}, 400, "q is blank"),
        ({}, 400, "q: field required"),
        ({"q": "a", "k": 101}, 400, "k: "),
        ({"q": "a", "mode": "magic"}, 400, "mode: "),
        ({"q": "a", "model": "third"}, 404, "served: first, second"),
    ):
        refused = httpx.get(url, params=params)
        assert refused.status_code == status
        assert sentence in refused.json()["error"]["message"]
    entries = httpx.get(f"{found.address}/v1/models").json()["data"]
    assert [(entry["id"], entry["dimensions"]) for entry in entries] == [
        ("first", 32),
        ("second", 32),
    ]


def test_a_model_that_reads_texts_of_any_length(live, model) -> None:
    batching = DynamicBatching(load(str(model)))
    assert batching.model.max_seq_length == float("inf")
    found = live(create_app([Served("bag", batching)]))
    [entry] = httpx.get(f"{found.address}/v1/models").json()["data"]
    assert entry["max_tokens"] is None


def test_nothing_to_search(start) -> None:
    answer = httpx.get(f"{start().address}/search", params={"q": "a"})
    assert answer.status_code == 404
    assert "polyvec serve INDEX" in answer.json()["error"]["message"]


def test_openapi_has_examples_and_no_422(start) -> None:
    schema = httpx.get(f"{start().address}/openapi.json").json()
    responses = schema["paths"]["/v1/embeddings"]["post"]["responses"]
    assert "422" not in responses
    assert {"200", "400", "401", "404", "413", "429", "503"} <= set(responses)
    properties = schema["components"]["schemas"]["EmbeddingRequest"]["properties"]
    assert all("examples" in properties[name] for name in ("input", "model", "dimensions"))


def test_the_page_loads_nothing_from_elsewhere(start) -> None:
    answer = httpx.get(f"{start().address}/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert 'id="key"' not in answer.text
    assert 'id="key"' in httpx.get(f"{start(keys=['secret']).address}/").text


def test_draining_refuses_what_is_new(start, until) -> None:
    found = start()
    batching, go = found.served[0].batching, threading.Event()
    batching.call(lambda: go.wait(20))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, found, {"input": "a", "model": "tiny"})
        until(lambda: found.gate.in_flight == 1)
        found.server.handle_exit(15, None)
        refused = post(found, {"input": "a", "model": "tiny"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert httpx.get(f"{found.address}/healthz").json() == {"status": "draining"}
        go.set()
        assert answer.result(20).status_code == 200
    until(lambda: not batching.is_alive)


def test_health_tells_when_a_thread_ended(start) -> None:
    found = start()
    assert httpx.get(f"{found.address}/healthz").json() == {"status": "ok"}
    found.served[0].batching.close()
    assert httpx.get(f"{found.address}/healthz").status_code == 503
    assert post(found, {"input": "a", "model": "tiny"}).status_code == 503


def test_names(tmp_path, tiny_model) -> None:
    batching = DynamicBatching(tiny_model())
    with pytest.raises(BadInput, match="two models are called 'a'"):
        create_app([Served("a", batching), Served("a", batching)])
    batching.close()
    with pytest.raises(BadInput, match="nothing to serve"):
        create_app([])
    (tmp_path / "law" / "model").mkdir(parents=True)
    assert name_of(str(tmp_path / "law" / "model")) == "law"
    (tmp_path / "law" / "model" / "modules.json").write_text("[]")
    assert not is_index(str(tmp_path / "law" / "model"))


def test_an_index_is_told_from_what_merely_holds_a_model(tmp_path, model, docs) -> None:
    (tmp_path / "adapted" / "model").mkdir(parents=True)
    assert not is_index(str(tmp_path / "adapted"))
    Index.build(tmp_path / "index", str(docs), model=model)
    assert is_index(str(tmp_path / "index"))


def test_base64_is_little_endian_float32(start, tiny_model) -> None:
    answer = post(start(), {"input": "a boat", "model": "tiny", "encoding_format": "base64"}).json()
    vector = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4")
    expected = encode(tiny_model(), ["a boat"], normalize=True)[0]
    np.testing.assert_allclose(vector, expected, atol=1e-5)
