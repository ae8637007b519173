"""Commands that build an index of documents and search it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from polyvec.commands.options import Address, Device, Engine, Restart, TextColumn, show_table

if TYPE_CHECKING:
    from polyvec.search.index import Changes

Folder = Annotated[
    str, typer.Argument(metavar="PATH", help="Folder of the index, or s3://, gs://, az://.")
]
Source = Annotated[str, typer.Option("--from", metavar="DOCS", help="Documents, as in adapt.")]
Model = Annotated[
    str | None, typer.Option(help="The model that built the index; default: found by its name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

index = typer.Typer(
    name="index",
    help="Make an index of documents, and keep it up to date.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@index.command()
def build(
    path: Folder,
    source: Source,
    model: Annotated[
        str | None, typer.Option(help="Short name, folder, or name on the hub; default: installed.")
    ] = None,
    approximate: Annotated[
        bool | None,
        typer.Option(
            "--approximate/--exact",
            help="Find nearly all of the nearest vectors, faster; default: from 50,000 passages on.",
        ),
    ] = None,
    text_column: TextColumn = None,
    device: Device = "auto",
    restart: Restart = False,
    engine: Engine = "local",
    address: Address = None,
) -> None:
    """Make an index of documents, or bring one up to date with them.

    Example: `polyvec index build docs.index --from docs/ --model adapted/model`.
    Given again it encodes what is new or changed only, and continues after an interruption.
    """
    from polyvec.search.index import Index

    built = Index.build(
        path,
        source,
        model=model,
        text_column=text_column,
        approximate=approximate,
        device=device,
        restart=restart,
        engine=engine,
        address=address,
    )
    if built.changes:
        _tell(built.changes)


@index.command()
def add(
    path: Folder,
    source: Source,
    model: Model = None,
    text_column: TextColumn = None,
    device: Device = "auto",
    engine: Engine = "local",
    address: Address = None,
) -> None:
    """Put more documents into an index; those it holds unchanged are not encoded again.

    Example: `polyvec index add docs.index --from more/`.
    The same command continues after an interruption.
    """
    from polyvec.search.index import Index

    opened = Index.open(path, model=model, device=device)
    _tell(opened.add(source, text_column=text_column, engine=engine, address=address))


@index.command()
def delete(
    path: Folder,
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Id of a document; may be given several times.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Passages to take out, in SQL: source = '/data/old'.")
    ] = None,
) -> None:
    """Take documents, or all passages that pass a filter, out of an index.

    Example: `polyvec index delete docs.index --id guide/old.md`.
    """
    from polyvec.search.index import Index

    typer.echo(f"{Index.open(path).delete(ids or (), where=where)} passages removed")


@index.command()
def info(path: Folder, as_json: AsJson = False) -> None:
    """Show what an index holds, the model that built it, and its versions.

    Example: `polyvec index info docs.index --json`.
    """
    from polyvec.search.index import Index

    facts = Index.open(path).info()
    if as_json:
        _echo_json(facts)
    else:
        from polyvec.search.tables import info_table

        show_table(info_table(facts))


@index.command()
def restore(
    path: Folder,
    version: Annotated[int, typer.Option(help="One of those that polyvec index info lists.")],
) -> None:
    """Bring an older version back as the newest one; those in between stay, too.

    Example: `polyvec index restore docs.index --version 3`.
    """
    from polyvec.search.index import Index

    opened = Index.open(path, version=version)
    opened.restore()
    typer.echo(f"Version {version} is back; it holds {opened.info()['passages']} passages")


def search(
    path: Annotated[
        str, typer.Argument(metavar="INDEX", help="Folder of the index, or s3://, gs://, az://.")
    ],
    query: Annotated[str, typer.Argument(help="What you look for, in words.")],
    k: Annotated[int, typer.Option("--k", "-k", help="Most passages to show.")] = 10,
    mode: Annotated[
        str, typer.Option(help="hybrid, vectors (by meaning) or words (BM25).")
    ] = "hybrid",
    where: Annotated[
        str | None, typer.Option("--filter", help="SQL: document LIKE 'guide/%' AND kind = 'text'.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Ranks and scores by vectors and by words.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare with every vector of an approximate index.")
    ] = False,
    version: Annotated[
        int | None,
        typer.Option(help="An older version of the index; polyvec index info lists them."),
    ] = None,
    as_json: AsJson = False,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Search an index by vectors and words together.

    Example: `polyvec search docs.index "merge two tables" --k 5 --explain`.
    """
    from polyvec.search.index import Index

    opened = Index.open(path, model=model, device=device, version=version)
    hits = opened.search(query, k, mode, where, exact=exact)  # type: ignore[arg-type]
    if as_json:
        from dataclasses import asdict

        _echo_json([asdict(hit) for hit in hits])
        return
    from polyvec.search.tables import explanation_table, passages_shown

    show_table(passages_shown(hits, query))
    if explain:
        show_table(explanation_table(hits))


def _tell(changes: Changes) -> None:
    typer.echo(
        f"{changes.added} documents added, {changes.changed} changed, {changes.removed} removed, "
        f"{changes.unchanged} as they were; {changes.encoded} passages encoded"
    )
    if changes.skipped:
        first = changes.skipped[0]
        typer.echo(
            f"{len(changes.skipped)} left out, the first: {first.where}: {first.reason}", err=True
        )


def _echo_json(content: object) -> None:
    import json

    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
