import json
from collections import Counter

import numpy as np
import pytest
from sentence_transformers import SentenceTransformerTrainer

from polyvec.data.beir import Judgements
from polyvec.data.documents import Document, Section
from polyvec.data.passages import Passage
from polyvec.data.structure_pairs import CLOZE, HEADING, LINK, SUMMARY, Pair, inverse_cloze_pairs
from polyvec.errors import BadInput
from polyvec.evaluation.exam import (
    FEWEST_QUERIES,
    LARGEST_PART,
    OWN_QUERIES,
    Exam,
    Task,
    fuse,
    judged_exam,
    mean_over_tasks,
    structure_exam,
)
from polyvec.evaluation.retrieval_metrics import DEPTH, METRICS

WORDS = ["apple", "bird", "boat", "bread", "cat", "city", "dog", "door", "fish", "forest", "house"]
WORDS += ["king", "lake", "moon", "music", "queen"]
TEXTS = [f"{first} by the {second}" for first in WORDS for second in WORDS if first != second]


def task_of(name, queries, passages, wanted=1):
    """Query n wants passage n and the ``wanted - 1`` after it."""
    relevant = {f"q{n}": {f"p{n + more}": 1 for more in range(wanted)} for n in range(len(queries))}
    ids = {f"q{n}": text for n, text in enumerate(queries)}
    return Task(name, ids, {f"p{n}": text for n, text in enumerate(passages)}, relevant)


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model()


@pytest.fixture(scope="module")
def exam():
    large = task_of("large", ["the queen", "fish and bread", "old king"], TEXTS)
    small = task_of("small", ["the queen", "a dog"], ["queen of the lake", "dog", "the queen"])
    return Exam([large, small])


def test_rank_is_the_order_of_brute_force_cosines(model, exam):
    found = exam.rank(model)
    for task in exam.tasks:
        ids = list(task.passages)
        passages = model.encode(list(task.passages.values()), normalize_embeddings=True)
        for query, ranking in zip(task.queries.values(), found[task.name], strict=True):
            cosines = passages @ model.encode(query, normalize_embeddings=True)
            assert len(ranking) == len(set(ranking)) == min(DEPTH, len(ids))
            # Equal up to the order of texts that differ by less than rounding.
            ranked = [cosines[ids.index(passage)] for passage in ranking]
            assert ranked == pytest.approx(np.sort(cosines)[::-1][: len(ranked)], abs=1e-6)


def test_a_passage_with_the_text_of_the_query_comes_first(model, exam):
    assert exam.rank(model)["small"][0][0] == "p2"


def test_rank_bm25_leaves_out_what_shares_no_word(exam):
    assert exam.rank_bm25()["small"] == [["p2", "p0"], ["p1"]]


def test_score_is_a_value_a_query_in_the_order_of_the_task(exam):
    scores = exam.score({"large": [["p0"], ["p0", "p1"], []], "small": [["p1", "p0"], ["p1"]]})
    assert scores["large"]["mrr@10"].tolist() == [1, 0.5, 0]
    assert scores["small"]["mrr@10"].tolist() == [0.5, 1]
    assert scores["large"]["recall@100"].tolist() == [1, 1, 0]


def test_the_mean_weighs_tasks_and_not_queries(exam):
    scores = exam.score({"large": [["p0"], ["p0", "p1"], []], "small": [["p1", "p0"], ["p1"]]})
    assert mean_over_tasks(scores)["mrr@10"] == pytest.approx((0.5 + 0.75) / 2)


def test_the_exam_is_an_evaluator_of_sentence_transformers(model, exam):
    found = exam(model, output_path=None, epoch=1, steps=5)
    scores = exam.score(exam.rank(model))
    assert set(found) == {
        *METRICS,
        *(f"{task}_{metric}" for task in ("large", "small") for metric in METRICS),
    }
    assert exam.primary_metric == "ndcg@10"
    assert found["ndcg@10"] == pytest.approx((found["large_ndcg@10"] + found["small_ndcg@10"]) / 2)
    assert found["small_recall@10"] == pytest.approx(scores["small"]["recall@10"].mean())
    trainer = SentenceTransformerTrainer(model=model, evaluator=exam)
    assert trainer.evaluate()["eval_ndcg@10"] == pytest.approx(found["ndcg@10"])


def test_fusion_worked_by_hand():
    # 1/61 + 1/62 for a (ranks 1 and 2), 1/62 + 1/63 for b, 1/61 for c, 1/63 for d.
    fused = fuse({"t": [["a", "b", "d"]]}, {"t": [["c", "a", "b"]]})
    assert fused == {"t": [["a", "b", "c", "d"]]}


