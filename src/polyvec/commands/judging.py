"""Commands that judge: models, methods, and data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyvec.commands.options import Device, Restart, TextColumn, show_table
from polyvec.errors import BadInput


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
        show_table(exam_table(values))
        for name, gain in values["gains"].items():
            points = in_points(gain, signed=True)
            typer.echo(f"{name} against {models[0]}: {points} points nDCG@10")
    else:
        kept = out.with_suffix(".tasks") if out else None
        values = run(models, suite, device=device, head=head, kept=kept)  # type: ignore[arg-type]
        show_table(suite_table(values))
    if out:
        write_json(out, values)
    if out and suite:
        from polyvec.evaluation.suites.figures import suite_picture

        suite_picture(values, out.with_suffix(".png"))
        typer.echo(f"Values: {out}   Picture: {out.with_suffix('.png')}")


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
    from polyvec.recipes.tables import evidence_tables

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
        for table in evidence_tables(evidence):
            show_table(table)
        if evidence["verdict"]:
            typer.echo(f"{name}: {evidence['verdict']}   {out / name / scale}.json")


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

        show_table(methods_table(rows))


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
    show_table(frame_table(table, "complexity"))
    for measure, reason in table.attrs["n/a"].items():
        typer.echo(f"{measure}: n/a, {reason}")
    if out:
        write_text(out, table.to_csv(index=False))


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
