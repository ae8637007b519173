"""Rounds of a watch: nothing is lost, and nothing told twice, whatever fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from polyvec.errors import BadInput
from polyvec.search.digest_mail import address
from polyvec.search.index import Index
from polyvec.search.mail_delivery import MailServer, Undelivered
from polyvec.search.standing_queries import StandingQuery
from polyvec.search.watch_state import WatchState, alone_with
from polyvec.search.watching import Mail, Watch, beside, due, interval, look, tell

START = datetime(2026, 11, 26, 7, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SHIP = "# Ships\n\nOne more ship, one more boat at sea.\n"
NOT_NOW = timedelta(0)


@pytest.fixture
def watched(tmp_path: Path, docs: Path, model: Path, mailbox):
    """A function that makes a watch on the folder of documents."""
    index = tmp_path / "docs.index"
    Index.build(index, str(docs), model=model)

    def make(*queries: str, to: tuple[str, ...] = ("ada@example.org",), **options) -> Watch:
        given = {"state": beside(index), "updates": (str(docs),), "patience": NOT_NOW, **options}
        even_empty = given.pop("even_empty", False)
        server = MailServer("127.0.0.1", mailbox.port)
        people = tuple(map(address, to))
        mail = Mail(people, address("polyvec@example.org"), server, even_empty) if to else None
        asked = tuple(map(StandingQuery, queries or ("a boat at sea",)))
        return Watch(index, asked, mail=mail, **given)

    return make


def test_a_folder_that_changes(watched, docs: Path, mailbox) -> None:
    watch = watched("a boat at sea", "a ship")
    first = tell(watch, START)
    assert (first.digest.count, first.mailed) == (0, ())
    assert "Watching from now on" in first.digest.subject
    tell(watch, START + DAY)
    (docs / "ships.md").write_text(SHIP)
    told = tell(watch, START + 2 * DAY)
    assert (told.mailed, told.troubles) == (("ada@example.org",), ())
    tell(watch, START + 3 * DAY)
    [mail] = mailbox.mails
    assert mail["Subject"] == '1 new: "a boat at sea" (1), "a ship" (1)'
    assert "One more ship" in mail.get_body(("plain",)).get_content()
    # A query that joins later starts from what is there then.
    (docs / "lake.md").write_text("# Lakes\n\nA boat on the small lake.\n")
    told = tell(watched("a boat at sea", "lake"), START + 4 * DAY)
    assert [(len(each.news), each.first) for each in told.digest.answers] == [(1, False), (0, True)]
    # The one that was not asked meanwhile is told what it missed.
    told = tell(watched("a ship"), START + 5 * DAY)
    assert [news.hit.document for news in told.digest.answers[0].news] == ["lake.md"]


def test_what_goes_and_comes_back_is_no_news(watched, docs: Path, mailbox) -> None:
    tell(watched(), START)
    page = (docs / "boats.md").read_text()
    (docs / "boats.md").unlink()
    tell(watched(), START + DAY)
    (docs / "boats.md").write_text(page)
    tell(watched(), START + 2 * DAY)
    (docs / "boats.md").rename(docs / "renamed.md")
    tell(watched(), START + 3 * DAY)
    assert mailbox.mails == []


def test_all_and_even_empty(watched, mailbox) -> None:
    told = tell(watched(all=True), START)
    assert told.digest.count == 5
    for day in (1, 2):
        tell(watched(even_empty=True), START + day * DAY)
    subjects = [mail["Subject"] for mail in mailbox.mails]
    assert subjects == ['5 new: "a boat at sea"', *['Nothing new: "a boat at sea"'] * 2]
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 3


def test_looking_notes_nothing(watched, docs: Path, tmp_path: Path) -> None:
    watch = watched(feeds=(tmp_path / "news.xml",))
    assert look(watch, START).count == 0
    assert not watch.state.exists()
    tell(watch, START)
    (docs / "ships.md").write_text(SHIP)
    assert look(watch, START).count == 1
    assert look(watch, START).count == 1
    assert "Ships" not in (tmp_path / "news.xml").read_text()


def test_a_mail_that_is_refused_is_told_in_the_next_round(
    watched, docs: Path, mailbox, tmp_path: Path
) -> None:
    watch = watched(feeds=(tmp_path / "news.json",))
    tell(watch, START)
    (docs / "ships.md").write_text(SHIP)
    for answer in ("451 busy", "554 no"):
        mailbox.refuse = [answer]
        with pytest.raises(Undelivered, match=answer):
            tell(watch, START + DAY)
    (docs / "lake.md").write_text("# Lakes\n\nA boat on the small lake.\n")
    tell(watch, START + 2 * DAY)
    tell(watch, START + 3 * DAY)
    assert [mail["Subject"] for mail in mailbox.mails] == ['2 new: "a boat at sea"']
    items = json.loads((tmp_path / "news.json").read_text())["items"]
    assert sorted(item["title"] for item in items) == ["Lakes", "Ships"]


def test_killed_between_delivery_and_note_it_repeats_the_same_message(
    watched, docs: Path, mailbox, tmp_path: Path, monkeypatch
) -> None:
    watch = watched(feeds=(tmp_path / "news.json",))
    tell(watch, START)
    (docs / "ships.md").write_text(SHIP)
    with monkeypatch.context() as patched:
        patched.setattr(WatchState, "remember", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tell(watch, START + DAY)
    tell(watch, START + 2 * DAY)
    tell(watch, START + 3 * DAY)
    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert len(json.loads((tmp_path / "news.json").read_text())["items"]) == 1


def test_a_disk_that_is_full_is_noticed_before_the_mail(
    watched, docs: Path, mailbox, monkeypatch
) -> None:
    tell(watched(), START)
    (docs / "ships.md").write_text(SHIP)

    def full(self: WatchState) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(WatchState, "write", full)
        with pytest.raises(OSError, match="No space"):
            tell(watched(), START + DAY)
    assert mailbox.mails == []
    assert tell(watched(), START + DAY).mailed == ("ada@example.org",)


def test_who_was_not_served_gets_the_same_mail_later(watched, docs: Path, mailbox) -> None:
    people = ("ada@example.org", "bob@example.org", "eve@example.org")
    watch = watched(to=people)
    tell(watch, START)
    (docs / "ships.md").write_text(SHIP)
    mailbox.refuse_to = {"bob@example.org": ["450 later"] * 2, "eve@example.org": ["550 unknown"]}
    told = tell(watch, START + DAY)
    assert told.mailed == ("ada@example.org",)
    assert told.troubles == (
        "eve@example.org did not get the mail: 550 unknown",
        "bob@example.org did not get the mail yet; it is tried again",
    )
    tell(watch, START + 2 * DAY)  # 450 again
    tell(watch, START + 3 * DAY)
    tell(watch, START + 4 * DAY)
    assert mailbox.readers == [["ada@example.org"], ["bob@example.org"]]
    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_string() == second.as_string()


def test_what_is_owed_for_too_long_is_dropped_and_said(watched, docs: Path, mailbox) -> None:
    watch = watched(to=("ada@example.org", "bob@example.org"))
    tell(watch, START)
    (docs / "ships.md").write_text(SHIP)
    mailbox.refuse_to = {"bob@example.org": ["452 full"] * 9}
    tell(watch, START + DAY)
    assert tell(watch, START + 2 * DAY).troubles == ()
    [trouble] = tell(watch, START + 7 * DAY).troubles
    assert trouble.startswith("bob@example.org will not get a mail: ")
    assert WatchState.read(watch.state).owed == []


def test_other_readers_need_a_state_of_their_own(watched, tmp_path: Path) -> None:
    tell(watched(), START)
    with pytest.raises(
        BadInput, match=r"remembers what ada@example\.org were told of 'a boat at sea'"
    ):
        tell(watched(to=("bob@example.org",)), START)
    tell(watched(to=("bob@example.org",), state=tmp_path / "bob.json"), START)
    tell(watched(to=("bob@example.org", "ada@example.org")), START)
    with pytest.raises(BadInput, match="remembers"):
        tell(watched(to=(), feeds=(tmp_path / "a.xml",)), START)


def test_two_at_the_same_time(watched) -> None:
    watch = watched()
    with alone_with(watch.state), pytest.raises(BadInput, match="another watch is answering"):
        tell(watch, START)
    tell(watch, START)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"format": 1, "queries": []}'])
def test_a_state_that_is_none(watched, content: str) -> None:
    watch = watched()
    watch.state.write_text(content)
    with pytest.raises(BadInput, match=watch.state.name):
        tell(watch, START)
    assert watch.state.read_text() == content


def test_when_the_next_round_is(watched) -> None:
    both = watched("a boat", "a ship")
    assert due(both, DAY, START) == START
    tell(watched("a boat"), START)
    assert due(both, DAY, START) == START
    tell(watched("a ship"), START + DAY / 2)
    assert due(both, DAY, START + DAY / 2) == START + DAY
    assert due(both, DAY, START + 9 * DAY) == START + 9 * DAY


@pytest.mark.parametrize("given", ["", "0m", "-1h", "daily", "1.5h", "9999999d", "5"])
def test_bad_intervals(given: str) -> None:
    with pytest.raises(BadInput, match="give hour, day, week, once"):
        interval(given)


def test_bad_watches(watched, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a query is given twice"):
        watched("a", "a")
    with pytest.raises(BadInput, match="0 entries in a feed"):
        watched(kept=0)
    with pytest.raises(BadInput, match="a feed ends in"):
        watched(feeds=(tmp_path / "feed.txt",))
    with pytest.raises(BadInput, match="no index there"):
        tell(Watch(tmp_path / "none", (StandingQuery("a"),), tmp_path / "s.json"), START)
