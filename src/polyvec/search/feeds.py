"""News as a feed in a file: RSS 2.0, or JSON Feed 1.1, which readers of feeds poll from any web server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markupsafe import escape

from polyvec.errors import BadInput
from polyvec.files import write_bytes
from polyvec.search.digest import Digest, entry_id
from polyvec.search.standing_queries import News

KEPT = 200
"""Entries of a feed, where nothing else is said."""

_JSON_FEED = "https://jsonfeed.org/version/1.1"
_GENERATOR = "polyvec watch"
_ABOUT = "What is new in an index and near to its standing queries."
_MARK = "_polyvec"


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage that was news for a query.

    Attributes:
        id: the same whenever this is told again.
        title: title and headings.
        link: address of the document; empty where it has none.
        html: the passage, and where it stands.
        query: what it is near to.
        published: when it was found; whole seconds.
    """

    id: str
    title: str
    link: str
    html: str
    query: str
    published: datetime


def feed_format(path: Path) -> str:
    """``json`` or ``rss``, by the name of the file.

    Raises:
        BadInput: when it ends in something else.

    Example:
        >>> feed_format(Path("news.json")), feed_format(Path("news.xml"))
        ('json', 'rss')
    """
    formats = {".json": "json", ".xml": "rss", ".rss": "rss"}
    if path.suffix.lower() not in formats:
        raise BadInput(f"{path}: a feed ends in .xml or .rss (RSS 2.0), or in .json (JSON Feed)")
    return formats[path.suffix.lower()]


def update_feed(path: Path, digest: Digest, most: int = KEPT) -> None:
    """Put news on top of a feed, in one step; what it tells already stays as it is, so that doing it twice is once.

    Args:
        path: the file; it is made where there is none.
        digest: the news.
        most: entries to keep.

    Raises:
        BadInput: when the file is there and is no such feed.
    """
    read, written = _FORMATS[feed_format(path)]
    held = read(path) if path.exists() else []
    known = {entry.id for entry in held}
    fresh = [entry for entry in _entries(digest) if entry.id not in known]
    if fresh or not path.exists():
        write_bytes(path, written(digest, [*fresh, *held][:most]))


def check_feed(path: Path) -> None:
    """Make sure that `update_feed` may write to a file.

    Raises:
        BadInput: when it is there and is no such feed.
    """
    read, _ = _FORMATS[feed_format(path)]
    if path.exists():
        read(path)


def _entries(digest: Digest) -> list[Entry]:
    at = digest.at.astimezone(UTC).replace(microsecond=0)
    return [
        Entry(
            entry_id(answer.query, news),
            news.headline,
            digest.link(news),
            _html(news),
            answer.query.text,
            at,
        )
        for answer in digest.answers
        for news in answer.news
    ]


def _html(news: News) -> str:
    # Lines are kept where there are some, as in code.
    tag = "pre" if "\n" in news.hit.text else "p"
    what = "changed" if news.changed else "new"
    where = f"<p><small>{escape(news.hit.place)} ({what})</small></p>"
    return f"<{tag}>{escape(news.hit.text)}</{tag}>{where}"


def _title(digest: Digest) -> str:
    return f"New in {digest.name}"


def _as_json(digest: Digest, entries: Sequence[Entry]) -> bytes:
    feed: dict[str, Any] = {
        "version": _JSON_FEED,
        "title": _title(digest),
        **({"home_page_url": digest.site} if digest.site else {}),
        "description": _ABOUT,
        _MARK: {"about": _GENERATOR},
        "items": [
            {
                "id": entry.id,
                **({"url": entry.link} if entry.link else {}),
                "title": entry.title,
                "content_html": entry.html,
                "date_published": entry.published.isoformat(),
                "tags": [entry.query],
            }
            for entry in entries
        ],
    }
    return (json.dumps(feed, indent=1, ensure_ascii=False) + "\n").encode()


def _from_json(path: Path) -> list[Entry]:
    try:
        feed = json.loads(path.read_bytes())
        if _MARK not in feed:
            raise ValueError("no feed of polyvec")
        return [
            Entry(
                item["id"],
                item["title"],
                item.get("url", ""),
                item["content_html"],
                item["tags"][0],
                datetime.fromisoformat(item["date_published"]),
            )
            for item in feed["items"]
        ]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _no_feed(path, error) from None


def _as_rss(digest: Digest, entries: Sequence[Entry]) -> bytes:
    rss = ElementTree.Element("rss", version="2.0")
    channel = ElementTree.SubElement(rss, "channel")
    _add(channel, "title", _title(digest))
    # RSS wants an address, and feeds without one have at least a name.
    _add(channel, "link", digest.site or "about:blank")
    _add(channel, "description", _ABOUT)
    _add(channel, "lastBuildDate", format_datetime(digest.at))
    _add(channel, "generator", _GENERATOR)
    for entry in entries:
        item = ElementTree.SubElement(channel, "item")
        _add(item, "title", entry.title)
        if entry.link:
            _add(item, "link", entry.link)
        _add(item, "description", entry.html)
        _add(item, "category", entry.query)
        _add(item, "guid", entry.id, isPermaLink="false")
        _add(item, "pubDate", format_datetime(entry.published))
    ElementTree.indent(rss, " ")
    text: bytes = ElementTree.tostring(rss, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _from_rss(path: Path) -> list[Entry]:
    try:
        channel = ElementTree.parse(path).getroot().find("channel")
        if channel is None or channel.findtext("generator") != _GENERATOR:
            raise ValueError("no feed of polyvec")
        return [
            Entry(
                item.findtext("guid", ""),
                item.findtext("title", ""),
                item.findtext("link", ""),
                item.findtext("description", ""),
                item.findtext("category", ""),
                parsedate_to_datetime(item.findtext("pubDate", "")),
            )
            for item in channel.iter("item")
        ]
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        raise _no_feed(path, error) from None


def _add(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = text


def _no_feed(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path}: cannot be continued as a feed ({error}); name another file")


_Read = Callable[[Path], list[Entry]]
_Written = Callable[[Digest, Sequence[Entry]], bytes]
_FORMATS: dict[str, tuple[_Read, _Written]] = {
    "json": (_from_json, _as_json),
    "rss": (_from_rss, _as_rss),
}
