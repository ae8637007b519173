"""Word documents: headings by their styles, tables row by row, links to other documents."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.oxml.exceptions import InvalidXmlError
from docx.oxml.ns import qn
from docx.styles.style import ParagraphStyle
from docx.text.paragraph import Paragraph

from polyvec.data.documents import Document
from polyvec.data.link_targets import address
from polyvec.data.outline import Outline
from polyvec.errors import BadInput

LARGEST_UNPACKED = 500 * 2**20
"""Bytes of all parts of a file together."""
_MOST_PACKED = 200
"""Unpacked bytes for each packed one from which a large file was made to fill the memory."""
_LARGE = 20 * 2**20

_COMPOUND = b"\xd0\xcf\x11\xe0"

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_CONTENTS = re.compile(r"(toc|table of figures)\b.*", re.IGNORECASE)
_TEXT, _HYPHEN = qn("w:t"), qn("w:noBreakHyphen")
_SPACES = {qn("w:tab"), qn("w:br"), qn("w:cr"), qn("w:ptab")}
_WITHOUT_TEXT = {
    qn("w:pPr"),
    qn("w:rPr"),
    qn("w:del"),
    qn("w:moveFrom"),
    qn("w:drawing"),
    qn("w:pict"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent",
}
"""Settings, deleted text, and drawings, whose text boxes come twice."""
_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_CONTROL, _CONTROLLED = qn("w:sdt"), qn("w:sdtContent")


def read_docx(content: bytes, id: str) -> Document:
    """Read one Word document.

    Headings are the paragraphs in a style for headings, or in a style or with a setting that gives
    them an outline level. A row of a table is a paragraph, ``|`` between its cells. The title is
    the paragraph in the style Title, or the property of this name. Tables of contents, headers,
    footnotes and text boxes are left out.

    Args:
        content: the file.
        id: its path in the corpus.

    Raises:
        BadInput: when it is no Word document, or would fill the memory when unpacked.
    """
    word = _opened(content)
    body = word.element.body
    paragraphs = [Paragraph(element, word) for element in body.iter(_PARAGRAPH)]
    titles = (_text(p._p) for p in paragraphs if _style_names(p)[:1] == ["Title"])
    title = next(filter(None, titles), "") or " ".join(word.core_properties.title.split())
    outline = Outline(title)
    for element in _blocks(body):
        if element.tag == _TABLE:
            for row in _rows(element):
                outline.add_paragraph(row)
        else:
            _add(Paragraph(element, word), outline, id)
    return Document(id, title, id, outline.sections())


def _opened(content: bytes) -> WordDocument:
    if content.startswith(_COMPOUND):
        raise BadInput("encrypted, or in the format of Word before 2007")
    try:
        with zipfile.ZipFile(BytesIO(content)) as parts:
            size = sum(part.file_size for part in parts.infolist())
        if size > LARGEST_UNPACKED or (size > _LARGE and size > _MOST_PACKED * len(content)):
            raise BadInput(f"{size // 2**20} MB when unpacked; this is no usual document")
        return docx.Document(BytesIO(content))
    except BadInput:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        InvalidXmlError,
        AttributeError,
        EOFError,
        LookupError,
        OSError,
        RuntimeError,
        SyntaxError,  # which lxml's errors are
        ValueError,
    ) as error:
        raise BadInput(f"not a Word document ({error})") from None


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, those inside of content controls too."""
    for child in parent:
        if child.tag in (_PARAGRAPH, _TABLE):
            yield child
        elif child.tag in (_CONTROL, _CONTROLLED):
            yield from _blocks(child)


def _add(paragraph: Paragraph, outline: Outline, id: str) -> None:
    text = _text(paragraph._p)
    names = _style_names(paragraph)
    if not text or any(_CONTENTS.fullmatch(name) for name in names):
        return
    level = 1 if names[:1] == ["Title"] else _level(paragraph, names)
    if level:
        outline.open(min(level, 6), text, _bookmark(paragraph))
        return
    for link in paragraph.hyperlinks:
        target = address(link.url or f"#{link.fragment}", id)
        if target:
            outline.add_link(link.text, target)
    outline.add_paragraph(text)


def _text(element: Any) -> str:
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag == _HYPHEN:
            yield "-"
        elif child.tag in _SPACES:
            yield " "
        elif child.tag not in _WITHOUT_TEXT:
            yield from _pieces(child)


def _rows(table: Any) -> Iterator[str]:
    """Each row's cells; the paragraphs of a cell run on, and so do tables in it."""
    for row in _own(table, _ROW):
        cells = (" ".join(map(_text, cell.iter(_PARAGRAPH))) for cell in _own(row, _CELL))
        yield " | ".join(cell for cell in cells if cell)


def _own(element: Any, tag: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, those of tables inside left out."""
    return (
        child for child in element.iter(tag) if next(child.iterancestors(element.tag)) is element
    )


def _style_names(paragraph: Paragraph) -> list[str]:
    """The paragraph's style and those that it is based on."""
    style: ParagraphStyle | None = paragraph.style
    names: list[str] = []
    while style is not None and style.name not in names:
        names.append(style.name or "")
        style = style.base_style
    return names


def _level(paragraph: Paragraph, names: list[str]) -> int:
    """Level of a heading, from 1; 0 for a paragraph that is none."""
    found = next((match for name in names if (match := _HEADING.fullmatch(name))), None)
    if found:
        return int(found[1])
    settings = [paragraph._p.pPr, paragraph.style.element.pPr if paragraph.style else None]
    for setting in settings:
        level = None if setting is None else setting.find(qn("w:outlineLvl"))
        if level is not None and level.get(qn("w:val"), "9") < "9":  # 9 is body text
            return int(level.get(qn("w:val"))) + 1
    return 0


def _bookmark(paragraph: Paragraph) -> str:
    mark = paragraph._p.find(qn("w:bookmarkStart"))
    return "" if mark is None else mark.get(qn("w:name"), "")
