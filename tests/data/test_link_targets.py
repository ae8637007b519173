"""Links: what is written in one document and where it leads in the corpus."""

from __future__ import annotations

from polyvec.data.documents import Document, Link, Section
from polyvec.data.link_targets import resolve_links


def resolved(targets: list[str], source: str, *others: Document) -> list[str]:
    links = tuple(Link(f"to {target}", target) for target in targets)
    first = Document(source, "", source, (Section(links=links),))
    return [link.target for link in resolve_links([first, *others])[0].sections[0].links]


def page(id: str, *anchors: str) -> Document:
    sections = tuple(Section(a, anchor=a, paragraphs=("Text.",)) for a in anchors)
    return Document(id, "", id, sections or (Section(paragraphs=("Text.",)),))


def test_addresses_of_pages() -> None:
    others = (page("a.html", "x"), page("b/index.html"), page("c.md"), page("d.rst", "y"))
    targets = ["a.html#x", "a", "b", "b/", "c", "c.html", "d#y", "a.html#gone", "x", "gone.html"]
    assert resolved(targets, "start.html", *others) == [
        "a.html#x",
        "a.html",
        "b/index.html",
        "b/index.html",
        "c.md",
        "c.md",
        "d.rst#y",
    ]


def test_names_of_python_objects() -> None:
    others = (
        page("lib._core.base", "solve", "Model.fit"),
        page("lib._core.other", "solve", "norm"),
        page("far.tools", "norm", "trace"),
    )
    targets = ["lib.solve", "Model.fit", "lib.Model.fit", "norm", "far.norm", "trace", "nothing"]
    assert resolved(targets, "lib._core.base2", *others) == [
        "lib._core.base#Model.fit",
        "lib._core.base#Model.fit",
        "lib._core.other#norm",
        "far.tools#norm",
    ]


def test_a_section_does_not_link_to_itself() -> None:
    document = Document(
        "a.md", "", "a.md", (Section("X", anchor="x", links=(Link("up", "a.md#x"),)),)
    )
    assert resolve_links([document])[0].sections[0].links == ()


def test_the_anchor_of_a_title_leads_to_the_page() -> None:
    opening = Section(anchor="module-os", paragraphs=("Text.",))
    other = Document("os.html", "os", "os.html", (opening, Section("Files", anchor="files")))
    targets = ["os.html#module-os", "os.html", "os.html#files"]
    assert resolved(targets, "a.html", other) == ["os.html", "os.html", "os.html#files"]
