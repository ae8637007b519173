"""A watch: standing queries that are answered over and over, and the news delivered by mail and as feeds.

Nothing is lost: what was told is written down only after it was delivered. A process that is killed in between tells it
again, in a mail with the same Message-ID; feeds know what they hold, and tell it once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email import message_from_string
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path

from polyvec.errors import BadInput
from polyvec.search.digest import Digest
from polyvec.search.digest_mail import address, compose
from polyvec.search.ending import Ending
from polyvec.search.feeds import KEPT, check_feed, update_feed
from polyvec.search.index import Index
from polyvec.search.known_texts import KnownTexts
from polyvec.search.mail_delivery import MailServer, Undelivered, deliver
from polyvec.search.standing_queries import StandingQuery, answer
from polyvec.search.watch_state import Owed, WatchState, alone_with

PATIENCE = timedelta(minutes=15)
"""How long a mail is tried again in one round, where nothing else is said."""

_GIVEN_UP_AFTER = timedelta(days=5)
"""So long do mail servers try, too."""
_NAMED = {"hour": "1h", "day": "1d", "week": "1w"}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Mail:
    """Whom digests go to by mail.

    Attributes:
        to: all who get them, in one mail.
        sender: who sends them.
        server: where they are handed in.
        even_empty: also when nothing is new.
    """

    to: tuple[Address, ...]
    sender: Address
    server: MailServer
    even_empty: bool = False

    @property
    def specs(self) -> tuple[str, ...]:
        """The bare addresses."""
        return tuple(each.addr_spec for each in self.to)


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched, and who is told.

    Attributes:
        index: folder of the index.
        queries: at least one, none twice.
        state: file for what was told; `beside` the index where nothing else is said.
        mail: None: nobody is mailed.
        feeds: files.
        updates: sources that the index is brought up to date with first.
        model: as for `Index.open`.
        device: as for `polyvec.load`.
        site: address where the documents are found by their ids.
        all: tell what the index holds already, when a query is asked for the first time.
        kept: entries of a feed.
        patience: time to spend on waiting for the mail server in one round.

    Raises:
        BadInput: when there is no query, one is given twice, or a feed cannot be written.
    """

    index: Path
    queries: tuple[StandingQuery, ...]
    state: Path
    mail: Mail | None = None
    feeds: tuple[Path, ...] = ()
    updates: tuple[str, ...] = ()
    model: str | None = None
    device: str = "auto"
    site: str = ""
    all: bool = False
    kept: int = KEPT
    patience: timedelta = PATIENCE

    def __post_init__(self) -> None:
        if not self.queries:
            raise BadInput("nothing to watch for; give a query")
        if len({query.text for query in self.queries}) < len(self.queries):
            raise BadInput("a query is given twice")
        if self.kept < 1:
            raise BadInput(f"{self.kept} entries in a feed: give 1 or more")
        for feed in self.feeds:
            check_feed(feed)

    @property
    def readers(self) -> tuple[str, ...]:
        """Who is told: addresses, and feeds by their full paths."""
        mailed = self.mail.specs if self.mail else ()
        return (*mailed, *(str(feed.resolve()) for feed in self.feeds))


@dataclass(frozen=True, slots=True)
class Told:
    """What a round did.

    Attributes:
        digest: what there was to say.
        mailed: who got it by mail.
        troubles: a sentence for whatever did not go as it should.
    """

    digest: Digest
    mailed: tuple[str, ...]
    troubles: tuple[str, ...]


def beside(index: Path) -> Path:
    """Where a watch remembers what it told.

    Example:
        >>> beside(Path("docs.index")).name
        'docs.index.watch.json'
    """
    whole = index.expanduser().resolve()
    return whole.with_name(f"{whole.name}.watch.json")


