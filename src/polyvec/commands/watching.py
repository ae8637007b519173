"""The command that answers standing queries again and again."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyvec.commands.options import Device
from polyvec.errors import BadInput

if TYPE_CHECKING:
    from polyvec.search.digest import Digest
    from polyvec.search.ending import Ending
    from polyvec.search.watching import Mail, Told, Watch

AGAIN_AFTER = timedelta(hours=1)
"""When a round that failed is tried again, where the interval is longer."""


def watch(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.")],
    query: Annotated[
        list[str], typer.Option(help="What to look out for, in words; may be given several times.")
    ],
    every: Annotated[
        str, typer.Option(help="hour, day, week, a time like 90m, 6h or 2d, or once.")
    ] = "day",
    once: Annotated[
        bool, typer.Option("--once", help="Answer once and end, for cron and systemd.")
    ] = False,
    mail: Annotated[
        list[str] | None, typer.Option(help="Whom to mail; may be given several times.")
    ] = None,
    feed: Annotated[
        list[Path] | None,
        typer.Option(help="A .xml (RSS) or .json (JSON Feed) to keep; may be given several times."),
    ] = None,
    update: Annotated[
        list[str] | None,
        typer.Option(help="Bring the index up to date with these documents first, as index build."),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "--k", "-k", help="Near is what is among the k best of the index.  [default: 20]"
        ),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(help="Near is what has at least this cosine; with --k, both must hold."),
    ] = None,
    mode: Annotated[
        str, typer.Option(help="How passages are ranked: hybrid, vectors or words.")
    ] = "hybrid",
    where: Annotated[
        str | None, typer.Option("--filter", help="Only passages that pass this SQL, as in search.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Asked for the first time, tell what is there already.")
    ] = False,
    even_empty: Annotated[
        bool, typer.Option("--even-empty", help="Mail also when nothing is new.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be told, and note nothing.")
    ] = False,
    smtp: Annotated[
        str,
        typer.Option(help="smtp://user@host:587 or smtps://…; password: POLYVEC_SMTP_PASSWORD."),
    ] = "smtp://localhost",
    sender: Annotated[
        str | None, typer.Option("--from", help="Who sends; default: you on this machine.")
    ] = None,
    site: Annotated[
        str, typer.Option(help="Where the documents are: https://wiki.example.org/docs.")
    ] = "",
    keep: Annotated[int, typer.Option(help="Entries to keep in a feed.")] = 200,
    patience: Annotated[
        str, typer.Option(help="How long to try again while the mail server is not ready.")
    ] = "15m",
    state: Annotated[
        Path | None,
        typer.Option(help="File for what was told; default: INDEX.watch.json beside it."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model that built the index; default: found by its name.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Mail, or put into a feed, what is new in an index and near to standing queries.

    Example: `polyvec watch docs.index --query "merge two tables" --update docs/ --mail ada@example.org --every day`.
    The first time nothing is new. It tells nothing twice, and nothing is lost when it is killed or the mail server is
    away. Ctrl-C ends it.
    """
    from polyvec.search.ending import Ending
    from polyvec.search.standing_queries import NEAREST, StandingQuery
    from polyvec.search.watching import Watch, beside, interval, look

    if not (mail or feed or dry_run):
        raise BadInput("nobody to tell; give --mail, --feed or --dry-run")
    pause = None if once else interval(every)
    trying = interval(patience)
    if trying is None:
        raise BadInput(f"patience {patience!r}: give a time like 15m")
    nearest = NEAREST if k is None and least is None else k
    watched = Watch(
        index=index,
        queries=tuple(
            StandingQuery(text, where, mode, nearest, least)  # type: ignore[arg-type]
            for text in query
        ),
        state=state or beside(index),
        mail=_mail(mail, sender, smtp, even_empty) if mail and not dry_run else None,
        feeds=tuple(feed or ()),
        updates=tuple(update or ()),
        model=model,
        device=device,
        site=_site(site),
        all=everything,
        kept=keep,
        patience=trying,
    )
    if dry_run:
        _print(look(watched, _now()))
        return
    with Ending() as ending:
        if pause is None:
            _round(watched, ending)
            return
        try:
            _go_on(watched, pause, ending)
        except KeyboardInterrupt:
            typer.echo("Ended; the same command goes on from here.", err=True)


def _mail(to: list[str], sender: str | None, smtp: str, even_empty: bool) -> Mail:
    from polyvec.search.digest_mail import address, own_address
    from polyvec.search.mail_delivery import PASSWORD, MailServer
    from polyvec.search.watching import Mail

    server = MailServer.from_url(smtp, os.environ.get(PASSWORD, ""))
    addresses = {each.addr_spec: each for each in map(address, to)}
    if sender is None and "@" in server.user:
        sender = server.user
    own = own_address() if sender is None else address(sender)
    return Mail(tuple(addresses.values()), own, server, even_empty)


def _site(address: str) -> str:
    if address and not address.startswith(("https://", "http://")):
        raise BadInput(f"site {address!r}: give an address that starts with https://")
    return address


def _go_on(watched: Watch, pause: timedelta, ending: Ending) -> None:
    from polyvec.search.mail_delivery import Undelivered
    from polyvec.search.watching import due

    following = due(watched, pause, _now())
    proved = False
    while True:
        if following > _now():
            typer.echo(f"Next at {following.astimezone():%Y-%m-%d %H:%M}.", err=True)
        ending.sleep_until(following.timestamp())
        started = _now()
        try:
            _round(watched, ending)
            following, proved = started + pause, True
        except BadInput as error:
            if not (proved or isinstance(error, Undelivered)):
                raise  # what never worked was given wrongly
            typer.echo(f"{started:%Y-%m-%d %H:%M} failed: {error}", err=True)
            following = started + min(pause, AGAIN_AFTER)


def _round(watched: Watch, ending: Ending) -> None:
    from polyvec.search.watching import tell

    now = _now()
    told = tell(watched, now, ending)
    _say(told, now)


def _say(told: Told, now: datetime) -> None:
    by_mail = f"; mailed to {', '.join(told.mailed)}" if told.mailed else ""
    typer.echo(f"{now:%Y-%m-%d %H:%M} {told.digest.subject}{by_mail}")
    for trouble in told.troubles:
        typer.echo(trouble, err=True)


def _print(digest: Digest) -> None:
    typer.echo(f"{digest.subject}\n\n{digest.as_text()}")


def _now() -> datetime:
    return datetime.now().astimezone()
