"""What the server answers to anything that its own description allows, and to much that it does not."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from polyvec.search import openai_format
from polyvec.search.dynamic_batching import DynamicBatching
from polyvec.search.index import Index
from polyvec.search.served import Served
from polyvec.search.server import create_app

schemathesis = pytest.importorskip("schemathesis")

from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.generation import GenerationMode  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = int(os.environ.get("POLYVEC_EXAMPLES", "12"))
"""Requests of each kind to each path; a thousand take minutes."""


@pytest.fixture
def app(request, tmp_path, tiny_model, docs, model, monkeypatch):
    """The application with or without an index, and with or without keys."""
    monkeypatch.setattr(openai_format, "_cl100k", lambda: None)
    with_index, keys = request.param
    index = Index.build(tmp_path / "index", str(docs), model=model) if with_index else None
    batching = DynamicBatching(index.model if index else tiny_model())
    yield create_app([Served("tiny", batching, index)], keys=keys)
    batching.close()


@pytest.mark.parametrize(
    "app",
    [(index, keys) for index in (False, True) for keys in ((), ("secret",))],
    indirect=True,
    ids=str,
)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_the_description_is_true(app, mode) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {one.path for one in operations} >= {"/v1/embeddings", "/v1/models", "/search"}

    @settings(
        max_examples=EXAMPLES * len(operations),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema.as_strategy(generation_mode=mode), key=st.sampled_from([None, "secret"]))
    def check(case, key) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        case.call_and_validate(headers=headers, checks=CHECKS)

    check()
