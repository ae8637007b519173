"""What dynamic batching is worth under load: many clients at once, with it and without it.

Two servers are started on 127.0.0.1 with the same model, one of which computes each request by itself. They are loaded
in turn, by clients that each keep one connection and send the next text when the last one is answered. Clients and
servers share the processor, which costs both the same; what each took of it is told. Texts are first paragraphs of
docstrings of this machine.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from polyvec.recipes.measuring import commit, machine, versions

MODES = {"dynamic batching": "--batching", "one by one": "--no-batching"}


@dataclass
class Load:
    """What clients saw in all rounds with one server."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    server_processor: float = 0.0
    client_processor: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0


def main() -> None:
    options = _options()
    texts = _paragraphs(2000, options.seed)
    servers = {mode: _start(options.model, options.device, flag) for mode, flag in MODES.items()}
    loads = {mode: Load() for mode in MODES}
    try:
        ports = {mode: _port(server) for mode, server in servers.items()}
        for port in ports.values():  # the first requests pay for memory and kernels
            asyncio.run(_clients(port, texts, options, options.warm_up, Load()))
        for _ in range(options.rounds):
            for mode, port in ports.items():
                ours, its = _processor_seconds(os.getpid()), _processor_seconds(servers[mode].pid)
                asyncio.run(_clients(port, texts, options, options.seconds, loads[mode]))
                loads[mode].client_processor += _processor_seconds(os.getpid()) - ours
                loads[mode].server_processor += _processor_seconds(servers[mode].pid) - its
    finally:
        for server in servers.values():
            server.send_signal(signal.SIGTERM)
        for server in servers.values():
            server.wait(60)
    Console(width=110).print(_table(loads, options))
    with_it, without = (loads[mode].rate for mode in MODES)
    if without:
        print(f"requests a second, dynamic batching to one by one: {with_it / without:.2f}x")
    for mode, load in loads.items():
        if load.errors:
            print(f"{mode}: {len(load.errors)} errors, the first: {load.errors[0]}")
    options.out.write_text(json.dumps(_report(loads, options), default=str) + "\n")
    sys.exit(any(load.errors for load in loads.values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=15, help="of each round with each server")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds before that")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def _paragraphs(count: int, seed: int) -> list[str]:
    """First paragraphs of the docstrings of the installed packages: some 5 to 50 words each."""
    files = sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))
    random.Random(seed).shuffle(files)
    texts: dict[str, None] = {}
    for file in files:
        try:
            tree = ast.parse(file.read_text("utf-8"))
        except (OSError, ValueError, SyntaxError):
            continue
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
        first = (docstring.split("\n\n")[0].strip() for docstring in found if docstring)
        texts |= dict.fromkeys(text for text in first if text)
        if len(texts) >= count:
            break
    return list(texts)[:count]


def _start(model: str, device: str, flag: str) -> subprocess.Popen[str]:
    given = [model, "--name", "model", "--device", device, "--port", "0", flag]
    unlocked = {name: value for name, value in os.environ.items() if name != "POLYVEC_API_KEYS"}
    return subprocess.Popen(
        [sys.executable, "-m", "polyvec", "serve", *given],
        stdout=subprocess.PIPE,
        text=True,
        env=unlocked,
    )


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    said = server.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
    if not found:
        raise SystemExit("the server did not start")
    return int(found[1])


def _processor_seconds(process: int) -> float:
    times = psutil.Process(process).cpu_times()
    return times.user + times.system


async def _clients(
    port: int, texts: list[str], options: argparse.Namespace, seconds: float, load: Load
) -> None:
    started = time.perf_counter()
    end = started + seconds
    await asyncio.gather(
        *(_client(port, texts, options.seed + n, end, load) for n in range(options.clients))
    )
    load.seconds += time.perf_counter() - started


async def _client(port: int, texts: list[str], seed: int, end: float, load: Load) -> None:
    draw = random.Random(seed)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked := time.perf_counter()) < end:
            body = json.dumps(
                {"input": draw.choice(texts), "model": "model", "encoding_format": "base64"}
            ).encode()
            status = await asyncio.wait_for(_ask(reader, writer, body), 60)
            if status == 200:
                load.latencies.append(time.perf_counter() - asked)
            else:
                load.errors.append(f"status {status}")
        writer.close()
        await writer.wait_closed()
    except (OSError, ValueError, EOFError, TimeoutError) as error:
        load.errors.append(f"{type(error).__name__}: {error}")


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """Status of one request. By hand, because a client library would take more time than the server."""
    head = (
        "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    await reader.readexactly(length)
    return int(lines[0].split()[1])


def _table(loads: dict[str, Load], options: argparse.Namespace) -> Table:
    table = Table(
        title=f"{options.clients} clients, one text a request, {options.model} on {options.device}, "
        f"{options.rounds} rounds of {options.seconds:g} s"
    )
    table.add_column("server", no_wrap=True)
    columns = ("requests", "errors", "requests/s", "p50 ms", "p99 ms", "server ms", "client ms")
    for column in columns:
        table.add_column(column, justify="right")
    for mode, load in loads.items():
        half, most = (
            (f"{1000 * np.percentile(load.latencies, p):.0f}" for p in (50, 99))
            if load.latencies
            else ("-", "-")
        )
        counts = (f"{len(load.latencies)}", f"{len(load.errors)}", f"{load.rate:.1f}")
        spent = (load.server_processor, load.client_processor)  # for one request
        each = (f"{1000 * s / max(1, len(load.latencies)):.1f}" for s in spent)
        table.add_row(mode, *counts, half, most, *each)
    return table


def _report(loads: dict[str, Load], options: argparse.Namespace) -> dict[str, object]:
    return {
        "commit": commit(),
        "versions": versions("fastapi", "uvicorn"),
        "machine": machine(options.device),
        **{**vars(options), "out": None},
        "results": {
            mode: {
                "requests_per_second": load.rate,
                "seconds": load.seconds,
                "server_processor_seconds": load.server_processor,
                "client_processor_seconds": load.client_processor,
                "latencies": [round(latency, 4) for latency in load.latencies],
                "errors": load.errors,
            }
            for mode, load in loads.items()
        },
    }


if __name__ == "__main__":
    main()
