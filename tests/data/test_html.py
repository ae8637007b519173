"""Web pages: main content, headings, documented objects, links."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyvec.data.documents import Document, Link
from polyvec.data.html import read_html
from polyvec.errors import BadInput


def read(page: str, id: str = "guide/start.html") -> Document:
    return read_html(page.encode(), id)


def outline(document: Document) -> list[tuple[str, tuple[str, ...], str, tuple[str, ...]]]:
    return [(s.heading, s.path, s.anchor, s.paragraphs) for s in document.sections]


def test_headings_open_sections_and_the_title_is_not_one_of_them() -> None:
    document = read(
        """<title>Guide - The site</title>
        <h1 id="guide">The guide</h1><p>Welcome
           here.</p>
        <h2 id="setup">Setting up</h2><ul><li>Take <b>one</b>.</li><li>Take two.</li></ul>
        <h3>On Linux</h3><pre>make\n  install</pre>
        <h2>Using it</h2>Loose text<br>goes <i>on</i>.
        <table><tr><td>a</td><td>b</td></tr></table>"""
    )
    assert document.title == "The guide"
    assert outline(document) == [
        ("", (), "guide", ("Welcome here.",)),
        ("Setting up", (), "setup", ("Take one.", "Take two.")),
        ("On Linux", ("Setting up",), "", ("make install",)),
        ("Using it", (), "", ("Loose text goes on.", "a b")),
    ]


def test_without_a_heading_the_title_is_that_of_the_page() -> None:
    assert read("<title>Only\n this</title><p>Text.").title == "Only this"
    assert read("<p>Text.").title == ""


def test_the_name_of_the_site_is_no_part_of_the_title() -> None:
    document = read("<title>Paths | The Site</title><h2>Paths<a href='#p'>#</a></h2><p>Text.")
    assert document.title == "Paths"
    assert outline(document) == [("", (), "", ("Text.",))]


def test_only_main_content_is_read() -> None:
    document = read(
        """<body><header>Site <a href="x.html">home</a></header><nav>menu</nav>
        <main><div class="breadcrumb">a / b</div><h1>T<a class="headerlink" href="#t">¶</a></h1>
        <p>Content.</p><aside>ad</aside><script>x()</script><style>y</style>
        <form>search <nav><button>go</button></nav></form><div class="toctree-wrapper">chapters</div></main>
        <footer>imprint</footer></body>"""
    )
    assert document.title == "T"
    assert outline(document) == [("", (), "", ("Content.",))]


def test_an_empty_main_and_a_list_of_articles_do_not_hide_the_rest() -> None:
    document = read("<main></main><article>One.</article><article>Two.</article>")
    assert document.sections[0].paragraphs == ("One.", "Two.")


SPHINX = """<div class="body" role="main">
<section id="module-lib.os"><span id="os-system"></span><h1>os — System</h1>
<p>About <a href="#lib.os.walk">walking</a>.</p>
<section id="files"><span id="label-files"></span><h2>Files<a class="headerlink">¶</a></h2>
<dl class="py class"><dt id="lib.os.Dir"><em>class </em>lib.os.Dir(<em>path</em>)</dt>
<dd><p>A folder.</p>
<dl class="py method"><dt id="lib.os.Dir.list">list()</dt><dt id="lib.os.Dir.ls">ls()</dt>
<dd><p>What is in it.</p></dd></dl>
<p>Closed at the end.</p></dd></dl>
<p>After the class.</p>
<dl><dt>Word</dt><dd>Meaning.</dd></dl>
</section></section></div>"""


def test_sphinx_objects_are_sections_and_labels_are_anchors() -> None:
    document = read(SPHINX, "os.html")
    assert outline(document) == [
        ("", (), "module-lib.os", ("About walking.",)),
        ("Files", (), "label-files", ("After the class.", "Word", "Meaning.")),
        (
            "class lib.os.Dir(path)",
            ("Files",),
            "lib.os.Dir",
            ("A folder.", "Closed at the end."),
        ),
        (
            "list()",
            ("Files", "class lib.os.Dir(path)"),
            "lib.os.Dir.list",
            ("ls()", "What is in it."),
        ),
    ]
    assert document.sections[0].links == (Link("walking", "os.html#lib.os.walk"),)


@pytest.mark.parametrize(
    ("href", "target"),
    [
        ("other.html", "guide/other.html"),
        ("../ref/a%20b.html?v=1#x", "ref/a b.html#x"),
        ("/top.html", "top.html"),
        ("#here", "guide/start.html#here"),
        ("./", "guide"),
    ],
)
def test_links_are_resolved_against_the_page(href: str, target: str) -> None:
    (section,) = read(f"<p>See <a href='{href}'>the <b>other</b>\n page</a>.").sections
    assert section.links == (Link("the other page", target),)
    assert section.paragraphs == ("See the other page.",)


@pytest.mark.parametrize(
    "link",
    [
        "<a href='https://a.org/b.html'>outside</a>",
        "<a href='//a.org/b.html'>outside</a>",
        "<a href='mailto:a@b.org'>mail</a>",
        "<a href='#'>self</a>",
        "<a href=''>self</a>",
        "<a name='x'>mark</a>",
        "<a href='../../above.html'>above the corpus</a>",
        "<a href='http://[bad'>broken</a>",
        "<a href='b.html'><img src='b.png'></a>",
        "<a href='b.html'>→</a>",
    ],
)
def test_what_is_no_link_into_the_corpus(link: str) -> None:
    assert read(f"<p>See {link} now.").sections[0].links == ()


@pytest.mark.parametrize(
    "content",
    [
        b"<meta charset='iso-8859-1'><p>caf\xe9</p>",
        "<p>café</p>".encode(),
        "<p>café</p>".encode("utf-8-sig"),
        "<p>café</p>".encode("utf-16"),
    ],
)
def test_encodings(content: bytes) -> None:
    assert read_html(content, "a.html").sections[0].paragraphs == ("café",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"<p>a\0b", "binary, not text"),
        (b"<b>" * 5000 + b"deep", "not a page: elements nested too deeply"),
    ],
)
def test_bad_input(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_html(content, "a.html")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="<>/ab ='\"#dlt1", min_size=1))
def test_any_text_can_be_read(text: str) -> None:
    assert read(text).id == "guide/start.html"
