import pytest

from polyvec.data.documents import Document, Section
from polyvec.data.passages import CODE_LIMIT, TEXT_LIMIT, passages, sentences


def of_paragraphs(*paragraphs):
    found = passages([Document("d", "D", "d", (Section("H", paragraphs=paragraphs),))])
    return [passage.text for passage in found]


def sentence_of(length, letter="x"):
    return letter * (length - 1) + "."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("  Spaces around.  ", ["Spaces around."]),
        ("Version 1.2 stays. So does a.b", ["Version 1.2 stays.", "So does a.b"]),
        ("No end", ["No end"]),
        ("", []),
        ("   ", []),
    ],
)
def test_sentences_end_before_white_space(text, found):
    assert sentences(text) == found


def test_paragraphs_are_packed_up_to_the_limit_and_no_further():
    # 199 + 1 + 200 = 400 fits; another character would not.
    assert of_paragraphs("a" * 199, "b" * 200) == ["a" * 199 + " " + "b" * 200]
    assert of_paragraphs("a" * 200, "b" * 200) == ["a" * 200, "b" * 200]


def test_a_long_paragraph_is_cut_at_sentence_ends():
    first, second, third = sentence_of(150, "a"), sentence_of(150, "b"), sentence_of(150, "c")
    assert of_paragraphs(f"{first} {second} {third}") == [f"{first} {second}", third]


def test_the_last_piece_of_a_long_paragraph_is_packed_with_the_next_paragraph():
    first, second = sentence_of(390, "a"), sentence_of(100, "b")
    assert of_paragraphs(f"{first} {second}", "Next.") == [first, f"{second} Next."]


def test_a_long_sentence_is_cut_at_spaces():
    words = " ".join(["word"] * 200)
    found = of_paragraphs(words)
    assert " ".join(found) == words
    assert all(len(text) <= TEXT_LIMIT for text in found)
    # 80 times "word " is 400 characters with the last space, which is where the first cut falls.
    assert len(found[0]) == 399


def test_a_word_longer_than_the_limit_is_cut_inside():
    assert of_paragraphs("x" * 900) == ["x" * 400, "x" * 400, "x" * 100]


def test_nothing_but_white_space_is_lost():
    paragraphs = ["One two. Three! " * 40, "y" * 1000, "short", "Four five? " * 50]
    found = of_paragraphs(*paragraphs)
    assert all(0 < len(text) <= TEXT_LIMIT for text in found)
    assert "".join("".join(found).split()) == "".join("".join(paragraphs).split())


def test_passages_without_a_letter_and_empty_sections_are_left_out():
    document = Document(
        "d",
        "D",
        "d",
        (
            Section("Empty"),
            Section("Blank", paragraphs=("", "  ")),
            Section("Numbers", paragraphs=("12 34 --- 56",)),
            Section("Words", paragraphs=("Text.",), code="  \n "),
        ),
    )
    assert [passage.id for passage in passages([document])] == ["d#3.0"]


def test_code_is_one_passage_cut_at_a_line_end():
    line = "x = 1  # comment"
    code = "\n" + "\n".join(["    first = 0", *[line] * 100]) + "\n"
    section = Section("f", paragraphs=("Prose.",), summary="Does it.", code=code)
    prose, source = passages([Document("m", "m", "m", (section,))])
    assert (prose.id, prose.kind, prose.text) == ("m#0.0", "text", "Does it. Prose.")
    assert (source.id, source.kind, source.section) == ("m#0.code", "code", 0)
    # 13 characters, then 17 for each further line and its break: 13 + 28 · 17 = 489 fits.
    assert source.text == "\n".join(["    first = 0", *[line] * 28])
    assert len(source.text) <= CODE_LIMIT


def test_a_line_longer_than_the_limit_is_cut_at_the_limit():
    section = Section("f", code="y" * 600 + "\nz")
    (source,) = passages([Document("m", "m", "m", (section,))])
    assert source.text == "y" * CODE_LIMIT


def test_ids_are_unique_and_lead_back_to_document_and_section():
    sections = tuple(
        Section(f"H{n}", paragraphs=("Long sentence here. " * 60,), code="pass") for n in range(3)
    )
    documents = [Document(name, name, name, sections) for name in ("a", "b")]
    found = passages(documents)
    assert len({passage.id for passage in found}) == len(found)
    assert all(p.id.startswith(f"{p.document}#{p.section}.") for p in found)
    assert [p.document for p in found] == sorted(p.document for p in found)


def test_no_documents_give_no_passages():
    assert passages([]) == []
