"""Commands that make models and use them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from polyvec.commands.options import Address, Device, Engine, Restart, TextColumn, show_table
from polyvec.errors import BadInput


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
    elastic: Annotated[
        bool, typer.Option("--elastic", help="Train six sizes at once, for smaller models later.")
    ] = False,
    pretrain: Annotated[
        str,
        typer.Option(
            help="Learn from the raw documents first: ict,bfs,wlp, retromae, dupmae, smae, prop, mlm or none."
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
        elastic=elastic,
        pretrain=pretrain,
        out=out,
        device=device,
        seed=seed,
        restart=restart,
    )
    show_table(table(result.metrics))
    typer.echo(f"Model: {out / 'model'}   Report: {out / 'report.html'}")


def pretrain(
    objective: Annotated[
        str,
        typer.Argument(
            help="ict, bfs, wlp (with commas between), retromae, dupmae, smae, prop or mlm."
        ),
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


def train(
    plan: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="Stages in TOML or YAML.")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a plan with comments, to begin with.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for model, training.json and curve.png.")
    ] = Path("trained"),
    device: Device = "auto",
    restart: Restart = False,
) -> None:
    """Train a model in stages: raw documents, weak pairs, good pairs, a teacher, a soup.

    Examples: `polyvec train --example > plan.toml`, then `polyvec train plan.toml --out trained`;
    `torchrun --nproc-per-node 2 -m polyvec train plan.toml`.
    The same command continues after an interruption.
    """
    if example:
        from polyvec.training.stage_config import EXAMPLE

        typer.echo(EXAMPLE, nl=False)
        return
    if plan is None:
        raise BadInput("no plan: give a file, or --example to see one")
    from polyvec.adaptation.stage_plan import train as run

    model = run(plan, out=out, device=device, restart=restart)
    typer.echo(f"Model: {model}   How: {out / 'training.json'}   Picture: {out / 'curve.png'}")


def encode(
    model: Annotated[str, typer.Argument(help="Short name (minilm), folder, or name on the hub.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help=".txt (a text a line), .jsonl, .csv, .parquet, or DOCS as in adapt.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="F.parquet (ids and vectors), F.lance or F.npy.")],
    text_column: TextColumn = None,
    float32: Annotated[
        bool,
        typer.Option("--float32", help="For queries of a model that shrink made int8 or binary."),
    ] = False,
    device: Device = "auto",
    restart: Restart = False,
    engine: Engine = "local",
    address: Address = None,
) -> None:
    """Turn texts into vectors.

    Example: `polyvec encode minilm questions.txt --out questions.parquet`, or on a cluster
    `polyvec encode minilm docs/ --out docs.lance --engine ray --address 10.0.0.1:6379`.
    The same command continues after an interruption.
    """
    from polyvec.encoders.encoding import encode_file

    encode_file(
        model,
        source,
        out,
        text_column=text_column,
        device=device,
        quantise=not float32,
        restart=restart,
        engine=engine,
        address=address,
    )
    typer.echo(f"Vectors: {out}")


def shrink(
    model: Annotated[str, typer.Argument(help="Short name (minilm), folder, or name on the hub.")],
    layers: Annotated[int | None, typer.Option(help="Keep the first so many layers.")] = None,
    dims: Annotated[
        int | None, typer.Option(help="Keep the first so many numbers of a vector.")
    ] = None,
    quantise: Annotated[
        str | None, typer.Option(help="int8 or binary: how encode writes this model's vectors.")
    ] = None,
    on: Annotated[
        Path | None,
        typer.Option(help="Exam for all sizes: output folder of adapt, or a BEIR folder."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for model, frontier.json and frontier.png.")
    ] = Path("smaller"),
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 0,
) -> None:
    """Make a smaller model, and show what each size finds, takes and weighs.

    Examples: `polyvec shrink adapted/model --on adapted` measures sizes, and
    `polyvec shrink adapted/model --layers 3 --dims 128 --quantise int8 --on adapted --out smaller` writes one too.
    """
    from polyvec.adaptation.shrink import shrink as run
    from polyvec.evaluation.tables import frontier_table

    found = run(
        model,
        layers=layers,
        dims=dims,
        quantise=quantise,
        on=on,
        out=out,
        device=device,
        seed=seed,
    )
    written = found["written"]
    show_table(frontier_table(found, (written["layers"], written["dims"]) if written else None))
    places = {"Model": "model" if written else "", "Values": "frontier.json"}
    places["Picture"] = "frontier.png" if on else ""
    typer.echo("   ".join(f"{name}: {out / file}" for name, file in places.items() if file))


def merge(
    base: Annotated[str, typer.Option(help="The model that all others were trained from.")],
    model: Annotated[list[str], typer.Option(help="A model to merge; give it for each.")],
    method: Annotated[
        str,
        typer.Option(
            help="slerp, average, task_arithmetic, ties, dare_linear, dare_ties, fisher, regmean, greedy_soup, "
            "cocktail, self_positioning; or one of mergekit's."
        ),
    ] = "slerp",
    weights: Annotated[
        str | None, typer.Option(help="Of the models, with commas between; equal by default.")
    ] = None,
    scale: Annotated[float, typer.Option(help="Factor of what is added to the base.")] = 1.0,
    probe: Annotated[
        Path | None,
        typer.Option(help="Pairs of every task: .jsonl with query, pos and task on each line."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Of self_positioning.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the merged model.")] = Path("merged"),
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Make one model of several that were trained from the same base.

    Example: `polyvec merge --base minilm --model law/model --model code/model --out merged`.
    Prints how the models differ from the base, and draws it in task-vectors.png beside the model.
    """
    from polyvec.adaptation.merge import merge as run
    from polyvec.adaptation.task_vector_report import task_vector_report
    from polyvec.adaptation.task_vectors import task_vectors
    from polyvec.data.training_lines import probe_columns
    from polyvec.encoders.loading import load

    start, models = load(base, device), [load(name, device) for name in model]
    names = _told_apart(model)
    report = task_vector_report(task_vectors(start, models, names=names))
    show_table(report.table())
    options: dict[str, Any] = {} if steps is None else {"steps": steps}
    merged = run(
        start,
        models,
        method,
        weights=_numbers(weights),
        scale=scale,
        probe=probe_columns(probe) if probe else None,
        names=names,
        seed=seed,
        **options,
    )
    merged.save(out)
    report.picture(out / "task-vectors.png")
    typer.echo(f"Model: {out}   Picture: {out / 'task-vectors.png'}")


