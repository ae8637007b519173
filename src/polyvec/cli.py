"""The command line: which commands there are, and what becomes of bad input."""

from __future__ import annotations

import errno
import sys
from typing import Annotated, NoReturn

import typer

from polyvec.commands.judging import complexity, domain_gap, evaluate, methods, reproduce
from polyvec.commands.mapping import draw
from polyvec.commands.models import adapt, encode, merge, mine, pretrain, shrink, train
from polyvec.commands.searching import index, search
from polyvec.commands.serving import serve
from polyvec.commands.watching import watch
from polyvec.errors import BadInput

app = typer.Typer(
    name="polyvec",
    help="Learn, adapt, examine and use embedding models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (
    *(adapt, pretrain, mine, train, merge, shrink, encode),
    *(search, serve, watch),
    *(evaluate, reproduce, methods, complexity, domain_gap),
):
    app.command()(command)
app.add_typer(index)
app.command("map")(draw)  # a function called map would hide Python's


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Learn, adapt, examine and use embedding models."""
    if show:
        from polyvec import __version__

        typer.echo(f"polyvec {__version__}")
        raise typer.Exit


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
