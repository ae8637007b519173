"""What several commands have in common: options, and printing a table."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps, …")]
TextColumn = Annotated[
    str | None, typer.Option(help="Column with the text in .jsonl, .csv, .tsv and .parquet.")
]
Engine = Annotated[
    str, typer.Option(help="local, or ray: encode on all machines of a Ray cluster (extra scale).")
]
Address = Annotated[
    str | None,
    typer.Option(help="Of the Ray cluster; default: Ray runs on this machine for the time."),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Forget what an earlier run left in the output.")
]


def show_table(renderable: Any) -> None:
    """Print something of rich's on standard output."""
    from rich.console import Console

    Console().print(renderable)
