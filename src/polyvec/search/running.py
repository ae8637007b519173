"""Running the server until it is told to end, and ending it so that nobody loses an answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from polyvec.errors import BadInput
from polyvec.search.gate import Gate


def bind(host: str, port: int) -> socket.socket:
    """Take an address, before anything slow is loaded; nobody can connect until a server listens there.

    Args:
        host: a name or an address of this machine.
        port: 0 takes a free one.

    Raises:
        BadInput: when it is not free, not allowed, or not of this machine.

    Example:
        >>> with bind("127.0.0.1", 0) as taken:
        ...     address_of(taken)[:17]
        'http://127.0.0.1:'
    """
    if not 0 <= port < 2**16:
        raise BadInput(f"port {port}: give 1 to 65535, or 0 for a free one")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"cannot listen at {host}, port {port}: {reason}; give others") from error
    return taken


def address_of(taken: socket.socket) -> str:
    """The address of a bound socket, as a browser takes it."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class DrainingServer(uvicorn.Server):
    """uvicorn, with an end in two steps.

    After SIGTERM or SIGINT new requests get 503 while those in flight are answered; only then are the sockets closed.
    uvicorn alone closes them at once, so that a client which a load balancer still sends here sees a refused connection
    rather than an answer that says to go elsewhere. A second signal ends at once.

    Args:
        gate: what it serves.
        patience: seconds that requests in flight have after the signal.
        on_start: called when it answers.
    """

    def __init__(
        self, gate: Gate, *, patience: float = 30.0, on_start: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                gate,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._gate = gate
        self._patience = patience
        self._on_start = on_start
        self._deadline = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; at once when it is not the first time."""
        if self._gate.draining:
            super().handle_exit(sig, frame)
            return
        self._gate.draining = True
        self._deadline = time.monotonic() + self._patience

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; uvicorn asks ten times a second."""
        finished = self._gate.in_flight == 0 or time.monotonic() > self._deadline
        if self._gate.draining and finished:
            self.should_exit = True
        return await super().on_tick(counter)
