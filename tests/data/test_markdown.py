"""Markdown: front matter, headings, blocks, links."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvec.data.documents import Document, Link
from polyvec.data.markdown import read_markdown
from polyvec.errors import BadInput


def read(text: str, id: str = "docs/guide.md") -> Document:
    return read_markdown(text.encode(), id)


def test_every_kind_of_block() -> None:
    document = read(
        """# The *guide*

Two lines,
one paragraph with `code`.

Setting up {#setup}
----------

1. first
2. second

   goes on

> quoted

```python
a = 1
b = 2
```

### Sizes

| name | size |
|------|------|
| a    | 1    |

# Another part
Text ![an image](x.png) after.
"""
    )
    assert document.title == "The guide"
    assert [(s.heading, s.path, s.anchor, s.paragraphs) for s in document.sections] == [
        ("", (), "the-guide", ("Two lines, one paragraph with code.",)),
        ("Setting up", (), "setup", ("first", "second", "goes on", "quoted", "a = 1 b = 2")),
        ("Sizes", ("Setting up",), "sizes", ("name size", "a 1")),
        ("Another part", (), "another-part", ("Text after.",)),
    ]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\nauthor: me\ntitle: 'In front'\n---\n# Heading\n\ntext\n", "In front"),
        ('+++\ntitle = "In front"\n+++\ntext\n', "In front"),
        ("---\nauthor: me\n---\n\n# Heading\n\ntext\n", "Heading"),
        ("## Only a second level\n\ntext\n", ""),
        ('<h1 align="center">\n  <img src="x"> Raw &amp; old\n</h1>\n\ntext\n', "Raw & old"),
    ],
)
def test_title(text: str, title: str) -> None:
    document = read(text)
    assert document.title == title
    assert document.sections[-1].paragraphs == ("text",)


def test_raw_html_gives_its_text() -> None:
    document = read("<div>\n<!-- hidden -->\n<h2>Raw</h2>\n<p>Some <b>text</b>.</p>\n</div>\n")
    assert [(s.heading, s.paragraphs) for s in document.sections] == [("Raw", ("Some text .",))]


def test_repeated_headings_are_numbered_as_github_does() -> None:
    document = read("## Note\n\na\n\n## Note\n\nb\n\n## What's *new* in 3.1?\n\nc\n")
    assert [s.anchor for s in document.sections] == ["note", "note-1", "whats-new-in-31"]


def test_links() -> None:
    document = read(
        """[the other page](../other.md#part) and [again][ref], [outside](https://a.org),
<https://b.org>, [![badge](x.svg)](badge.md), [here](#below).

[ref]: sub/page.md
"""
    )
    assert document.sections[0].links == (
        Link("the other page", "other.md#part"),
        Link("again", "docs/sub/page.md"),
        Link("here", "docs/guide.md#below"),
    )


def test_a_table_of_contents_is_left_out() -> None:
    document = read("# A\n\n## Table of Contents\n\n- [B](#b)\n\n## B\n\ntext\n")
    assert [s.heading for s in document.sections] == ["", "B"]


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="binary"):
        read_markdown(b"a\0b", "a.md")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="#ab -`*_[]()<>|1.\n\t:>!{}", min_size=1))
def test_any_text_can_be_read(text: str) -> None:
    assert read(text).id == "docs/guide.md"
