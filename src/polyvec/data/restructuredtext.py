"""reStructuredText: sections, paragraphs, documented objects, links, and Sphinx' own markup.

docutils parses it. Files that the text asks to include are never read, and directives and roles
that docutils does not know are taken for what their text says.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives, roles
from docutils.utils import unescape

from polyvec.data.decoding import decode
from polyvec.data.documents import Document
from polyvec.data.link_targets import address
from polyvec.data.outline import Outline, link_name
from polyvec.errors import BadInput

_LONGEST_LINE = 100_000
"""Characters; docutils' regular expressions take very long over a longer line."""
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "smart_quotes": False,
    "syntax_highlight": "none",
    "line_length_limit": _LONGEST_LINE,
}
_OBJECTS = {
    "function", "class", "method", "classmethod", "staticmethod", "attribute", "data",
    "exception", "decorator", "property", "member", "macro", "type", "struct", "enum", "var",
    "option", "cmdoption", "envvar", "describe", "object", "opcode", "pdbcommand", "confval",
    "directive", "role",
}  # fmt: skip
_CODE = {
    "code-block", "sourcecode", "code-cell", "testcode", "testoutput", "doctest", "ipython",
    "plot", "parsed-literal", "productionlist", "math", "prompt",
}  # fmt: skip
_NOT_SHOWN = {
    "toctree", "module", "py:module", "autosummary", "index", "contents", "currentmodule",
    "py:currentmodule", "highlight", "only", "literalinclude", "include", "graphviz",
    "tabularcolumns", "meta", "sectionauthor", "moduleauthor", "codeauthor", "versionadded",
    "highlightlang", "raw", "testsetup", "testcleanup", "inheritance-diagram", "automodule",
    "autoclass", "autofunction", "automethod", "autodata", "default-domain",
}  # fmt: skip
_NO_TEXT = (
    nodes.comment, nodes.substitution_definition, nodes.target, nodes.system_message,
    nodes.image, nodes.pending, nodes.raw, nodes.footnote_reference, nodes.citation_reference,
    nodes.label, nodes.meta,
)  # fmt: skip
_WORDS_AND_TARGET = re.compile(r"(.+?)\s*<([^<>]+)>$", re.DOTALL)
_ROLES_FOR_PAGES = {"doc", "download"}
_ROLES_FOR_LABELS = {"ref", "numref", "any", "term"}


def read_restructuredtext(content: bytes, id: str) -> Document:
    r"""Read one reStructuredText file.

    Args:
        content: the file.
        id: its path in the corpus, against which links are resolved.

    Returns:
        The document. Its title is that of the section around everything, if there is one. The
        anchor of a section is its label, or what docutils makes of its heading; a documented object
        (``.. function:: f(x)``) is a section too. Targets of ``:ref:`` and ``:func:`` are labels
        and names, not yet addresses.

    Raises:
        BadInput: when the content is not text, or docutils gives up on it.

    Example:
        >>> page = read_restructuredtext(b"Guide\n=====\n\nSee :doc:`more <b>`.\n", "a.rst")
        >>> page.title, page.sections[0].paragraphs, page.sections[0].links
        ('Guide', ('See more.',), (Link(text='more', target='b'),))
    """
    tree = _parsed(decode(content))
    sections = [node for node in tree.children if isinstance(node, nodes.section)]
    title = _heading(sections[0]) if len(sections) == 1 else ""
    outline = Outline(title)
    _enter(tree, outline, id, level=0)
    return Document(id, title, id, outline.sections())


def _parsed(text: str) -> nodes.document:
    if max(map(len, text.split("\n"))) > _LONGEST_LINE:
        raise BadInput(f"not reStructuredText: a line longer than {_LONGEST_LINE} characters")
    try:
        with _sphinx_understood():
            tree: nodes.document = publish_doctree(
                text, settings_overrides={**_SETTINGS, "warning_stream": io.StringIO()}
            )
    except Exception as error:  # docutils does not say which errors malformed text can end in
        raise BadInput(f"not reStructuredText that docutils can parse ({error})") from None
    return tree


def _heading(section: nodes.section) -> str:
    title = section.next_node(nodes.title)
    return " ".join(title.astext().split()) if title else ""


