"""What a watch remembers between two digests, in one file that is replaced in one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from polyvec.errors import BadInput
from polyvec.files import locked, read_json, write_json
from polyvec.search.known_texts import KnownTexts
from polyvec.search.standing_queries import StandingQuery

_FORMAT = 1
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """When a query was last answered, to whom, and what the index held then.

    Attributes:
        at: the moment.
        to: addresses and feeds.
        known: what the index held.
    """

    at: datetime
    to: tuple[str, ...]
    known: KnownTexts


@dataclass(frozen=True, slots=True)
class Owed:
    """A mail that some got and others did not yet.

    Attributes:
        message: the whole mail; it is sent as it is.
        to: who did not get it.
        since: when it was first sent.
    """

    message: str
    to: tuple[str, ...]
    since: datetime


@dataclass(slots=True)
class WatchState:
    """What a watch remembers.

    Attributes:
        path: the file.
        answered: by query and filter.
        owed: what is still to be sent, oldest first.
    """

    path: Path
    answered: dict[Key, Answered] = field(default_factory=dict)
    owed: list[Owed] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> WatchState:
        """What was written to a file; nothing where there is none.

        Raises:
            BadInput: when it is something else.
        """
        if not path.exists():
            return cls(path)
        held = read_json(path)
        try:
            if held["format"] != _FORMAT:
                raise ValueError(f"format {held['format']}")
            known = {name: KnownTexts.from_text(text) for name, text in held["known"].items()}
            return cls(
                path,
                {
                    (one["query"], one["where"]): Answered(
                        datetime.fromisoformat(one["answered"]),
                        tuple(one["to"]),
                        known[one["known"]],
                    )
                    for one in held["queries"]
                },
                [
                    Owed(one["message"], tuple(one["to"]), datetime.fromisoformat(one["since"]))
                    for one in held["owed"]
                ],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                f"{path}: not what polyvec watch remembers ({error}); name another file with --state"
            ) from None

    def write(self) -> None:
        """Replace the file in one step."""
        texts: dict[int, str] = {}
        for each in self.answered.values():
            if id(each.known) not in texts:
                texts[id(each.known)] = each.known.to_text()
        names = {
            id: blake2b(text.encode(), digest_size=8).hexdigest() for id, text in texts.items()
        }
        queries = [
            {
                "query": text,
                "where": where,
                "answered": each.at.isoformat(),
                "to": list(each.to),
                "known": names[id(each.known)],
            }
            for (text, where), each in self.answered.items()
        ]
        owed = [
            {"message": one.message, "to": list(one.to), "since": one.since.isoformat()}
            for one in self.owed
        ]
        # Queries that were answered together share what the index held.
        known = {names[id]: text for id, text in texts.items()}
        content: dict[str, Any] = {"format": _FORMAT, "queries": queries, "owed": owed}
        write_json(self.path, {**content, "known": known})

    def of(self, query: StandingQuery) -> Answered | None:
        """When a query was last answered; None where it never was."""
        return self.answered.get(_key(query))

    def known(self, query: StandingQuery) -> KnownTexts | None:
        """What the index held when a query was last answered; None where it never was."""
        last = self.of(query)
        return None if last is None else last.known

    def remember(
        self,
        queries: Sequence[StandingQuery],
        rows: Sequence[Mapping[str, str]],
        at: datetime,
        to: Sequence[str],
    ) -> None:
        """Note that queries were answered from an index that held these rows.

        What the index held before stays known, so that a text which is away for a while is no news when it returns.
        """
        joined: dict[int, KnownTexts] = {}
        for query in queries:
            last = self.known(query)
            if id(last) not in joined:
                joined[id(last)] = (last or KnownTexts.nothing()).joined(rows)
            self.answered[_key(query)] = Answered(at, tuple(to), joined[id(last)])

    def refuse_other_readers(self, queries: Sequence[StandingQuery], to: Sequence[str]) -> None:
        """One file, one set of readers: what others were told would be no news for these.

        Raises:
            BadInput: when a query was last answered to others only.
        """
        for query in queries:
            last = self.of(query)
            if last and last.to and to and set(last.to).isdisjoint(to):
                raise BadInput(
                    f"{self.path}: remembers what {', '.join(last.to)} were told of {query.text!r}; "
                    "give the watch for others a file of its own with --state"
                )


@contextmanager
def alone_with(state: Path) -> Iterator[None]:
    """Keep a second watch from answering the same queries at the same time.

    Raises:
        BadInput: when one does.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    taken = (
        f"{state}: another watch is answering from it just now; wait, or give this one a --state"
    )
    with locked(state.with_name(f".{state.name}.lock"), taken):
        yield


def _key(query: StandingQuery) -> Key:
    return query.text, query.where or ""
