from collections import Counter

import pytest

from polyvec.data.documents import Document, Link, Section
from polyvec.data.passages import sentences
from polyvec.errors import BadInput
from polyvec.objectives.paragraph_tasks import (
    BodyFirst,
    Corpus,
    InverseCloze,
    LinkPrediction,
    RandomCrop,
)

KITES = "Red kites soar over the hills. They feed on what is dead. No."
NESTS = "Nests are built in tall trees."
OWLS = "Owls hunt at night without a sound. A kite does not do that."
CODE = "x = {1: 2, 3: 4} + f(y)[0] - 17 * (a % b)."


def page(name, *sections, title=""):
    return Document(name, title, name, sections)


def prose(*paragraphs, heading="", links=()):
    return Section(heading, paragraphs=paragraphs, links=tuple(Link(*link) for link in links))


def kites(**more):
    return page("kites", prose(KITES), prose(NESTS, heading="Nests", **more), title="Kites")


def owls():
    link = ("kite", "kites#nests")
    return page("owls", prose(OWLS, links=[link]), prose("See the kites. " + NESTS), title="Owls")


def pairs_of(task, *documents, seed=0, skipped=None):
    skipped = Counter() if skipped is None else skipped
    return list(task.pairs(Corpus(documents), seed, skipped))


def test_inverse_cloze_worked_by_hand():
    (pair,) = pairs_of(InverseCloze(), kites())
    assert pair.query in sentences(KITES)[:2]  # "No." asks for nothing
    rest = [part for part in sentences(KITES) if part != pair.query]
    assert pair.text == "Kites\n" + " ".join(rest)
    assert (pair.task, pair.page, pair.passage, pair.source) == (
        "ict",
        "kites",
        "kites#0.0",
        "kites",
    )
    (bare,) = pairs_of(InverseCloze(add_title=False), kites())
    assert bare.text == " ".join(rest)


@pytest.mark.parametrize("again", ["We say this one twice.", "WE SAY this one twice."])
def test_inverse_cloze_never_leaves_the_sentence_also_when_it_is_said_twice(again):
    text = f"We say this one twice. But we say that one once. {again} No."
    for seed in range(40):
        (pair,) = pairs_of(InverseCloze(), page("p", prose(text)), seed=seed)
        assert pair.query == "But we say that one once."
        assert pair.query not in pair.text
    assert pairs_of(InverseCloze(), page("p", prose("We say this one twice. " * 3))) == []


def test_inverse_cloze_that_removes_nothing_leaves_the_passage_whole():
    for seed in range(10):
        (pair,) = pairs_of(InverseCloze(remove_prob=0.0), kites(), seed=seed)
        assert pair.text == f"Kites\n{KITES}"
    (single,) = pairs_of(InverseCloze(remove_prob=0.0, min_sentences=1), page("n", prose(NESTS)))
    assert single.query == single.text == NESTS


def test_inverse_cloze_removes_at_the_rate_that_is_asked_for():
    pages = [
        page(f"p{n}", prose(f"Number {n} is right here. It stands all alone today."))
        for n in range(800)
    ]
    found = [
        pair
        for pair in pairs_of(InverseCloze(remove_prob=0.7), *pages)
        if pair.query.startswith("Number")
    ]
    # "It stands all alone today." is said far too often to ask with. 800 draws of .3: 240, deviation 13.
    assert len(found) == 800
    assert 190 < sum(pair.query in pair.text for pair in found) < 290


def test_what_asks():
    repeated = "This note is on every page."
    pages = [page(f"p{n}", prose(f"Page {n} of the book. {repeated}")) for n in range(21)]
    corpus = Corpus([*pages, page("c", *map(prose, (CODE, "Too short.", "word " * 49, NESTS)))])
    assert corpus.asks("Page 3 of the book.")
    assert corpus.asks(NESTS)
    for sentence in (repeated, CODE, "Too short.", ("word " * 49).strip()):
        assert not corpus.asks(sentence)
    assert Corpus(pages[:20]).asks(repeated)


def test_body_first_asks_with_each_sentence_of_the_lead_for_later_sections():
    skipped = Counter()
    bare, short = page("bare", prose(NESTS)), page("short", prose("No lead."), prose(NESTS))
    found = pairs_of(BodyFirst(), kites(), bare, short, skipped=skipped)
    assert [(pair.query, pair.text) for pair in found] == [
        ("Red kites soar over the hills.", NESTS),
        ("They feed on what is dead.", NESTS),
    ]
    assert {(pair.passage, pair.page, pair.source) for pair in found} == {
        ("kites#1.0", "kites", "kites")
    }
    assert skipped == {
        "pages without a second section of prose": 1,
        "pages whose lead has no sentence to ask with": 1,
    }


def test_the_lead_is_the_first_section_with_prose():
    empty = page("kites", Section("Contents"), prose(KITES), prose(NESTS))
    assert len(pairs_of(BodyFirst(), empty)) == 2


