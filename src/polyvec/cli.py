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
    pretrain: Annotated[
        str,
        typer.Option(
            help="Learn from the raw documents first: ict,bfs,wlp, retromae, dupmae, prop, mlm or none."
        ),
    ] = "none",
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
        pretrain=pretrain,
        out=out,
        device=device,
        seed=seed,
        restart=restart,
    )
    _print(table(result.metrics))
    typer.echo(f"Model: {out / 'model'}   Report: {out / 'report.html'}")


@app.command()
def pretrain(
    objective: Annotated[
        str,
        typer.Argument(help="ict, bfs, wlp (with commas between), retromae, dupmae, prop or mlm."),
    ],
    corpus: Annotated[str, typer.Argument(help="DOCS as in adapt.")],
    encoder: Annotated[str, typer.Option(help="Model to start from.")] = "minilm",
    minutes: Annotated[float, typer.Option(help="Time for training.")] = 10.0,
    steps: Annotated[int | None, typer.Option(help="Train so many steps instead.")] = None,
    batch: Annotated[int, typer.Option(help="Rows in a step, of each process.")] = 64,
    length: Annotated[int, typer.Option(help="Tokens of a text that are read.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-4,
    text_column: TextColumn = None,
    out: Annotated[Path, typer.Option(help="Folder for model and curve.")] = Path("pretrained"),
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    restart: Restart = False,
) -> None:
    """Make an encoder a retriever out of raw documents, before any pair is learned.

    Examples: `polyvec pretrain ict,bfs,wlp docs/ --out pretrained`;
    `torchrun --nproc-per-node 2 -m polyvec pretrain dupmae docs/ --encoder bert-base-uncased`.
    The same command continues after an interruption.
    """
    from polyvec.training.pretraining import pretrain as run

    model = run(
        objective,
        corpus,
        encoder=encoder,
        minutes=minutes,
        steps=steps,
        batch=batch,
        length=length,
        learning_rate=learning_rate,
        text_column=text_column,
        out=out,
        device=device,
        seed=seed,
        restart=restart,
    )
    typer.echo(f"Model: {model}")


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
    on: Annotated[
        Path | None, typer.Option(help="Output folder of adapt, or a BEIR folder.")
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            help="Suites or tasks with commas between: sts, retrieval, classification, clustering, pairs, reranking, "
            "ner, words, all; or names of mteb's tasks."
        ),
    ] = None,
    head: Annotated[str, typer.Option(help="What tagging learns: linear or bilstm.")] = "linear",
    out: Annotated[
        Path | None,
        typer.Option(help="Write the values as JSON; of suites also a picture beside it."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Examine models: on an exam beside BM25 and hybrid search, or on suites of tasks.

    Examples: `polyvec evaluate minilm adapted/model --on adapted`;
    `polyvec evaluate minilm adapted/model --suite sts,retrieval --out scores.json`.
    """
    from polyvec.evaluation.comparison import evaluate as run
    from polyvec.evaluation.tables import exam_table, in_points, suite_table
    from polyvec.files import write_json

    if (on is None) == (suite is None):
        raise BadInput("give either --on FOLDER or --suite NAMES")
    if suite is None:
        values = run(models, on or Path(), device=device)
        _print(exam_table(values))
        for name, gain in values["gains"].items():
            points = in_points(gain, signed=True)
            typer.echo(f"{name} against {models[0]}: {points} points nDCG@10")
    else:
        kept = out.with_suffix(".tasks") if out else None
        values = run(models, suite, device=device, head=head, kept=kept)  # type: ignore[arg-type]
        _print(suite_table(values))
    if out:
        write_json(out, values)
    if out and suite:
        from polyvec.evaluation.suites.figures import suite_picture

        suite_picture(values, out.with_suffix(".png"))
        typer.echo(f"Values: {out}   Picture: {out.with_suffix('.png')}")


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Recipes to run.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Run all recipes.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
    scale: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    seeds: Annotated[int | None, typer.Option(help="How many; default: the recipe's.")] = None,
    arm: Annotated[
        str | None, typer.Option(help="Run this arm only; no evidence is written.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all evidence.")] = Path("evidence"),
    restart: Restart = False,
) -> None:
    """Run the experiment that decides a paper's claim, and write its evidence.

    Example: `polyvec reproduce finmteb`, then look at evidence/finmteb/cpu.json and cpu.png.
    The same command continues after an interruption.
    """
    from polyvec.recipes.recipe import recipes
    from polyvec.recipes.reproduction import reproduce as run
    from polyvec.recipes.tables import evidence_table

    known = recipes()
    if show:
        for recipe in known:
            minutes = ", ".join(f"{s} {m:g} min" for s, m in recipe.minutes.items())
            typer.echo(f"{recipe.name} ({minutes}): {recipe.claim}")
        return
    wanted = [recipe.name for recipe in known] if every else names
    if not wanted:
        raise BadInput("give the NAME of a recipe, --all, or --list to see which there are")
    for name in wanted:
        evidence = run(name, scale=scale, seeds=seeds, arm=arm, out=out, restart=restart)  # type: ignore[arg-type]
        _print(evidence_table(evidence))
        if evidence["verdict"]:
            typer.echo(f"{name}: {evidence['verdict']}   {out / name / scale}.json")


@app.command()
def methods(
    missing: Annotated[
        bool, typer.Option("--missing", help="Only those without evidence.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    evidence: Annotated[Path, typer.Option(help="Folder of all evidence.")] = Path("evidence"),
) -> None:
    """List the papers that methods come from, with the verdict of their evidence.

    Example: `polyvec methods --missing`.
    """
    from polyvec.recipes.methods import methods as run

    rows = run(evidence, missing=missing)
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        from polyvec.recipes.tables import methods_table

        _print(methods_table(rows))


@app.command()
def complexity(
    sources: Annotated[
        list[str], typer.Argument(metavar="DATA...", help="BEIR folders, or texts as in encode.")
    ],
    out: Annotated[Path | None, typer.Option(help="Write the table as CSV.")] = None,
    sample: Annotated[int, typer.Option(help="Most texts to measure of each kind.")] = 500,
    text_column: TextColumn = None,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
) -> None:
    """Measure how hard texts are: entropy, readability, dependency distance, and what shared words cannot answer.

    Example: `polyvec complexity my-beir-folder questions.txt --out complexity.csv`.
    """
    from polyvec.evaluation.complexity_sources import complexity_table
    from polyvec.evaluation.tables import frame_table
    from polyvec.files import write_text

    table = complexity_table(sources, sample=sample, text_column=text_column, seed=seed)
    _print(frame_table(table, "complexity"))
    for measure, reason in table.attrs["n/a"].items():
        typer.echo(f"{measure}: n/a, {reason}")
    if out:
        write_text(out, table.to_csv(index=False))


@app.command()
def domain_gap(
    results: Annotated[
        Path, typer.Argument(help="CSV with model, dataset, task_type, domain and score.")
    ],
    measures: Annotated[
        Path, typer.Argument(metavar="COMPLEXITY", help="CSV of `polyvec complexity`.")
    ],
    reference: Annotated[str, typer.Option(help="Domain to compare with.")] = "general",
    target: Annotated[
        str | None, typer.Option(help="Domain in question; needed where there are several.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Report; .json and tables stand beside it.")] = Path(
        "domain-gap.html"
    ),
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Tell whether models are bad on a domain, or its test sets are hard.

    Example: `polyvec domain-gap scores.csv complexity.csv --target finance --out gap.html`.
    """
    from polyvec.evaluation.complexity_sources import read_csv
    from polyvec.evaluation.domain_gap import domain_gap as run

    report = run(read_csv(results), read_csv(measures), reference, target=target, seed=seed)
    typer.echo(report.summary())
    report.to_html(out)
    report.to_json(out.with_suffix(".json"))
    report.to_csv(out.with_suffix(""))
    typer.echo(f"Report: {out}")


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
