import pytest

from polyvec.data.documents import Document, Link, Section
from polyvec.data.passages import Passage, passages, sentences
from polyvec.data.structure_pairs import (
    CLOZE,
    HEADING,
    LINK,
    SUMMARY,
    TITLE,
    Pair,
    inverse_cloze_pairs,
    structure_pairs,
)


def pairs_of(*documents, task=None):
    found = structure_pairs(documents, passages(documents))
    return [pair for pair in found if task in (None, pair.task)]


def page(name, *sections, title=""):
    return Document(name, title, name, sections)


def prose(heading, *paragraphs, **more):
    return Section(heading, paragraphs=paragraphs, **more)


def linking(text, target, name="source"):
    return page(name, prose("", "See there.", links=(Link(text, target),)))


def test_one_document_makes_every_kind_of_pair():
    document = page(
        "guide",
        prose("Setting up", "Run make install.", links=(Link("cleaning", "guide#clean"),)),
        prose("Clean", "Remove the folder.", anchor="clean"),
        Section("sweep", summary="Remove old builds.", code="def sweep(): ..."),
        title="User guide",
    )
    assert pairs_of(document) == [
        Pair(TITLE, "User guide", "guide#0.0", "guide"),
        Pair(TITLE, "User guide", "guide#1.0", "guide"),
        Pair(TITLE, "User guide", "guide#2.0", "guide"),
        Pair(HEADING, "Setting up", "guide#0.0", "guide#0"),
        Pair(LINK, "cleaning", "guide#1.0", "guide#1"),
        Pair(HEADING, "Clean", "guide#1.0", "guide#1"),
        Pair(HEADING, "sweep", "guide#2.0", "guide#2"),
        Pair(SUMMARY, "Remove old builds.", "guide#2.code", "guide#2"),
    ]


def test_a_title_asks_for_the_openings_of_its_sections_with_prose():
    sections = [Section("code only", code="pass")]
    sections += [prose(f"Part {n}", "a" * 399, "b" * 399) for n in range(4)]
    found = pairs_of(page("d", *sections, title="Title"), task=TITLE)
    assert [pair.passage for pair in found] == ["d#1.0", "d#2.0", "d#3.0", "d#4.0"]


def test_a_heading_asks_for_every_prose_passage_of_its_section():
    section = prose("Heading", "a" * 399, "b" * 399, code="pass")
    found = pairs_of(page("d", section), task=HEADING)
    assert [pair.passage for pair in found] == ["d#0.0", "d#0.1"]
    assert {pair.answers for pair in found} == {"d#0"}


@pytest.mark.parametrize(
    ("heading", "stays"),
    [("Use", True), ("Go", False), ("1.2.3", False), ("42 is it", True), ("", False)],
)
def test_a_heading_needs_three_letters(heading, stays):
    assert bool(pairs_of(page("d", prose(heading, "Text.")), task=HEADING)) is stays


@pytest.mark.parametrize(
    ("summary", "stays"),
    [("Read a file.", True), ("Read file.", False), ("Read 2 files", False), ("", False)],
)
def test_a_summary_needs_three_words(summary, stays):
    found = pairs_of(page("d", Section("f", summary=summary, code="pass")), task=SUMMARY)
    assert bool(found) is stays


def test_a_summary_without_code_makes_no_pair():
    document = page("d", prose("f", "Text.", summary="Read a large file."))
    assert pairs_of(document, task=SUMMARY) == []


@pytest.mark.parametrize(
    ("target", "passage"),
    [
        ("goal#deep", "goal#2.0"),  # a section by its anchor
        ("goal", "goal#1.0"),  # a page: its first section with prose
        ("goal#gone", "goal#1.0"),  # an unknown anchor: the page
        ("elsewhere", None),
        ("elsewhere#deep", None),
        ("", None),
    ],
)
def test_a_link_leads_to_a_section_or_the_opening_of_a_page(target, passage):
    goal = page(
        "goal",
        Section("Empty"),
        prose("Opening", "First."),
        prose("Deep", "Deep text.", anchor="deep"),
    )
    found = pairs_of(linking("the goal", target), goal, task=LINK)
    assert [pair.passage for pair in found] == ([passage] if passage else [])


def test_a_link_to_a_section_without_prose_makes_no_pair():
    goal = page("goal", Section("f", anchor="f", code="pass"))
    assert pairs_of(linking("the goal", "goal#f"), goal, task=LINK) == []


def test_links_may_come_from_documents_whose_passages_are_elsewhere():
    source, goal = linking("the goal", "goal"), page("goal", prose("", "Text."))
    found = structure_pairs([source, goal], passages([goal]))
    assert found == [Pair(LINK, "the goal", "goal#0.0", "goal#0")]


def test_links_to_passages_that_are_elsewhere_make_no_pair():
    source, goal = linking("the goal", "goal"), page("goal", prose("", "Text."))
    assert structure_pairs([source, goal], passages([source])) == []


