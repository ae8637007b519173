import io
import logging

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from polyvec.data import pdf_lines
from polyvec.data.pdf import read_pdf
from polyvec.errors import BadInput

FONT = DictionaryObject(
    {
        NameObject("/Type"): NameObject("/Font"),
        NameObject("/Subtype"): NameObject("/Type1"),
        NameObject("/BaseFont"): NameObject("/Helvetica"),
        NameObject("/Encoding"): NameObject("/WinAnsiEncoding"),
    }
)


def line(text, y, size=10, x=50):
    """A line of text: its words, base line, letter size and start."""
    escaped = text.replace("(", "\\(").replace(")", "\\)")
    return f"BT /F1 {size} Tf {x} {y} Td ({escaped}) Tj ET"


def column(*texts, top=700, gap=12, x=50):
    """Lines of body text below each other."""
    return [line(text, top - gap * n, x=x) for n, text in enumerate(texts)]


def pdf(pages, title="", outline=(), password=""):
    writer = PdfWriter()
    for lines in pages:
        page = writer.add_blank_page(600, 800)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): FONT})}
        )
        stream = DecodedStreamObject()
        stream.set_data("\n".join(lines).encode("cp1252"))
        page[NameObject("/Contents")] = writer._add_object(stream)
    parents = {}
    for level, heading, page_number in outline:
        parent = parents.get(level - 1)
        parents[level] = writer.add_outline_item(
            title=heading, page_number=page_number, parent=parent
        )
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def sections(document):
    return [(s.path, s.heading, s.paragraphs) for s in document.sections]


def paragraphs(*pages):
    (section,) = read_pdf(pdf(pages), "x.pdf").sections
    return list(section.paragraphs)


def test_headings_and_title_by_letter_size():
    page = [
        line("Brewing tea", 760, 24),
        line("and other leaves", 734, 24),
        line("1 Water", 700, 16),
        *column("Boil fresh water.", top=680),
        line("1.1 Hard water", 650, 13),
        *column("Filter it before it", "is boiled.", top=630),
        line("2 Leaves", 590, 16),
        *column("Green or black.", top=570),
    ]
    document = read_pdf(pdf([page]), "tea.pdf")
    assert (document.id, document.group) == ("tea.pdf", "tea.pdf")
    assert document.title == "Brewing tea and other leaves"
    assert sections(document) == [
        ((), "1 Water", ("Boil fresh water.",)),
        (("1 Water",), "1.1 Hard water", ("Filter it before it is boiled.",)),
        ((), "2 Leaves", ("Green or black.",)),
    ]


def test_headings_from_the_outline_wherever_they_stand_in_the_text():
    first = column("Tea", "3.1 Water", "Boil it.", "Dots and Dashes .", "More.", gap=20)
    second = column("A heading that runs", "over two lines", "The end.", gap=12)
    outline = [
        (1, "Water", 0),
        (2, "Dots and dashes", 0),
        (1, "A heading that runs over two lines", 1),
        (1, "Not there", 1),
    ]
    document = read_pdf(pdf([first, second], "Tea", outline), "tea.pdf")
    assert document.title == "Tea"
    assert sections(document) == [
        ((), "Water", ("Boil it.",)),
        (("Water",), "Dots and Dashes .", ("More.",)),
        ((), "A heading that runs over two lines", ("The end.",)),
    ]


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("  The  Tea Book ", "The Tea Book"),
        ("Microsoft Word - The Tea Book", "The Tea Book"),
        ("Microsoft Word - tea_v2.DOC", "Large"),
        ("untitled", "Large"),
        ("", "Large"),
    ],
)
def test_a_title_in_the_metadata_that_means_something(written, title):
    page = [line("Large", 760, 20), *column("Body text is here, more of it than in the title.")]
    assert read_pdf(pdf([page], written), "x.pdf").title == title


def test_without_a_large_line_there_is_no_title():
    assert read_pdf(pdf([column("All is of one size.")]), "x.pdf").title == ""