def test_body_first_leaves_out_passages_that_say_the_query():
    repeating = page("kites", prose(KITES), prose(KITES.upper()))
    skipped = Counter()
    assert pairs_of(BodyFirst(), repeating, skipped=skipped) == []
    assert skipped == {"pairs whose passage says the query word for word": 2}


def test_link_prediction_asks_for_the_passage_that_holds_the_link():
    skipped = Counter()
    (pair,) = pairs_of(LinkPrediction(), kites(), owls(), skipped=skipped)
    assert pair.query in sentences(KITES)[:2]
    assert (pair.text, pair.passage, pair.page, pair.source) == (OWLS, "owls#0.0", "kites", "owls")
    assert skipped == {"pages that no passage of another links to": 1}


def test_link_prediction_of_any_passage_takes_one_of_each_linking_page():
    links = [("kite", "kites"), ("not", "kites")]
    linking = page("owls", prose(OWLS, links=links), prose(NESTS))
    found = {
        pair.passage
        for seed in range(30)
        for pair in pairs_of(LinkPrediction("any"), kites(), linking, seed=seed)
    }
    assert found == {"owls#0.0", "owls#1.0"}
    assert len(pairs_of(LinkPrediction("any"), kites(), linking)) == 1


def test_links_within_a_page_or_to_nowhere_or_with_lost_text_make_no_pair():
    inside = kites(links=[("Nests", "kites#nests")])
    lost = page("lost", prose(OWLS, links=[("gone", "nowhere"), ("written elsewhere", "kites")]))
    skipped = Counter()
    assert pairs_of(LinkPrediction(), inside, lost, skipped=skipped) == []
    assert skipped["links whose text stands in no passage"] == 1


def test_no_page_is_all_that_is_asked_for():
    many = [
        page(f"p{n}", prose(f"Number {n} says kite.", links=[("kite", "kites")])) for n in range(9)
    ]
    found = pairs_of(LinkPrediction(max_per_target=4), kites(), *many)
    assert len({pair.passage for pair in found}) == len(found) == 4
    assert len(pairs_of(LinkPrediction(), kites(), *many)) == 9


def test_link_prediction_without_links_names_the_field():
    says = r"^1 documents without a link .* the field sections\[\]\.links; .* or leave wlp out$"
    with pytest.raises(BadInput, match=says):
        pairs_of(LinkPrediction(), kites())


def test_random_crops_are_runs_of_words_of_the_passage():
    text = " ".join(f"w{n}" for n in range(40))
    sizes = set()
    for seed in range(50):
        (pair,) = pairs_of(RandomCrop(), page("p", prose(text)), seed=seed)
        for crop in (pair.query, pair.text):
            assert f" {crop} " in f" {text} "
            sizes.add(len(crop.split()))
    assert min(sizes) == 4
    assert max(sizes) in (19, 20)
    skipped = Counter()
    assert (
        pairs_of(
            RandomCrop(), page("p", prose("Seven words are not enough for it.")), skipped=skipped
        )
        == []
    )
    assert skipped == {"passages too short for crops of 4 words": 1}


@pytest.mark.parametrize("task", [InverseCloze(), BodyFirst(), LinkPrediction(), RandomCrop()])
def test_the_seed_decides(task):
    many = [
        page(
            f"p{n}",
            prose(f"Page {n} of the book is here. It speaks of birds and {n} trees."),
            prose(f"The other side of {n} is dark and empty. Nobody ever saw page {n} though."),
            prose(f"Read more on page {n} in the book.", links=[("page", f"p{(n + 1) % 20}")]),
        )
        for n in range(20)
    ]
    assert pairs_of(task, *many, seed=1) == pairs_of(task, *many, seed=1)
    assert pairs_of(task, *many, seed=1) != pairs_of(task, *many, seed=2)


@pytest.mark.parametrize(
    ("task", "options", "says"),
    [
        (InverseCloze, {"remove_prob": 1.1}, "^remove_prob=1.1: give a probability"),
        (InverseCloze, {"min_sentences": 1}, "^min_sentences=1 with remove_prob=1: .* give 2 or"),
        (InverseCloze, {"min_sentences": 0, "remove_prob": 0.5}, "^min_sentences=0"),
        (LinkPrediction, {"passage": "next"}, "^passage='next': give linking or any"),
        (LinkPrediction, {"max_per_target": 0}, "^max_per_target=0: give 1 or more"),
        (RandomCrop, {"shortest": 0.6}, "^crops of 0.6 to 0.5 of a passage: give shares"),
        (RandomCrop, {"shortest": 0.0}, "^crops of 0 to 0.5"),
    ],
)
def test_settings_are_checked(task, options, says):
    with pytest.raises(BadInput, match=says):
        task(**options)
