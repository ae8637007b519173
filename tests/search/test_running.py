"""The command in a process of its own: it says where it listens, and SIGTERM loses no answer."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import polyvec
from polyvec import cli
from polyvec.errors import BadInput
from polyvec.search.running import address_of, bind


@pytest.fixture
def process(tiny_model_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server whose texts wait three seconds for company, and its address."""
    source = str(Path(polyvec.__file__).parents[1])
    path = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
    given = ["serve", str(tiny_model_path), "--port", "0", "--device", "cpu"]
    started = subprocess.Popen(
        [sys.executable, "-m", "polyvec", *given, "--name", "tiny", "--max-wait-ms", "3000"],
        env={**os.environ, "PYTHONPATH": path, "POLYVEC_API_KEYS": "one, two"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        said = started.stdout.readline()
        found = re.match(r"Serving tiny at (http://127.0.0.1:\d+) ", said)
        assert found, said
        yield started, found[1]
    finally:
        started.kill()
        started.communicate()


def test_sigterm_lets_requests_end_and_refuses_new_ones(process) -> None:
    server, address = process
    headers = {"Authorization": "Bearer two"}

    def embed() -> httpx.Response:
        body = {"input": "a boat", "model": "tiny"}
        return httpx.post(f"{address}/v1/embeddings", json=body, headers=headers, timeout=60)

    with ThreadPoolExecutor(1) as pool:
        in_flight = pool.submit(embed)
        waits = 'polyvec_queue_length{model="tiny"} 1.0'
        while waits not in httpx.get(f"{address}/metrics", headers=headers, timeout=60).text:
            assert not in_flight.done()
        server.send_signal(signal.SIGTERM)
        while httpx.get(f"{address}/healthz", timeout=60).status_code == 200:
            assert not in_flight.done()
        refused = embed()
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        answer = in_flight.result(60)
    assert answer.status_code == 200
    assert len(answer.json()["data"][0]["embedding"]) == 32
    assert server.wait(60) == 0
    assert server.stderr is not None
    assert server.stderr.read() == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz")


def test_an_address_that_is_taken() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        host, port = taken.getsockname()
        assert address_of(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(BadInput, match=f"cannot listen at 127.0.0.1, port {port}: "):
            bind(host, port)
    with pytest.raises(BadInput, match=r"cannot listen at no\.such\.host\.invalid"):
        bind("no.such.host.invalid", 0)
    with pytest.raises(BadInput, match="port 99999"):
        bind("127.0.0.1", 99999)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_of_ipv6() -> None:
    try:
        taken = bind("::1", 0)
    except BadInput:
        pytest.skip("no IPv6 loopback here")
    with taken:
        assert address_of(taken) == f"http://[::1]:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["./nothing"], "./nothing: no such folder"),
        (["TINY", "--max-texts", "0"], "limit of texts: give 1 or more"),
        (["TINY", "--max-queue", "0"], "max_queue 0: give 1 or more"),
        (["TINY", "--compare", "TINY"], "two models are called"),
        (["TINY", "--host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    sentence: str,
    tiny_model_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(tiny_model_path) if word == "TINY" else word for word in arguments]
    monkeypatch.setattr("sys.argv", ["polyvec", "serve", "--port", "0", *given])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_missing_extra_is_named(monkeypatch, capsys, tiny_model_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("polyvec.search.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setattr("sys.argv", ["polyvec", "serve", str(tiny_model_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "pip install 'polyvec[search]'" in capsys.readouterr().err