def test_words_broken_at_line_ends_are_put_together():
    lines = column(
        "A well-known way of adapt-",
        "ing is known to be a well-",
        "known one, says Smith-",
        "Jones about it.",
    )
    assert paragraphs(lines) == [
        "A well-known way of adapting is known to be a well-known one, says Smith-Jones about it."
    ]


def test_paragraphs_end_at_gaps_indents_bullets_and_short_last_lines():
    lines = [
        *column("This line is a long one of the page and", "ends here, short.", top=700),
        *column("Without any gap this one starts but is", "not yet at its end", top=676),
        *column("A gap parts it.", top=630),
        *column("An indent does.", top=618, x=65),
        *column("• one thing", "• another", top=606),
    ]
    assert paragraphs(lines) == [
        "This line is a long one of the page and ends here, short.",
        "Without any gap this one starts but is not yet at its end",
        "A gap parts it.",
        "An indent does.",
        "• one thing",
        "• another",
    ]


def test_a_sentence_goes_on_in_the_next_column_and_on_the_next_page():
    first = [*column("Left column", "goes on"), *column("in the right", "one and", x=300)]
    second = column("on the next page.", "An end.")
    assert paragraphs(first, second) == [
        "Left column goes on in the right one and on the next page. An end."
    ]


def test_running_headers_page_numbers_and_contents_are_left_out():
    pages = [
        [
            line(f"The Tea Book, chapter {n}", 780),
            *column(f"Page {word} says this.", "Chapter 1 ........ 12"),
            line(str(n), 20),
        ]
        for n, word in enumerate(["one", "two", "three"], 1)
    ]
    assert paragraphs(*pages) == [
        "Page one says this.",
        "Page two says this.",
        "Page three says this.",
    ]


def test_what_two_pages_share_stays():
    pages = [[line("Header", 780), *column("Text.")]] * 2
    assert paragraphs(*pages) == ["Header", "Text.", "Header", "Text."]


def test_ligatures_are_letters():
    collector = pdf_lines._LineCollector(0)
    collector.add("e\ufb03cient", [1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0], None, 10)
    collector.end_line()
    assert collector.lines[0].text == "efficient"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "malformed PDF"),
        (b"%PDF-1.7 nothing of the kind", "malformed PDF"),
        (pdf([column("Text.")])[:300], "malformed PDF"),
        (pdf([column("Text.")], password="secret"), "encrypted; it needs a password"),
        (pdf([[]]), r"no text \(scanned pages\?\)"),
        (pdf([column("12 34")]), "no text"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(content, reason, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(BadInput, match=reason):
        read_pdf(content, "x.pdf")
    assert not caplog.records


def test_too_many_pages_and_too_much_time(monkeypatch):
    content = pdf([column("Text.")] * 3)
    monkeypatch.setattr(pdf_lines, "MOST_PAGES", 2)
    with pytest.raises(BadInput, match="3 pages; at most 2 are read"):
        read_pdf(content, "x.pdf")
    monkeypatch.setattr(pdf_lines, "MOST_PAGES", 3)
    monkeypatch.setattr(pdf_lines, "MOST_SECONDS", -1.0)
    with pytest.raises(BadInput, match="page 0 not reached"):
        read_pdf(content, "x.pdf")


def test_one_malformed_page_does_not_lose_the_others(monkeypatch):
    real = pdf_lines._lines_of_page

    def broken(page, number):
        if number == 1:
            raise KeyError("/Font")
        return real(page, number)

    monkeypatch.setattr(pdf_lines, "_lines_of_page", broken)
    assert paragraphs(column("One."), column("Two."), column("Three.")) == ["One.", "Three."]


def test_encrypted_without_a_password():
    writer = PdfWriter(clone_from=io.BytesIO(pdf([column("Open text.")])))
    writer.encrypt("", "owner", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    assert read_pdf(file.getvalue(), "x.pdf").text == "Open text."
