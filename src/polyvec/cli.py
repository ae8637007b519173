"""The command line: each command parses, calls one function of a room, and prints what it returns."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from polyvec.errors import BadInput

app = typer.Typer(
    name="polyvec",
    help="Learn, adapt, examine and use embedding models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps, …")]
TextColumn = Annotated[
    str | None, typer.Option(help="Column with the text in .jsonl, .csv, .tsv and .parquet.")
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Forget what an earlier run left in the output.")
]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Learn, adapt, examine and use embedding models."""
    if show:
        from polyvec import __version__

        typer.echo(f"polyvec {__version__}")
        raise typer.Exit


@app.command()
def adapt(
    documents: Annotated[
        str,
        typer.Argument(
            metavar="DOCS",
            help="Folder, file, glob, BEIR folder, Hugging Face data set, or python:numpy,scipy (installed "
            "packages; python: takes all).",
        ),
    ],
    base: Annotated[
        str | None, typer.Option(help="Model to start from; default: the best one installed.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Time for training; reading and exams come on top.")
    ] = 10.0,
    queries: Annotated[
        Path | None, typer.Option(help="Your own queries: .jsonl (_id, text) or .tsv.")
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="Documents that answer them: BEIR or TREC format.")
    ] = None,
    retain: Annotated[
        Path | None, typer.Option(help="BEIR folder whose queries must not get worse.")
    ] = None,
    text_column: TextColumn = None,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-4,
    hard_negatives: Annotated[
        int, typer.Option(help="Hardest wrong answers that each pair meets in its batch, 0 to 15.")
    ] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for model, metrics.json and report.html.")
    ] = Path("adapted"),
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    restart: Restart = False,
) -> None:
    """Adapt a model to documents without labels, and prove whether it got better.

    Example: `polyvec adapt docs/ --minutes 10 --out adapted`, then open adapted/report.html.
    The same command continues after an interruption.
    """
    from polyvec.adaptation.pipeline import adapt as run
    from polyvec.adaptation.report import table

    result = run(
        documents,
        base=base,
        minutes=minutes,
        queries=queries,
        qrels=qrels,
        retain=retain,
        text_column=text_column,
        learning_rate=learning_rate,
        hard_negatives=hard_negatives,
        out=out,
        device=device,
        seed=seed,
        restart=restart,
    )
    _print(table(result.metrics))
    typer.echo(f"Model: {out / 'model'}   Report: {out / 'report.html'}")


@app.command()
def encode(
    model: Annotated[str, typer.Argument(help="Short name (minilm), folder, or name on the hub.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help=".txt (a text a line), .jsonl, .csv, .parquet, or DOCS as in adapt.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="F.parquet (ids and vectors) or F.npy.")],
    text_column: TextColumn = None,
    device: Device = "auto",
    restart: Restart = False,
) -> None:
    """Turn texts into vectors.

    Example: `polyvec encode minilm questions.txt --out questions.parquet`.
    The same command continues after an interruption.
    """
    from polyvec.encoders.encoding import encode_file

    encode_file(model, source, out, text_column=text_column, device=device, restart=restart)
    typer.echo(f"Vectors: {out}")


@app.command()
def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="One model, or several to compare.")
    ],
    on: Annotated[Path, typer.Option(help="Output folder of adapt, or a BEIR folder.")],
    out: Annotated[Path | None, typer.Option(help="Write the values as JSON.")] = None,
    device: Device = "auto",
) -> None:
    """Examine models beside BM25 and hybrid search.

    Example: `polyvec evaluate minilm adapted/model --on adapted`.
    """
    from polyvec.evaluation.comparison import evaluate as run
    from polyvec.files import write_json

    values = run(models, on, device=device)
    if out:
        write_json(out, values)
    _print(_comparison(values))
    for name, gain in values["gains"].items():
        typer.echo(
            f"{name} against {models[0]}: {100 * gain['value']:+.1f} points nDCG@10 "
            f"[{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"
        )


def _comparison(values: dict[str, Any]) -> Any:
    from rich.table import Table

    from polyvec.evaluation.retrieval_metrics import METRICS

    table = Table(title=f"{values['on']}: mean over {len(values['tasks'])} task(s)")
    table.add_column("system")
    for metric in METRICS:
        table.add_column(metric, justify="right")
    for system, scores in values["mean"].items():
        table.add_row(system, *(f"{100 * scores[metric]:.1f}" for metric in METRICS))
    return table


def _print(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit code 2."""
    try:
        app()
    except BadInput as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("Interrupted; the same command continues from here.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(
            f"{where}{error.strerror}; mend that and give the same command again, what is done is kept"
        )


def _fail(sentence: str) -> NoReturn:
    print(f"polyvec: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(2)