def interval(text: str) -> timedelta | None:
    """Read how often: ``hour``, ``day``, ``week``, a number with a unit (``90m``, ``2d``), or ``once`` (None).

    Raises:
        BadInput: when it is something else.

    Example:
        >>> interval("day"), interval("90m"), interval("once")
        (datetime.timedelta(days=1), datetime.timedelta(seconds=5400), None)
    """
    if text == "once":
        return None
    found = re.fullmatch(r"(\d{1,6})\s*([smhdw])", _NAMED.get(text, text))
    if not found or not int(found[1]):
        raise BadInput(f"every {text!r}: give hour, day, week, once, or a number like 90m, 6h, 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def look(watch: Watch, now: datetime) -> Digest:
    """Bring the index up to date and see what is new, without telling anybody.

    Raises:
        BadInput: when there is no index, a source cannot be read, or a filter is malformed.
    """
    return _look(watch, WatchState.read(watch.state), now)[0]


def tell(watch: Watch, now: datetime, ending: Ending | None = None) -> Told:
    """One round: bring the index up to date, see what is new, deliver it, and write down that it was told.

    Args:
        watch: what is watched.
        now: with a time zone.
        ending: holds back an end that is asked for between delivery and writing down.

    Raises:
        BadInput: as `look` does; also when nobody got the mail, or another watch uses the same state. Nothing is
            forgotten then: the next round tells it.
    """
    ending = ending or Ending()
    with alone_with(watch.state):
        state = WatchState.read(watch.state)
        state.refuse_other_readers(watch.queries, watch.readers)
        digest, rows = _look(watch, state, now)
        with ending.held():
            for feed in watch.feeds:  # first, for they can be told twice
                update_feed(feed, digest, watch.kept)
            mailed, troubles = _mail_all(watch, state, digest, ending.wait)
            state.remember(watch.queries, rows, now, watch.readers)
            state.write()
    return Told(digest, mailed, tuple(troubles))


def due(watch: Watch, every: timedelta, now: datetime) -> datetime:
    """When the next round is: an interval after the oldest answer, or now where a query has none."""
    state = WatchState.read(watch.state)
    last = [state.of(query) for query in watch.queries]
    return max(now, min(each.at + every if each else now for each in last))


def _look(watch: Watch, state: WatchState, now: datetime) -> tuple[Digest, list[dict[str, str]]]:
    """The digest, and the rows of the index that it was made from."""
    for source in watch.updates:
        Index.build(watch.index, source, model=watch.model, device=watch.device)
    index = Index.open(watch.index, model=watch.model, device=watch.device)
    rows = index.rows()
    answers = []
    for query in watch.queries:
        known = state.known(query)
        first = known is None
        found = answer(index, rows, query, KnownTexts.nothing() if first and watch.all else known)
        answers.append(replace(found, first=first and not watch.all))
    name = watch.index.expanduser().resolve().name
    return Digest(name, answers, now, watch.site), rows


def _mail_all(
    watch: Watch, state: WatchState, digest: Digest, wait: Callable[[float], bool]
) -> tuple[tuple[str, ...], list[str]]:
    """Send what is owed and the digest: who got it, and what did not go as it should."""
    mail = watch.mail
    if mail is None:
        return (), []
    if state.owed or digest.count or mail.even_empty:
        state.write()  # so that a full disk stops this before it mails, not after
    troubles = _pay(mail, state, digest.at)
    if not (digest.count or mail.even_empty):
        return (), troubles
    mailed, more = _mail(watch, mail, state, digest, wait)
    return mailed, [*troubles, *more]


def _mail(
    watch: Watch,
    mail: Mail,
    state: WatchState,
    digest: Digest,
    wait: Callable[[float], bool],
) -> tuple[tuple[str, ...], list[str]]:
    """Who got the digest, and what did not go as it should; who may get it later goes into the state."""
    # Two digests with the same news differ in what was told before them.
    before = [last.at.isoformat() for last in map(state.of, watch.queries) if last]
    message = compose(digest, mail.sender, mail.to, " ".join(before)).as_bytes()
    seconds = watch.patience.total_seconds()
    done = deliver(mail.server, mail.sender, mail.specs, message, patience=seconds, wait=wait)
    troubles = [f"{each} did not get the mail: {reason}" for each, reason in done.refused.items()]
    if done.owed:
        state.owed.append(Owed(message.decode("ascii"), done.owed, digest.at))
        troubles.append(f"{', '.join(done.owed)} did not get the mail yet; it is tried again")
    mailed = (each for each in mail.specs if each not in done.owed and each not in done.refused)
    return tuple(mailed), troubles


def _pay(mail: Mail, state: WatchState, now: datetime) -> list[str]:
    """Send what is owed, each once; what is owed for too long is dropped."""
    troubles: list[str] = []
    still: list[Owed] = []
    for owed in state.owed:
        message = owed.message.encode("ascii")
        sender = _sender(owed.message)
        try:
            done = deliver(mail.server, sender, owed.to, message, patience=0, wait=lambda _: True)
            left, reason = done.owed, "; ".join(done.refused.values())
        except Undelivered as error:
            left, reason = owed.to, str(error)
        if left and now - owed.since < _GIVEN_UP_AFTER:
            still.append(replace(owed, to=left))
        elif reason or left:
            troubles.append(f"{', '.join(left or owed.to)} will not get a mail: {reason}")
    if still != state.owed:
        state.owed = still
        state.write()
    return troubles


def _sender(message: str) -> Address:
    return address(parseaddr(str(message_from_string(message)["From"]))[1])
