"""The command that serves models and an index over HTTP."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyvec.commands.options import Device
from polyvec.errors import MissingExtra

if TYPE_CHECKING:
    from polyvec.search.metrics import Metrics
    from polyvec.search.served import Served

KEYS = "POLYVEC_API_KEYS"


def serve(
    given: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|INDEX",
            help="Short name (minilm), folder, or name on the hub; or a folder that polyvec index wrote.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 for everybody.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free one.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="What requests call the model; else its folder's name.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="A second MODEL or INDEX, to compare on the page.")
    ] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(help=f"Ask for a key; better given in {KEYS}, commas between."),
    ] = None,
    max_texts: Annotated[int, typer.Option(help="Texts in a request.")] = 2048,
    max_characters: Annotated[int, typer.Option(help="Characters in a request.")] = 2_000_000,
    max_body: Annotated[int, typer.Option(help="Bytes in a request.")] = 16 * 2**20,
    max_queue: Annotated[int, typer.Option(help="Texts that wait; then 429 is answered.")] = 4096,
    max_tokens: Annotated[
        int | None, typer.Option(help="Tokens in a batch; 512 on a cpu, else 8192.")
    ] = None,
    max_wait_ms: Annotated[
        float, typer.Option(help="How long a text waits for company where the model is idle.")
    ] = 2.0,
    batching: Annotated[
        bool, typer.Option(help="Compute texts of several requests together.")
    ] = True,
    normalize: Annotated[bool, typer.Option(help="Scale vectors to length 1.")] = True,
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16, or auto: the faster one that keeps vectors.")
    ] = "auto",
    patience: Annotated[
        float, typer.Option(help="Seconds that requests have to end after SIGTERM.")
    ] = 30.0,
    device: Device = "auto",
) -> None:
    """Serve a model in OpenAI's format, and an index with search and a page.

    Example: `polyvec serve minilm`, then `OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="-")`.
    Ctrl-C ends it when the requests in flight are answered.
    """
    try:
        from polyvec.search.metrics import Metrics
        from polyvec.search.running import DrainingServer, address_of, bind
        from polyvec.search.server import Limits, create_app
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "fastapi", "search") from error

    keys = [*(api_key or []), *re.split(r"[,\s]+", os.environ.get(KEYS, ""))]
    keys = [key for key in keys if key]
    limits = Limits(max_texts, max_characters, max_body)
    metrics = Metrics()
    options = {
        "max_tokens": max_tokens,
        "max_wait_ms": max_wait_ms,
        "max_queue": max_queue,
        "normalize": normalize,
        "precision": precision,
        "batching": batching,
    }
    with bind(host, port) as taken:
        served = [_open(given, name, device, metrics, options)]
        if compare is not None:
            served.append(_open(compare, None, device, metrics, options))
        gate = create_app(served, keys=keys, limits=limits, metrics=metrics)
        greet = partial(_greet, address_of(taken), served, bool(keys), host)
        DrainingServer(gate, patience=patience, on_start=greet).run([taken])


def _open(
    given: str, name: str | None, device: str, metrics: Metrics, options: dict[str, Any]
) -> Served:
    from polyvec.encoders.loading import load
    from polyvec.search.dynamic_batching import DynamicBatching
    from polyvec.search.served import Served, is_index, name_of

    index = kept = None
    if is_index(given):
        from polyvec.search.index import Index
        from polyvec.search.kept_map import KeptMap

        index = Index.open(given)
        kept = KeptMap(given)
    model = load(given, device) if index is None else index.model
    name = name or name_of(given)
    counted = metrics.batches.labels(name).observe
    return Served(name, DynamicBatching(model, on_batch=counted, **options), index, kept)


def _greet(address: str, served: list[Served], keys: bool, host: str) -> None:
    names = " and ".join(each.name for each in served)
    typer.echo(f"Serving {names} at {address}   Page: {address}/   OpenAI: {address}/v1")
    if not keys and host not in ("127.0.0.1", "localhost", "::1"):
        typer.echo(f"Anybody who reaches {host} can use it; {KEYS}=... asks for a key.", err=True)
