"""What is near, and what is new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polyvec.encoders.encoding import encode
from polyvec.errors import BadInput
from polyvec.search.index import Index
from polyvec.search.known_texts import KnownTexts
from polyvec.search.standing_queries import NEAREST, Answer, StandingQuery, answer


@pytest.fixture
def built(tmp_path: Path, docs: Path, model: Path) -> Index:
    return Index.build(tmp_path / "index", str(docs), model=model)


@pytest.fixture
def known(built: Index) -> KnownTexts:
    return KnownTexts.nothing().joined(built.rows())


def put(docs: Path, built: Index, name: str, text: str) -> None:
    (docs / name).write_text(text)
    built.add(str(docs))


def ids(found: Answer) -> list[str]:
    return [news.hit.id for news in found.news]


def test_the_first_answer_is_empty_and_the_next_tells_what_came(docs, built, known) -> None:
    query = StandingQuery("a boat on the sea")
    first = answer(built, built.rows(), query, None)
    assert (first.news, first.first) == ((), True)
    put(docs, built, "ships.md", "# Ships\n\nOne more ship, one more boat at sea.\n")
    put(
        docs, built, "boats.md", "# Boats\n\nA boat on the lake, a ship at sea. The boat is slow.\n"
    )
    found = answer(built, built.rows(), query, known)
    assert {(news.hit.document, news.changed) for news in found.news} == {
        ("boats.md", True),
        ("ships.md", False),
    }
    [changed] = [news for news in found.news if news.changed]
    assert [changed.hit.text[slice(*span)] for span in changed.fresh] == ["The boat is slow."]
    assert {news.headline for news in found.news} == {"Boats", "Ships"}
    # Everything, when nothing was known.
    assert len(answer(built, built.rows(), query, KnownTexts.nothing()).news) == 6


def test_a_passage_is_near_when_it_is_among_the_k_best_of_old_and_new(docs, built, known) -> None:
    put(docs, built, "rain.md", "# Rain\n\nRain and wind in the village.\n")
    query = "a boat on the lake"
    hits = [hit.id for hit in built.search(query, k=10)]
    place = hits.index("rain.md#0.0") + 1
    assert place > 1
    rows = built.rows()
    assert ids(answer(built, rows, StandingQuery(query, k=place), known)) == ["rain.md#0.0"]
    assert ids(answer(built, rows, StandingQuery(query, k=place - 1), known)) == []


@pytest.mark.parametrize("mode", ["vectors", "hybrid"])
@pytest.mark.parametrize("k", [None, NEAREST])
def test_least_is_a_cosine(docs, built, known, mode, k) -> None:
    put(docs, built, "rain.md", "# Rain\n\nRain and wind in the village.\n\n## Sea\n\nA ship.\n")
    query = "a ship in the wind"
    [vector] = encode(built.model, [query], task="query", normalize=True)
    cosines = built.vectors() @ vector
    rows = built.rows()
    of = {row["id"]: float(cosine) for row, cosine in zip(rows, cosines, strict=True)}
    far, near = sorted(("rain.md#0.0", "rain.md#1.0"), key=lambda id: of[id])
    for least, expected in (
        (of[far] - 1e-4, {far, near}),
        ((of[far] + of[near]) / 2, {near}),
        (min(of[near] + 1e-4, 1.0), set()),
    ):
        asked = StandingQuery(query, mode=mode, k=k, least=least)
        assert set(ids(answer(built, rows, asked, known))) == expected
    everything = answer(built, rows, StandingQuery(query, k=None, least=-1.0), KnownTexts.nothing())
    np.testing.assert_allclose(
        [news.hit.score for news in everything.news], sorted(of.values(), reverse=True), atol=1e-5
    )


def test_a_filter_holds_before_anything_is_ranked(docs, built, known) -> None:
    put(docs, built, "a.md", "# A\n\nA boat at sea.\n")
    put(docs, built, "b.md", "# B\n\nA boat at the lake.\n")
    rows = built.rows()
    for k, least in ((1, None), (None, -1.0)):
        query = StandingQuery("boat", "document = 'b.md'", k=k, least=least)
        assert ids(answer(built, rows, query, known)) == ["b.md#0.0"]
    with pytest.raises(BadInput, match="filter 'kind ='"):
        answer(built, rows, StandingQuery("boat", "kind ="), None)


def test_what_is_committed_meanwhile_is_left_for_the_next_time(docs, built, known) -> None:
    rows = built.rows()
    put(docs, built, "late.md", "# Late\n\nA boat at sea.\n")
    assert ids(answer(built, rows, StandingQuery("boat"), known)) == []
    next_time = known.joined(rows)
    assert ids(answer(built, built.rows(), StandingQuery("boat"), next_time)) == ["late.md#0.0"]


def test_what_cannot_be_printed_is_shown_by_a_sign(docs, built, known) -> None:
    put(docs, built, "odd.md", "# Odd\n\nA boat\x08 at sea\ufffe.\n")
    [news] = answer(built, built.rows(), StandingQuery("boat", k=None, least=-1), known).news
    assert news.hit.text == "A boat� at sea�."
    assert news.fresh == ((0, len(news.hit.text)),)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"text": " "}, "a query is empty"),
        ({"text": "a\r\nBcc: x@y.z"}, "has a line break"),
        ({"text": "a", "mode": "magic"}, "mode 'magic'"),
        ({"text": "a", "k": 0}, "k = 0: give 1 or more"),
        ({"text": "a", "k": None}, "needs k, the least cosine, or both"),
        ({"text": "a", "least": 1.5}, r"least cosine 1\.5: give a number from -1 to 1"),
    ],
)
def test_bad_queries(given, sentence) -> None:
    with pytest.raises(BadInput, match=sentence):
        StandingQuery(**given)
