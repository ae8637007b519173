"""The command that draws an index as a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyvec.errors import BadInput

if TYPE_CHECKING:
    from polyvec.search.document_map import DocumentMap


def draw(
    path: Annotated[str, typer.Argument(metavar="INDEX", help="Folder of the index, or its URL.")],
    out: Annotated[Path, typer.Option(help="The page: one file that loads nothing.")] = Path(
        "map.html"
    ),
    png: Annotated[Path | None, typer.Option(help="A picture of it beside.")] = None,
    where: Annotated[
        str | None,
        typer.Option("--filter", "--where", help="SQL, as in search: document LIKE 'guide/%'."),
    ] = None,
    most: Annotated[
        int, typer.Option(help="Passages on it; of more, so many are drawn by chance.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="The same one gives the same map.")] = 0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Only keep it in INDEX, where polyvec serve looks.")
    ] = False,
) -> None:
    """Draw the passages of an index as a map with the names of its topics.

    Example: `polyvec map docs.index --out map.html --png map.png`.
    The page shows a passage under the pointer, pins it at a click, and finds words.
    """
    if keep:
        if where:
            raise BadInput("--keep keeps the map of a whole index; leave --filter out")
        from polyvec.search.kept_map import keep_map

        typer.echo(f"Kept {keep_map(path)}")
        return
    from polyvec.files import write_text
    from polyvec.search.document_map import draw_map
    from polyvec.search.map_page import map_page

    drawn = draw_map(path, where=where, seed=seed, most=most)
    write_text(out, map_page(drawn))
    if png:
        from polyvec.search.map_picture import map_picture

        map_picture(drawn, png)
    _tell(drawn, [file for file in (out, png) if file])


def _tell(drawn: DocumentMap, files: list[Path]) -> None:
    for number, topic in enumerate(drawn.topics):
        if topic.large == number:
            typer.echo(f"{topic.passages:>7,}  {topic.label}")
    some = f" of {drawn.of:,}" if drawn.of > len(drawn.rows) else ""
    typer.echo(f"{len(drawn.rows):,}{some} passages on {' and '.join(map(str, files))}")
