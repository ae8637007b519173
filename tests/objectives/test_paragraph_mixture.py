import pytest
import torch

from polyvec.data.documents import Document, Link, Section
from polyvec.errors import BadInput
from polyvec.objectives.contrastive import Contrastive
from polyvec.objectives.paragraph_mixture import PairMixture, PairRows
from polyvec.objectives.paragraph_tasks import (
    BodyFirst,
    InverseCloze,
    LinkPrediction,
    ParagraphPair,
    RandomCrop,
)

PAGES = [
    Document(
        f"p{n}",
        f"Page {n}",
        f"p{n}",
        (
            Section(
                paragraphs=(f"Page {n} of the book is here. It speaks of {n} birds and trees.",)
            ),
            Section(
                "B", paragraphs=(f"The other side of {n} is dark. Nobody ever saw {n} though.",)
            ),
            Section(
                "C",
                paragraphs=(f"Read on in the book at {n} now.",),
                links=(Link("book", f"p{(n + 1) % 20}"),),
            ),
        ),
    )
    for n in range(20)
]
ALL = [InverseCloze(), BodyFirst(), LinkPrediction()]


def counts(rows):
    return rows.report()["pairs"]


def test_all_pairs_are_taken_in_proportion_to_the_tasks_in_random_order():
    rows = PairMixture(ALL).draw(PAGES)
    assert counts(rows) == {"ict": 40, "bfs": 40, "wlp": 20}
    tasks = [pair.task for pair in rows.pairs]
    assert len({tuple(sorted(tasks[start : start + 25])) for start in (0, 25, 50, 75)}) > 1
    assert set(tasks[:20]) == {"ict", "bfs", "wlp"}


def test_the_seed_decides_and_the_order_of_tasks_does_not():
    first, again, other = (PairMixture(ALL, seed=seed).draw(PAGES).pairs for seed in (1, 1, 2))
    assert first == again != other
    assert set(PairMixture(ALL[::-1], seed=1).draw(PAGES).pairs) == set(first)


def test_weights_take_as_many_as_the_scarcest_allows():
    assert counts(PairMixture(ALL, "uniform").draw(PAGES)) == {"ict": 20, "bfs": 20, "wlp": 20}
    rows = PairMixture(ALL, {"ict": 0.6, "bfs": 0.2, "wlp": 0.2}).draw(PAGES)
    assert counts(rows) == {"ict": 40, "bfs": 13, "wlp": 13}


def test_more_rounds_draw_more_and_count_a_pair_once():
    rows = PairMixture([InverseCloze(), RandomCrop()], rounds=12).draw(PAGES)
    # Each of 40 passages of two sentences can be asked for in two ways.
    assert counts(rows)["ict"] == 80
    assert len(set(rows.pairs)) == len(rows.pairs)
    one = PairMixture([BodyFirst()]).draw([*PAGES, Document("bare", "", "bare")])
    more = PairMixture([BodyFirst()], rounds=5).draw([*PAGES, Document("bare", "", "bare")])
    assert one.skipped == more.skipped == {"bfs": {"pages without a second section of prose": 1}}


def rows_of(*places, by_page):
    """Rows of (page, passage)."""
    pairs = [
        ParagraphPair("t", f"q{n}", f"d{n}", page, passage, page)
        for n, (page, passage) in enumerate(places)
    ]
    return PairRows(pairs, by_page, pages=3, skipped={})


def test_rows_are_labelled_by_passage_or_by_page_and_passage():
    places = [("a", "a1"), ("a", "a2"), ("b", "a1"), ("b", "b1")]
    dataset = rows_of(*places, by_page=False).to_dataset()
    assert dataset.column_names == ["anchor", "positive", "label"]
    assert dataset[:] == {
        "anchor": ["q0", "q1", "q2", "q3"],
        "positive": ["d0", "d1", "d2", "d3"],
        "label": [0, 1, 0, 2],
    }
    dataset = rows_of(*places, by_page=True).to_dataset()
    assert dataset["label"][:] == [[0, 0], [0, 1], [1, 0], [1, 2]]


def test_pages_are_told_apart_where_a_task_asks_for_whole_ones():
    assert PairMixture([InverseCloze(), RandomCrop()]).draw(PAGES).by_page is False
    assert PairMixture([InverseCloze(), BodyFirst()]).draw(PAGES).by_page is True


def test_expected_counts_are_those_of_passages_in_a_batch():
    rows = rows_of(("a", "x"), ("b", "y"), ("c", "x"), ("c", "x"), by_page=True)
    assert torch.equal(rows.expected_counts(batch=2), torch.tensor([1.5, 0.5]))


def test_a_mixture_trains_with_the_contrastive_objective(tiny_model):
    rows = PairMixture(ALL).draw(PAGES)
    part = rows.to_dataset()[:8]
    model = tiny_model()
    objective = Contrastive(
        model, 1.0, margin=None, similarity="dot", expected_counts=rows.expected_counts(8)
    )
    features = [model.preprocess(part[column]) for column in ("anchor", "positive")]
    loss = objective(features, torch.tensor(part["label"]))
    loss.backward()
    assert loss.item() > 0


def test_nothing_to_draw_from_gives_no_rows():
    rows = PairMixture([InverseCloze(), BodyFirst()]).draw([])
    assert len(rows.to_dataset()) == 0
    assert rows.report()["pairs"] == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tasks": []}, "^a mixture of nothing: give one task or more, each once"),
        ({"tasks": [BodyFirst(), BodyFirst()]}, "^a mixture of bfs, bfs: give one"),
        ({"tasks": ALL, "rounds": 0}, "^rounds=0: give 1 or more"),
        ({"tasks": ALL, "weights": "equal"}, "^weights 'equal': give proportional, uniform, or a"),
        ({"tasks": ALL, "weights": {"ict": 1}}, "for each of ict, bfs, wlp$"),
        ({"tasks": [BodyFirst()], "weights": {"bfs": 0}}, "a number above 0 for each of bfs$"),
    ],
)
def test_settings_are_checked(options, says):
    with pytest.raises(BadInput, match=says):
        PairMixture(**options)


def test_a_weight_for_a_task_without_pairs_is_refused():
    bare = [Document("a", "", "a", (Section(paragraphs=("One is not enough.",)),))]
    with pytest.raises(BadInput, match=r"^bfs makes no pair of these documents; leave it out"):
        PairMixture([BodyFirst()], "uniform").draw(bare)