@pytest.mark.parametrize("second", ["Parameters", "PARAMETERS", "parameters"])
def test_a_heading_of_two_sections_is_left_out_in_any_letter_case(second):
    documents = [
        page("a", prose("Parameters", "One."), prose("Alone", "Own.")),
        page("b", prose(second, "Two.")),
    ]
    assert [pair.query for pair in pairs_of(*documents, task=HEADING)] == ["Alone"]


def test_an_anchor_text_of_two_targets_is_left_out():
    goals = [page("a", prose("", "One.")), page("b", prose("", "Two."))]
    sources = [linking("here", "a", "s1"), linking("Here", "b", "s2"), linking("page", "b", "s3")]
    assert [pair.query for pair in pairs_of(*goals, *sources, task=LINK)] == ["page"]


def test_one_query_may_mean_different_things_in_different_tasks():
    documents = [page("a", prose("Install", "One.")), page("b", prose("", "Two."), title="Install")]
    assert [(pair.task, pair.answers) for pair in pairs_of(*documents)] == [
        (HEADING, "a#0"),
        (TITLE, "b"),
    ]


def test_two_links_of_one_text_to_one_section_make_one_pair():
    goal = page("goal", prose("", "Text."))
    found = pairs_of(linking("the goal", "goal", "s1"), linking("the goal", "goal", "s2"), goal)
    assert found == [Pair(LINK, "the goal", "goal#0.0", "goal#0")]


def test_a_title_of_two_documents_and_a_summary_of_two_functions_are_left_out():
    function = Section("f", paragraphs=("Text.",), summary="Return the thing.", code="pass")
    documents = [page("a", function, title="Index"), page("b", function, title="Index")]
    assert pairs_of(*documents) == []


def test_pairs_do_not_depend_on_the_order_of_documents():
    documents = [
        page("a", prose("One", "Text."), prose("Same", "x y."), title="First"),
        page(
            "b",
            prose("Two", "Text.", links=(Link("to one", "a"),)),
            prose("same", "z."),
            title="B b",
        ),
    ]
    assert set(pairs_of(*documents)) == set(pairs_of(*documents[::-1]))


FOUR = ["The cat sat down there.", "No.", "A dog barked at the cat.", "Then it was quiet again."]


def piece(text, kind="text", name="d#3.0"):
    return Passage(name, "d", 3, kind, text)


def test_inverse_cloze_takes_one_long_sentence_out():
    pieces = [piece(" ".join(FOUR), name=f"d#3.{n}") for n in range(50)]
    found = inverse_cloze_pairs(pieces, seed=1, keep=0.0)
    assert [pair.passage for pair in found] == [p.id for p in pieces]
    # "No." has fewer than four words and is never asked; all others are, sooner or later.
    assert {pair.query for pair in found} == {FOUR[0], FOUR[2], FOUR[3]}
    for pair in found:
        assert (pair.task, pair.answers) == (CLOZE, "d#3")
        assert pair.text == " ".join(part for part in FOUR if part != pair.query)


def test_inverse_cloze_with_keep_0_never_leaves_the_sentence_even_if_it_is_said_twice():
    twice = "We say this one twice."
    text = f"{twice} Something else stands in between. {twice} And this is the end."
    found = inverse_cloze_pairs([piece(text)] * 50, seed=1, keep=0.0)
    assert len(found) == 50
    assert all(pair.query not in sentences(pair.text) for pair in found)
    assert all(pair.text for pair in found)


def test_inverse_cloze_makes_nothing_of_one_sentence_said_over_and_over():
    assert inverse_cloze_pairs([piece("This is said again now. " * 5)], seed=1, keep=0.0) == []


def test_inverse_cloze_with_keep_1_leaves_the_passage_whole():
    found = inverse_cloze_pairs([piece(" ".join(FOUR))] * 10, seed=1, keep=1.0)
    assert {pair.text for pair in found} == {" ".join(FOUR)}


def test_inverse_cloze_keeps_a_tenth_by_default():
    found = inverse_cloze_pairs([piece(" ".join(FOUR))] * 2000, seed=1)
    kept = sum(pair.query in pair.text for pair in found)
    # 2000 draws of 0.1: 200, standard deviation 13.4.
    assert 150 < kept < 250


@pytest.mark.parametrize(
    "passage",
    [
        piece("One long enough sentence here. Two sentences are not enough."),
        piece("No. Not this. Too short."),
        piece(" ".join(FOUR), kind="code"),
        piece(""),
    ],
)
def test_inverse_cloze_passes_over_what_is_too_short_or_code(passage):
    assert inverse_cloze_pairs([passage], seed=1) == []


def test_inverse_cloze_is_the_same_for_the_same_seed():
    pieces = [piece(" ".join(FOUR), name=f"d#3.{n}") for n in range(20)]
    assert inverse_cloze_pairs(pieces, seed=5) == inverse_cloze_pairs(pieces, seed=5)
    assert inverse_cloze_pairs(pieces, seed=5) != inverse_cloze_pairs(pieces, seed=6)
