"""The mail: its headers, and that nothing in it can be taken for one, or for HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from polyvec.errors import BadInput
from polyvec.search.digest import MOST, Digest
from polyvec.search.digest_mail import address, compose, own_address
from polyvec.search.hits import Hit
from polyvec.search.standing_queries import Answer, News, StandingQuery

AT = datetime(2026, 11, 26, 7, 30, tzinfo=UTC)
ADA, BOB = address("Ada <ada@example.org>"), address("bob@example.org")


def news(number: int = 0, text: str = "Merge rows.", changed: bool = False) -> News:
    place = f"/docs/{number}.md#top"
    hit = Hit(f"{number}.md#0.0", f"{number}.md", "Title", "Part", text, place, 1.0)
    return News(hit, changed, ((0, len(text)),))


def digest(*told: tuple[str, list[News]], site: str = "") -> Digest:
    answers = [Answer(StandingQuery(query), tuple(found), False) for query, found in told]
    return Digest("docs.index", answers, AT, site)


def sent(made: Digest):
    return message_from_bytes(compose(made, BOB, [ADA, BOB]).as_bytes(), policy=policy.default)


def test_headers() -> None:
    mail = sent(digest(("joins", [news()])))
    assert mail["Subject"] == '1 new: "joins"'
    assert mail["From"] == "bob@example.org"
    assert mail["To"] == "Ada <ada@example.org>, bob@example.org"
    assert mail["Date"].datetime == AT
    assert mail["List-Id"] == "polyvec watch, docs.index <docs-index.polyvec-watch.example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("told", "subject"),
    [
        ([("a", [news(0), news(1)])], '2 new: "a"'),
        ([("a", [news(0)]), ("b", [news(0), news(1)])], '2 new: "a" (1), "b" (2)'),
        ([("a", []), ("b", [news(0)])], '1 new: "b"'),
        ([("a", []), ("b", [])], 'Nothing new: "a", "b"'),
        ([(q, [news(0)]) for q in "abcde"], '1 new: "a" (1), "b" (1), "c" (1) and 2 more queries'),
        ([("long " * 30, [news()])], f'1 new: "{"long " * 11}…"'),
        ([("größere Wörter " * 3, [news()])], f'1 new: "{"größere Wörter " * 2}größere Wörter"'),
        # Folded at 78 this one would begin on the second line.
        ([("x" * 60, [news(0)]), ("b", [news(1)])], f'2 new: "{"x" * 60}" (1), "b" (1)'),
    ],
)
def test_the_subject_says_how_many_and_for_what(told, subject) -> None:
    mail = sent(digest(*told))
    assert mail["Subject"] == subject
    raw = compose(digest(*told), BOB, [ADA]).as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert b"\r\nSubject: " in raw
    assert b"\r\nSubject: \r\n" not in raw


def test_texts_are_shown_as_they_are() -> None:
    text = "Compare <b>a & b</b>\n  and merge them."
    made = digest(("merge <script>", [news(text=text)]), site="https://wiki.example.org/")
    mail = sent(made)
    html = mail.get_body(("html",)).get_content().replace("\r\n", "\n")
    assert "<script>" not in html
    assert "merge &lt;script&gt;" in html
    assert "Compare &lt;b&gt;a &amp; b&lt;/b&gt;\n  and <span" in html
    assert 'href="https://wiki.example.org/0.md#top"' in html
    plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert "    Compare <b>a & b</b>\n      and merge them.\n" in plain
    assert "https://wiki.example.org/0.md#top" in plain
    assert "/docs/0.md#top" in digest(("a", [news()])).as_text()
    web = News(Hit("a#0.0", "a", "", "", "t", "https://x.example/a", 1.0), False, ())
    assert made.link(web) == "https://x.example/a"


def test_what_is_old_in_a_changed_document_stands_back() -> None:
    text = "Old tea. New water."
    changed = News(news(text=text).hit, True, ((9, 19),))
    html = digest(("coffee", [changed])).as_html()
    assert '<span style="color: #888; ">Old tea. </span>New water.</div>' in html
    assert ">changed</span>" in html


def test_a_digest_of_very_many_says_how_many_more() -> None:
    made = digest(("a", [news(n) for n in range(MOST + 7)]))
    assert made.count == MOST + 7
    for shown in (made.as_text(), made.as_html()):
        assert "and 7 more passages" in shown


def test_the_same_news_are_the_same_message() -> None:
    def identity(*told, to=(ADA,), after="") -> str:
        return compose(digest(*told), BOB, to, after)["Message-ID"]

    one = identity(("a", [news()]))
    assert identity(("a", [news()])) == one
    others = [
        identity(("b", [news()])),
        identity(("a", [news(text="Other.")])),
        identity(("a", [news()]), to=(BOB,)),
        identity(("a", [news()]), after="2026-11-25"),
    ]
    assert len({one, *others}) == 5


@pytest.mark.parametrize(
    "given",
    [
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\nBcc: eve@example.org",
        "Ada\r\nBcc: eve@example.org <ada@example.org>",
        "ada@example.org, eve@example.org",
        "ada",
        "@example.org",
        "ada@",
        "ada@exa mple.org",
        "ädä@example.org",
        "",
    ],
)
def test_no_address_smuggles_in_anything(given: str) -> None:
    with pytest.raises(BadInput, match="address "):
        address(given)


def test_this_user_has_an_address(monkeypatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    monkeypatch.setattr("socket.getfqdn", lambda: "box.example.org")
    assert own_address().addr_spec == "ada@box.example.org"