def test_the_constant_of_the_fusion_weighs_first_places_against_agreement():
    first, second = {"t": [["a", "b"]]}, {"t": [["c", "b"]]}
    # With 60, b has 2/62 against 1/61; with 0, b has 2/2, a and c have 1/1: a tie, kept in order.
    assert fuse(first, second)["t"] == [["b", "a", "c"]]
    assert fuse(first, second, constant=0)["t"] == [["a", "b", "c"]]


def test_fusion_with_an_empty_ranking_is_the_other_one():
    assert fuse({"t": [["b", "a"], []]}, {"t": [[], []]}) == {"t": [["b", "a"], []]}


def test_fusion_keeps_no_more_than_the_depth():
    first, second = ([f"{side}{n}" for n in range(DEPTH)] for side in "ab")
    (fused,) = fuse({"t": [first]}, {"t": [second]})["t"]
    assert len(fused) == DEPTH
    assert fused[:4] == ["a0", "b0", "a1", "b1"]


def test_rankings_of_different_length_are_not_fused():
    with pytest.raises(ValueError, match="zip"):
        fuse({"t": [["a"], ["b"]]}, {"t": [["a"]]})


def test_an_exam_is_the_same_after_save_and_load(exam, tmp_path):
    exam.save(tmp_path / "exam.json")
    assert Exam.load(tmp_path / "exam.json").tasks == exam.tasks


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        ("[{", "exam.json:1: not JSON"),
        ("null", "not an exam written by polyvec"),
        ("[1]", "not an exam written by polyvec"),
        ('{"name": "t"}', "not an exam written by polyvec"),
        ('[{"name": "t", "queries": {}}]', "not an exam written by polyvec"),
        (
            '[{"name": "t", "queries": {}, "passages": {}, "relevant": {}, "more": 1}]',
            "not an exam",
        ),
    ],
)
def test_a_file_that_is_no_exam_is_refused(tmp_path, content, says):
    if content is not None:
        (tmp_path / "exam.json").write_text(content)
    with pytest.raises(BadInput, match=says) as error:
        Exam.load(tmp_path / "exam.json")
    assert str(tmp_path / "exam.json") in str(error.value)


def corpus_of(documents, each, kind="text"):
    return [
        Passage(f"{kind}{d}#0.{n}", f"{kind}{d}", 0, kind, f"{kind} {d} {n}.")
        for d in range(documents)
        for n in range(each)
    ]


def pairs_to(pieces, task, queries):
    """Each of the queries is answered by every ``queries``-th of the pieces."""
    return [
        Pair(task, f"{task} {n % queries}", piece.id, f"{n % queries}")
        for n, piece in enumerate(pieces)
    ]


def test_small_corpora_and_all_their_questions_are_taken_whole():
    pieces = corpus_of(30, 2)
    exam = structure_exam(pieces, pairs_to(pieces, HEADING, 20), seed=0)
    (task,) = exam.tasks
    assert task.name == HEADING
    assert task.passages == {piece.id: piece.text for piece in pieces}
    assert sorted(task.queries.values()) == sorted(f"{HEADING} {n}" for n in range(20))
    assert all(
        len(grades) == 3 and set(grades.values()) == {1} for grades in task.relevant.values()
    )


@pytest.mark.parametrize("seed", range(3))
def test_of_a_sampled_corpus_everything_that_answers_is_judged(seed):
    pieces = corpus_of(200, 3)
    pairs = [*pairs_to(pieces, HEADING, 150), *pairs_to(pieces, LINK, 90)]
    exam = structure_exam(pieces, pairs, seed, queries=40, passages=150)
    assert [task.name for task in exam.tasks] == [HEADING, LINK]
    for task in exam.tasks:
        assert len(task.queries) == 40
        assert task.queries.keys() == task.relevant.keys()
        # Whole documents of three passages each, until there are 150.
        assert len(task.passages) == 150
        for query, text in task.queries.items():
            answers = {
                pair.passage for pair in pairs if pair.query == text and pair.task == task.name
            }
            assert set(task.relevant[query]) == answers & set(task.passages)
            assert task.relevant[query]


