import io
import zipfile

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn

from polyvec.data import docx as module
from polyvec.data.documents import Link
from polyvec.data.docx import read_docx
from polyvec.errors import BadInput


def saved(word):
    file = io.BytesIO()
    word.save(file)
    return file.getvalue()


def read(word):
    return read_docx(saved(word), "guide/tea.docx")


def sections(document):
    return [(s.path, s.heading, s.paragraphs) for s in document.sections]


def add_link(paragraph, text, address="", anchor=""):
    link = OxmlElement("w:hyperlink")
    if address:
        part = paragraph.part
        link.set(qn("r:id"), part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    if anchor:
        link.set(qn("w:anchor"), anchor)
    link.append(parse_xml(f"<w:r {nsdecls('w')}><w:t>{text}</w:t></w:r>"))
    paragraph._p.append(link)


def test_headings_make_sections_with_their_paths():
    word = docx.Document()
    word.add_heading("Tea", 0)
    word.add_paragraph("About  tea.")
    word.add_heading("Water", 1)
    word.add_paragraph("Boil it.")
    word.add_heading("Hard water", 2)
    word.add_paragraph("Filter it.\nThen boil.")
    word.add_paragraph("")
    word.add_heading("Leaves", 1)
    word.add_paragraph("Green", style="List Bullet")
    document = read(word)
    assert (document.id, document.title, document.group) == (
        "guide/tea.docx",
        "Tea",
        "guide/tea.docx",
    )
    assert sections(document) == [
        ((), "", ("About tea.",)),
        ((), "Water", ("Boil it.",)),
        (("Water",), "Hard water", ("Filter it. Then boil.",)),
        ((), "Leaves", ("Green",)),
    ]


def test_the_title_may_be_a_property():
    word = docx.Document()
    word.core_properties.title = "Tea "
    word.add_paragraph("Text.")
    assert read(word).title == "Tea"


def test_styles_derived_from_headings_and_outline_levels_are_headings():
    word = docx.Document()
    derived = word.styles.add_style("Chapter", WD_STYLE_TYPE.PARAGRAPH)
    derived.base_style = word.styles["Heading 1"]
    word.add_paragraph("One", style="Chapter")
    by_level = word.add_paragraph("Two")
    by_level._p.get_or_add_pPr().append(parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="1"/>'))
    body = word.add_paragraph("Text.")
    body._p.get_or_add_pPr().append(parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="9"/>'))
    assert sections(read(word)) == [(("One",), "Two", ("Text.",))]


def test_tables_are_read_row_by_row_where_they_stand():
    word = docx.Document()
    word.add_paragraph("Before.")
    table = word.add_table(2, 3)
    for cell, text in zip(table._cells, ["a", "b", "c", "d", "", "f"], strict=True):
        cell.text = text
    table.cell(0, 1).add_paragraph("more")
    table.cell(1, 2).add_table(1, 1).cell(0, 0).text = "inner"
    table.cell(0, 1).merge(table.cell(0, 2))
    word.add_paragraph("After.")
    (section,) = read(word).sections
    assert section.paragraphs == ("Before.", "a | b more c", "d | f inner", "After.")


def test_links_lead_to_other_documents_and_to_bookmarks():
    word = docx.Document()
    heading = word.add_heading("Water", 1)
    heading._p.insert(0, parse_xml(f'<w:bookmarkStart {nsdecls("w")} w:id="1" w:name="water"/>'))
    paragraph = word.add_paragraph("See ")
    add_link(paragraph, "the cups", "../cups.docx")
    add_link(paragraph, " and the water", anchor="water")
    add_link(paragraph, " outside", "https://example.org/x")
    (section,) = read(word).sections
    assert section.anchor == "water"
    assert section.paragraphs == ("See the cups and the water outside",)
    assert section.links == (
        Link("the cups", "cups.docx"),
        Link("and the water", "guide/tea.docx#water"),
    )


def test_text_that_word_puts_into_special_places():
    word = docx.Document()
    namespace = nsdecls("w")
    word.add_paragraph("Contents 3", style=word.styles.add_style("toc 1", WD_STYLE_TYPE.PARAGRAPH))
    changed = word.add_paragraph("Kept")
    for markup in (
        f"<w:ins {namespace}><w:r><w:t> inserted</w:t></w:r></w:ins>",
        f"<w:del {namespace}><w:r><w:delText> deleted</w:delText></w:r></w:del>",
        f"<w:r {namespace}><w:t> so</w:t><w:noBreakHyphen/><w:t>called</w:t><w:tab/><w:t>x</w:t></w:r>",
    ):
        changed._p.append(parse_xml(markup))
    control = (
        f"<w:sdt {namespace}><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p>"
        "</w:sdtContent></w:sdt>"
    )
    word.element.body.insert(0, parse_xml(control))
    (section,) = read(word).sections
    assert section.paragraphs == ("In a control.", "Kept inserted so-called x")


def bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("word/document.xml", b" " * (21 * 2**20))
    return file.getvalue()


def archive(**parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for name, content in parts.items():
            written.writestr(name, content)
    return file.getvalue()


def with_body(markup):
    content = io.BytesIO(saved(docx.Document()))
    changed = io.BytesIO()
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, markup if name == "word/document.xml" else old.read(name))
    return changed.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a Word document"),
        (b"plain text", "not a Word document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "encrypted, or in the format of Word before 2007"),
        (archive(a="b"), "not a Word document"),
        (saved(docx.Document())[:-100], "not a Word document"),
        (with_body(b"<broken"), "not a Word document"),
        (bomb(), "21 MB when unpacked"),
    ],
)
def test_what_is_no_word_document_is_refused(content, reason):
    with pytest.raises(BadInput, match=reason):
        read_docx(content, "x.docx")


def test_a_file_too_large_when_unpacked_is_refused(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_UNPACKED", 1000)
    with pytest.raises(BadInput, match="when unpacked"):
        read_docx(saved(docx.Document()), "x.docx")


def test_entities_are_not_expanded():
    markup = (
        '<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;">]>'
        f"<w:document {nsdecls('w')}><w:body><w:p><w:r><w:t>safe &b;</w:t></w:r></w:p></w:body>"
        "</w:document>"
    )
    assert "boom" not in read_docx(with_body(markup.encode()), "x.docx").text