def mine(
    model: Annotated[str, typer.Argument(help="What ranks: a model, bm25, or hybrid:MODEL.")],
    examples: Annotated[
        Path, typer.Argument(help=".jsonl with query and pos (a list) on each line.")
    ],
    out: Annotated[Path, typer.Option(help=".jsonl with neg and teacher_scores.")],
    corpus: Annotated[Path | None, typer.Option(help="More texts to search, one a line.")] = None,
    ranks: Annotated[str, typer.Option(help="Ranks of candidates, from 0.")] = "10-100",
    n: Annotated[int, typer.Option(help="Negatives of a query.")] = 7,
    rule: Annotated[
        str, typer.Option(help="ratio, margin or none: how near to the positive they may score.")
    ] = "ratio",
    value: Annotated[float, typer.Option(help="The ratio, or the margin.")] = 0.95,
    consistency: Annotated[
        int | None, typer.Option(help="Leave out queries whose positive ranks below this.")
    ] = None,
    index: Annotated[str, typer.Option(help="flat (exact) or hnsw (faster).")] = "flat",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Give training examples hard negatives that are not unmarked answers.

    Example: `polyvec mine minilm pairs.jsonl --corpus texts.txt --out mined.jsonl`; `hybrid:minilm` ranks by words too.
    Prints what was dropped and why; mined.jsonl.report.json keeps it.
    """
    from rich.table import Table

    from polyvec.training.mined_lines import mine_file

    first, _, last = ranks.partition("-")
    if not (first.isdigit() and last.isdigit()):
        raise BadInput(f"--ranks {ranks}: give two numbers with a hyphen between, say 10-100")
    report = mine_file(
        model,
        examples,
        out,
        corpus=corpus,
        ranks=(int(first), int(last)),
        n=n,
        rule=None if rule == "none" else rule,  # type: ignore[arg-type]
        value=value,
        consistency_topk=consistency,
        index=index,  # type: ignore[arg-type]
        device=device,
        seed=seed,
    )
    shown = Table("what became of candidates", "count", title="mined")
    for name, count in report.to_dict().items():
        if name != "thresholds":
            shown.add_row(name.replace("_", " "), str(count))
    show_table(shown)
    typer.echo(f"Examples: {out}   Report: {out}.report.json")


def _told_apart(names: list[str]) -> list[str]:
    """Names without the folders that all of them begin and end with."""
    parts = [name.strip("/").split("/") for name in names]
    while len({part[0] for part in parts}) == 1 and min(len(part) for part in parts) > 1:
        parts = [part[1:] for part in parts]
    while len({part[-1] for part in parts}) == 1 and min(len(part) for part in parts) > 1:
        parts = [part[:-1] for part in parts]
    return ["/".join(part) for part in parts]


def _numbers(written: str | None) -> list[float] | None:
    if written is None:
        return None
    try:
        return [float(part) for part in written.split(",")]
    except ValueError:
        raise BadInput(f"--weights {written}: give numbers with commas between, say 1,2") from None
