"""Feeds as readers of feeds see them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import feedparser
import pytest

from polyvec.errors import BadInput
from polyvec.search.digest import Digest
from polyvec.search.feeds import check_feed, update_feed
from polyvec.search.hits import Hit
from polyvec.search.standing_queries import Answer, News, StandingQuery

AT = datetime(2026, 11, 26, 7, 30, tzinfo=UTC)


def digest(*texts: str, at: datetime = AT, query: str = "joins & <rows>") -> Digest:
    news = tuple(
        News(Hit(f"{text}#0.0", f"{text}.md", "A & B", "", text, f"/docs/{text}.md", 1.0), True, ())
        for text in texts
    )
    answers = [Answer(StandingQuery(query), news, first=False)]
    return Digest("docs.index", answers, at, "https://wiki.example.org")


def parsed(path: Path):
    feed = feedparser.parse(path.read_bytes())
    assert not feed.bozo, feed.get("bozo_exception")
    return feed


@pytest.fixture(params=["news.xml", "news.json"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / "web" / request.param


def items(path: Path) -> list[dict[str, object]]:
    """Entries of a feed in one form, by a reader that is not ours."""
    if path.suffix == ".json":
        return [
            {
                "id": item["id"],
                "text": item["content_html"],
                "title": item["title"],
                "link": item["url"],
                "tags": item["tags"],
                "at": datetime.fromisoformat(item["date_published"]),
            }
            for item in json.loads(path.read_text())["items"]
        ]
    return [
        {
            "id": entry.id,
            "text": entry.summary,
            "title": entry.title,
            "link": entry.link,
            "tags": [tag.term for tag in entry.tags],
            "at": datetime(*entry.published_parsed[:6], tzinfo=UTC),
        }
        for entry in parsed(path).entries
    ]


def test_news_are_put_on_top_and_told_once(path: Path) -> None:
    update_feed(path, digest())
    assert items(path) == []
    update_feed(path, digest("a", "b"))
    [a, b] = items(path)
    assert (a["title"], a["link"], a["tags"], a["at"]) == (
        "A & B",
        "https://wiki.example.org/a.md",
        ["joins & <rows>"],
        AT,
    )
    assert a["text"] == "<p>a</p><p><small>/docs/a.md (changed)</small></p>"
    whole = path.read_bytes()
    later = AT + timedelta(days=1)
    update_feed(path, digest("b", "a", at=later))
    assert path.read_bytes() == whole
    update_feed(path, digest("c", "a", at=later))
    assert [item["id"] for item in items(path)][1:] == [a["id"], b["id"]]
    assert [item["at"] for item in items(path)] == [later, AT, AT]
    update_feed(path, digest("a", query="other"))
    assert len({item["id"] for item in items(path)}) == 4  # it is news for another query


def test_only_the_newest_are_kept(path: Path) -> None:
    for number in range(5):
        update_feed(path, digest(f"old{number}", f"new{number}"), most=3)
    assert [str(item["text"])[:11] for item in items(path)] == [
        "<p>old4</p>",
        "<p>new4</p>",
        "<p>old3</p>",
    ]


def test_markup_of_documents_stays_text(path: Path) -> None:
    update_feed(path, digest("x = a < b & c\n<script>alert(1)</script>]]>"))
    [item] = items(path)
    assert "<script>" not in str(item["text"])
    assert "<pre>x = a &lt; b &amp; c\n" in str(item["text"])


def test_what_the_formats_ask_for(tmp_path: Path) -> None:
    for name in ("news.rss", "news.json"):
        update_feed(tmp_path / name, digest("a"))
    feed = parsed(tmp_path / "news.rss")
    assert feed.version == "rss20"
    assert (feed.feed.title, feed.feed.link) == ("New in docs.index", "https://wiki.example.org")
    assert feed.feed.description
    assert not feed.entries[0].guidislink
    written = json.loads((tmp_path / "news.json").read_text())
    assert written["version"] == "https://jsonfeed.org/version/1.1"
    assert written["title"] == "New in docs.index"
    assert feed.entries[0].id == written["items"][0]["id"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xml", "<rss version='2.0'><channel><title>Others</title></channel></rss>"),
        ("a.xml", "<html></html>"),
        ("a.xml", "<rss"),
        ("a.json", '{"version": "https://jsonfeed.org/version/1.1", "items": []}'),
        ("a.json", '{"_polyvec": {}, "items": [{}]}'),
        ("a.json", "[]"),
        ("a.json", "{"),
    ],
)
def test_files_of_others_are_left_alone(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(BadInput, match="cannot be continued as a feed"):
        update_feed(path, digest("a"))
    assert path.read_text() == content


def test_the_name_says_the_format(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a feed ends in \.xml or \.rss"):
        check_feed(tmp_path / "news.atom")
    check_feed(tmp_path / "NEWS.XML")
