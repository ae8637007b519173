"""A live server on 127.0.0.1, with the tiny model, in a thread of the test's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from polyvec.search.gate import Gate
from polyvec.search.running import DrainingServer, address_of, bind


@dataclass
class Live:
    """A server that runs, and where."""

    address: str
    gate: Gate
    server: DrainingServer


@pytest.fixture
def live() -> Iterator[Callable[[Gate], Live]]:
    """A function that runs an application until the test ends."""
    running: list[tuple[DrainingServer, threading.Thread]] = []

    def run(gate: Gate) -> Live:
        started = threading.Event()
        server = DrainingServer(gate, on_start=started.set, patience=5)
        taken = bind("127.0.0.1", 0)
        address = address_of(taken)
        thread = threading.Thread(target=server.run, args=([taken],), daemon=True)
        thread.start()
        running.append((server, thread))
        assert started.wait(20)
        return Live(address, gate, server)

    yield run
    for server, thread in running:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """A function that waits until something is so, at most ten seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not become so"
            time.sleep(0.01)

    return wait
