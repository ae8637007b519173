"""Web pages: their main content under its headings, with the links in it.

Navigation, side bars and everything else that repeats on each page is left out. Of Sphinx' pages,
every documented object (``<dt id="os.path.join">``) is a section of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from selectolax.lexbor import LexborHTMLParser, LexborNode

from polyvec.data.decoding import decode
from polyvec.data.documents import Document
from polyvec.data.link_targets import address
from polyvec.data.outline import Outline, link_name
from polyvec.errors import BadInput

_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_MAIN = ("main", "[role=main]", "article", "div.body", "div.document", "body")
_NO_CONTENT = (
    "nav, footer, aside, script, style, form, noscript, template, svg, button, iframe, dialog, "
    "[role=navigation], [role=search], [role=contentinfo], [hidden], [aria-hidden=true], "
    ".headerlink, .viewcode-link, .related, .sphinxsidebar, .breadcrumb, .breadcrumbs, "
    ".wy-breadcrumbs, .toctree-wrapper, .toc, #toc, .contents.topic, .contents.local, "
    ".sidebar, .navigation, .nav, .navbar, .menu, .pagination, .prev-next-area, .skip-link, "
    ".nav-panel, .navheader, .navfooter"
)
_IN_HEADINGS = "h1 a, h2 a, h3 a, h4 a, h5 a, h6 a, dt a"
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_INLINE = {
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn",
    "em", "font", "i", "ins", "kbd", "label", "mark", "q", "ruby", "s", "samp", "small", "span",
    "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
}  # fmt: skip
_SECTIONS = {"section", "div", "article", "main"}
_CELLS = {"td", "th", "br", "img"}
"""What stands between words without ending the paragraph."""


def read_html(content: bytes, id: str) -> Document:
    """Read one page.

    Args:
        content: the file; its encoding is UTF-8, or declared in a ``<meta>``, or guessed.
        id: the path of the page in its corpus, against which links are resolved.

    Returns:
        The document. Its title is the first ``<h1>``, or else that in ``<title>``. The target of a
        link is the path of a page in the corpus, with ``#`` and the fragment if there is one; links
        that lead out are left out.

    Raises:
        BadInput: when the content is not text, or nested too deeply to be a page.

    Example:
        >>> body = b"<h1>Guide</h1><h2 id='s'>Start</h2><p>See <a href='b.html'>more</a>."
        >>> page = read_html(body, "a/b")
        >>> page.title, page.sections[0].heading, page.sections[0].paragraphs
        ('Guide', 'Start', ('See more.',))
        >>> page.sections[0].links
        (Link(text='more', target='a/b.html'),)
    """
    declared = _CHARSET.search(content[:4096])
    tree = LexborHTMLParser(decode(content, declared[1].decode("ascii") if declared else ""))
    for node in _outermost(tree.css(_NO_CONTENT)):
        node.decompose()
    for node in _outermost(filter(_is_permalink, tree.css(_IN_HEADINGS))):
        node.decompose()
    main = _main_content(tree)
    title = _title(tree, main)
    outline = Outline(title)
    try:
        if main is not None:
            _enter(main, outline, id)
    except RecursionError:
        raise BadInput("not a page: elements nested too deeply") from None
    return Document(id, title, id, outline.sections())


def _outermost(nodes: Iterable[LexborNode]) -> list[LexborNode]:
    """The nodes that lie in none of the others; what lies in a removed node must not be touched."""
    nodes = list(nodes)
    chosen = {node.mem_id for node in nodes}

    def is_inside(node: LexborNode) -> bool:
        above = node.parent
        while above is not None and above.mem_id not in chosen:
            above = above.parent
        return above is not None

    return [node for node in nodes if not is_inside(node)]


def _main_content(tree: LexborHTMLParser) -> LexborNode | None:
    for selector in _MAIN:
        found = tree.css(selector)
        # Several articles are a list of teasers; an empty main waits for a script to fill it.
        if len(found) == 1 and _text(found[0]):
            return found[0]
    return tree.body


def _is_permalink(node: LexborNode) -> bool:
    """Whether this is the sign (¶, #, §) beside a heading that leads to the heading itself."""
    return not any(c.isalnum() for c in node.text(deep=True))


def _title(tree: LexborHTMLParser, main: LexborNode | None) -> str:
    if main is None:
        return ""
    outermost = _text(main.css_first("h1"))
    if outermost:
        return outermost
    # "Path | The site": the words before the site's name are a heading of the page.
    named = _text(tree.css_first("head > title"))
    first = _text(main.css_first("h2, h3, h4, h5, h6"))
    return first if first and named.casefold().startswith(first.casefold()) else named


def _text(node: LexborNode | None) -> str:
    return " ".join(node.text(deep=True).split()) if node is not None else ""


def _enter(parent: LexborNode, outline: Outline, id: str) -> None:
    """Walk through what is in a node; only text and the ends of blocks reach the outline."""
    for node in parent.iter(include_text=True):
        tag = node.tag or ""
        if tag == "-text":
            outline.add_text(node.text())
        elif tag == "a":
            _enter_link(node, outline, id)
        elif tag in _INLINE:
            _enter(node, outline, id)
        elif tag in _CELLS:
            outline.add_text(" ")
            _enter(node, outline, id)
            outline.add_text(" ")
        elif tag in _HEADINGS:
            outline.open(_HEADINGS[tag], _text(node), _anchor(node))
        elif tag == "pre":
            outline.add_paragraph(_text(node))
        elif tag == "dl":
            _enter_definitions(node, outline, id)
        elif not tag.startswith("-"):  # not a comment
            outline.end_paragraph()
            _enter(node, outline, id)
            outline.end_paragraph()


def _enter_link(node: LexborNode, outline: Outline, id: str) -> None:
    href = node.attributes.get("href")
    target = address(href, id) if href else ""
    if target:
        outline.add_link(_text(node), target)
    _enter(node, outline, id)


def _enter_definitions(parent: LexborNode, outline: Outline, id: str) -> None:
    """A list of definitions: one with an id (an object, a term) is a section, others are text."""
    for terms, definitions in _definitions(parent):
        anchor = terms[0].attributes.get("id") if terms else ""
        if anchor:
            outline.open_object(_text(terms[0]), anchor)
        for term in terms[1:] if anchor else terms:
            outline.add_paragraph(_text(term))
        for definition in definitions:
            _enter(definition, outline, id)
            outline.end_paragraph()
        if anchor:
            outline.close_object()


def _definitions(parent: LexborNode) -> list[tuple[list[LexborNode], list[LexborNode]]]:
    """Terms that follow each other, with what defines them."""
    groups: list[tuple[list[LexborNode], list[LexborNode]]] = []
    for node in parent.iter():
        if node.tag == "div":
            groups.extend(_definitions(node))
        elif node.tag == "dt" and (not groups or groups[-1][1]):
            groups.append(([node], []))
        elif node.tag == "dt":
            groups[-1][0].append(node)
        elif groups:
            groups[-1][1].append(node)
        else:
            groups.append(([], [node]))
    return groups


def _anchor(heading: LexborNode) -> str:
    """The name that links use for a heading, better an author's label than its own words.

    The name may be on the heading, on the section that it opens, or on an empty element before it
    (Sphinx' labels).
    """
    names = [_name(heading), *(_name(mark) for mark in heading.css("[id], a[name]"))]
    before = heading.prev
    while before is not None and not _text(before):
        names.append(_name(before))
        before = before.prev
    if before is None and heading.parent is not None and heading.parent.tag in _SECTIONS:
        names.append(_name(heading.parent))
    return link_name((name for name in names if name), _text(heading))


def _name(node: LexborNode) -> str:
    return (
        node.attributes.get("id") or (node.attributes.get("name") if node.tag == "a" else "") or ""
    )