def test_both_prose_tasks_search_one_corpus_and_summaries_search_code():
    prose, code = corpus_of(100, 2), corpus_of(100, 1, "code")
    pairs = [
        *pairs_to(code, SUMMARY, 50),
        *pairs_to(prose, HEADING, 50),
        *pairs_to(prose, LINK, 50),
    ]
    exam = structure_exam([*prose, *code], pairs, seed=0, passages=80)
    found = {task.name: task.passages for task in exam.tasks}
    assert list(found) == [SUMMARY, HEADING, LINK]
    assert found[HEADING] == found[LINK]
    assert all(passage.startswith("text") for passage in found[HEADING])
    assert all(passage.startswith("code") for passage in found[SUMMARY])
    assert len(found[HEADING]) == len(found[SUMMARY]) == 80


def test_no_document_has_a_larger_part_than_allowed():
    pieces = [*corpus_of(1, 500), *corpus_of(60, 1, "code")]
    pieces = [Passage(p.id, p.document, p.section, "text", p.text) for p in pieces]
    (task,) = structure_exam(pieces, pairs_to(pieces, HEADING, 40), seed=0).tasks
    parts = Counter(passage.partition("#")[0] for passage in task.passages)
    assert parts["text0"] == LARGEST_PART
    assert sum(parts.values()) == LARGEST_PART + 60


@pytest.mark.parametrize(("queries", "tasks"), [(FEWEST_QUERIES, 1), (FEWEST_QUERIES - 1, 0)])
def test_a_task_with_few_queries_is_left_out(queries, tasks):
    pieces = corpus_of(30, 1)
    assert len(structure_exam(pieces, pairs_to(pieces, HEADING, queries), seed=0).tasks) == tasks


def test_pairs_to_other_passages_are_ignored():
    pieces = corpus_of(30, 1)
    elsewhere = [Pair(HEADING, f"elsewhere {n}", f"gone{n}", "gone") for n in range(30)]
    (task,) = structure_exam(pieces, [*pairs_to(pieces, HEADING, 15), *elsewhere], seed=0).tasks
    assert len(task.queries) == 15
    assert structure_exam(pieces, elsewhere, seed=0).tasks == []
    assert structure_exam([], elsewhere, seed=0).tasks == []


def test_the_same_seed_gives_the_same_exam():
    pieces = corpus_of(200, 3)
    pairs = pairs_to(pieces, HEADING, 150)
    exams = [
        structure_exam(pieces, pairs, seed, queries=20, passages=100).tasks for seed in (1, 1, 2)
    ]
    assert exams[0] == exams[1]
    assert exams[0] != exams[2]


def test_an_inverse_cloze_question_searches_its_passage_without_the_sentence():
    pieces = [
        Passage(
            f"d{n}#0.0", f"d{n}", 0, "text", f"The {w} is small. The {w} is old. The {w} is good."
        )
        for n, w in enumerate(WORDS)
    ]
    pairs = inverse_cloze_pairs(pieces, seed=0, keep=0.0)
    (task,) = structure_exam(pieces, pairs, seed=0, queries=12).tasks
    assert task.name == CLOZE
    assert len(task.queries) == 12
    texts = {piece.id: piece.text for piece in pieces}
    asked = set()
    for query, sentence in task.queries.items():
        (passage,) = task.relevant[query]
        asked.add(passage)
        assert sentence in texts[passage]
        assert sentence not in task.passages[passage]
        assert task.passages[passage] == next(p.text for p in pairs if p.passage == passage)
    # Passages that no question was taken from stay whole.
    untouched = set(texts) - asked
    assert len(untouched) == 4
    assert all(task.passages[passage] == texts[passage] for passage in untouched)


def test_an_exam_of_own_queries_searches_all_documents_by_title_and_text():
    documents = [
        Document("a", "Title", "a", (Section("H", paragraphs=("One.", "Two.")),)),
        Document("b", "", "b", (Section("", paragraphs=("Three.",)),)),
        Document("c", "Only a title", "c"),
    ]
    queries = {"q1": "first", "q2": "second", "q3": "unjudged"}
    judged = Judgements(queries, {"q1": {"a": 2, "b": 1}, "q2": {}})
    (task,) = judged_exam(documents, judged).tasks
    assert task == Task(
        OWN_QUERIES,
        {"q1": "first"},
        {"a": "Title\nOne.\n\nTwo.", "b": "Three.", "c": "Only a title"},
        {"q1": {"a": 2, "b": 1}},
    )
    assert judged_exam(documents, judged, "other").tasks[0].name == "other"


def test_a_saved_exam_is_plain_json(exam, tmp_path):
    exam.save(tmp_path / "exam.json")
    saved = json.loads((tmp_path / "exam.json").read_text())
    assert [set(task) for task in saved] == [{"name", "queries", "passages", "relevant"}] * 2