def _enter(parent: nodes.Node, outline: Outline, id: str, level: int) -> None:
    """Walk through what is in a node; a block ends the paragraph, anything else goes on with it."""
    for node in parent.children:
        if isinstance(node, nodes.Text):
            outline.add_text(node.astext())
        elif isinstance(node, nodes.section):
            heading = _heading(node)
            outline.open(level + 1, heading, link_name(node["ids"], heading))
            _enter(node, outline, id, level + 1)
        elif isinstance(node, _Object):
            outline.open_object(node["heading"], node["anchor"])
            _enter(node, outline, id, level)
            outline.close_object()
        elif isinstance(node, nodes.row):
            outline.add_paragraph(" ".join(entry.astext() for entry in node.children))
            _note_links(node, outline, id)
        elif isinstance(node, nodes.problematic):
            outline.add_text(node.astext().strip("|`*_"))
        elif isinstance(node, (nodes.term, nodes.field_name)):
            outline.add_text(f"{node.astext()}: ")
        elif isinstance(node, nodes.title) and isinstance(parent, nodes.section):
            _note_links(node, outline, id)
        elif _shows_text(node):
            _enter(node, outline, id, level)
            if isinstance(node, (nodes.reference, nodes.inline)):
                _note_link(node, outline, id)
            elif not isinstance(node, nodes.Inline):
                outline.end_paragraph()


def _shows_text(node: nodes.Node) -> bool:
    contents = isinstance(node, nodes.topic) and "contents" in node["classes"]
    return not isinstance(node, _NO_TEXT) and not contents


def _note_links(node: nodes.Element, outline: Outline, id: str) -> None:
    for found in (*node.findall(nodes.reference), *node.findall(nodes.inline)):
        _note_link(found, outline, id)


def _note_link(node: nodes.Element, outline: Outline, id: str) -> None:
    anchor = node.get("refid")
    uri = f"#{anchor}" if anchor else node.get("refuri", "")
    target = address(uri, id) if uri else node.get("refname", "")
    if target:
        outline.add_link(node.astext(), target)


@contextmanager
def _sphinx_understood() -> Iterator[None]:
    """Answer docutils when it asks for a directive or role; its registries stay as they are."""
    known_directive, known_role = directives.directive, roles.role
    registered: dict[str, Any] = vars(roles)["_roles"]
    before = dict(registered)

    def directive(name: str, language: Any, document: Any) -> Any:
        kind = _directive(name)
        if kind:
            return kind, []
        known, _ = known_directive(name, language, document)
        return known or _Content, []

    def role(name: str, language: Any, lineno: int, reporter: Any) -> Any:
        known, _ = known_role(name, language, lineno, reporter)
        return known or _sphinx_role, []

    directives.directive = directive  # type: ignore[assignment]
    roles.role = role  # type: ignore[assignment]
    try:
        yield
    finally:
        directives.directive, roles.role = known_directive, known_role
        registered.clear()  # of the roles that the text itself defined
        registered.update(before)


def _directive(name: str) -> type[Directive] | None:
    base = name.rpartition(":")[2]
    if name in _NOT_SHOWN:
        return _Nothing
    if name in _CODE:
        return _Code
    return _DescribedObject if base in _OBJECTS else None


class _Object(nodes.General, nodes.Element):
    """A documented object: its signature as ``heading``, its name as ``anchor``."""


class _AnyOption(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        return directives.unchanged


class _Tolerant(Directive):
    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[Any] = _AnyOption(name=directives.unchanged)


class _Nothing(_Tolerant):
    def run(self) -> list[nodes.Node]:
        return []


class _Code(_Tolerant):
    def run(self) -> list[nodes.Node]:
        text = "\n".join(self.content)
        return [nodes.literal_block(text, text)]


class _Content(_Tolerant):
    def run(self) -> list[nodes.Node]:
        shown = nodes.container()
        if self.arguments:
            words, _ = self.state.inline_text(self.arguments[0], self.lineno)
            shown += nodes.paragraph("", "", *words)
        self.state.nested_parse(self.content, self.content_offset, shown)
        return [shown]


class _DescribedObject(_Tolerant):
    def run(self) -> list[nodes.Node]:
        signature = " ".join(self.arguments[0].split("\n")[0].split()) if self.arguments else ""
        described = _Object(heading=signature, anchor=signature.partition("(")[0].split(" ")[-1])
        self.state.nested_parse(self.content, self.content_offset, described)
        return [described]


def _sphinx_role(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Any,
    options: Any = None,
    content: Any = None,
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """What a role of Sphinx shows: the words given, or the last part of the name."""
    text = unescape(text)
    given = _WORDS_AND_TARGET.match(text)
    if not given:
        shown = text.rpartition(".")[2] if text.startswith("~") else text.lstrip("!")
        return [nodes.inline(rawtext, shown)], []
    words, target = given[1], given[2].lstrip("~!")
    base = name.rpartition(":")[2]
    if base in _ROLES_FOR_PAGES:
        return [nodes.inline(rawtext, words, refuri=target)], []
    label = nodes.make_id(target) if base in _ROLES_FOR_LABELS else target
    return [nodes.inline(rawtext, words, refname=label)], []
