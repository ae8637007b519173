import numpy as np
import pytest
from scipy import stats

from polyvec.errors import BadInput
from polyvec.evaluation.complexity_questions import (
    LONGEST,
    LabelChoice,
    PassageChoice,
    Ranking,
    Rating,
    questions_of,
)
from polyvec.evaluation.complexity_solver import rating_error, solver_error
from polyvec.evaluation.complexity_tasks import (
    ClassificationTask,
    ClusteringTask,
    PairTask,
    RerankingTask,
    RetrievalTask,
    SimilarityTask,
    SummarizationTask,
)

PASSAGES = [f"passage {letter}" for letter in "abcdefghijklmnop"]


def test_classification_worked_by_hand():
    task = ClassificationTask(["t1", "t2", "t3", "t4"], ["buy", "buy", "sell", "sell"])
    replies = {"t1": "buy", "t2": '"Sell."', "t3": "SELL", "t4": "who knows"}
    found = solver_error(task, lambda prompt: next(r for t, r in replies.items() if t in prompt))
    assert found.values.tolist() == [0, 1, 0, 1]
    assert (found.mean, found.unparsable) == (0.5, 1)


def test_a_prompt_lists_every_label_and_ends_where_it_follows():
    task = ClusteringTask(["t1", "t2"], ["credit_card", "loan"])
    prompt = questions_of(task, 500, 0)[0].prompt
    assert "- credit_card\n- loan" in prompt
    assert prompt.endswith("Theme:")


@pytest.mark.parametrize(
    ("reply", "position"),
    [
        ("credit card", 1),
        ("Credit_Card.", 1),
        ("The label is: credit-card", 1),
        ("card", 0),
        ("card or loan", None),
        ("discard", None),
        ("", None),
    ],
)
def test_reading_a_label(reply, position):
    assert LabelChoice("", ("card", "credit_card", "loan"), 0).read(reply) == position


@pytest.mark.parametrize(
    ("reply", "position"), [("2", 1), ("Passage 3.", 2), ("4", None), ("0", None), ("1.5", None)]
)
def test_reading_the_number_of_a_passage(reply, position):
    assert PassageChoice("", ("a", "b", "c"), 0, (0, 1, 2)).read(reply) == position


@pytest.mark.parametrize(
    ("reply", "rating"), [("4", 4.0), ("3.5/5", 3.5), ("6", None), ("-1", None), ("alike", None)]
)
def test_reading_a_rating(reply, rating):
    assert Rating("", "", 0.0).read(reply) == rating


@pytest.mark.parametrize(
    ("reply", "values"),
    [("2, 1, 3", (2, 3, 1)), ("2 > 1", None), ("1, 1, 2, 3", None), ("0 1 2", None)],
)
def test_reading_a_ranking(reply, values):
    assert Ranking("", ("a", "b", "c"), (1, 2, 3)).read(reply) == values


def test_pairs_worked_by_hand():
    task = PairTask(["a", "b", "c"], ["d", "e", "f"], [True, False, True])
    assert solver_error(task, lambda prompt: "Same").values.tolist() == [0, 1, 0]


def test_similarity_is_one_minus_spearman():
    task = SimilarityTask(["a", "b", "c", "d"], ["e", "f", "g", "h"], [0.1, 0.9, 0.5, 0.7])
    replies = iter(["0", "5", "4", "3"])
    found = solver_error(task, lambda prompt: next(replies))
    rho = stats.spearmanr([0, 5, 4, 3], task.scores).statistic
    assert found.mean == pytest.approx(1 - rho)
    assert found.values.mean() == pytest.approx(1 - rho)


def test_a_rating_that_cannot_be_read_is_the_farthest_from_the_truth():
    task = SimilarityTask(["a", "b", "c"], ["d", "e", "f"], [0.0, 0.5, 1.0])
    replies = iter(["0", "2", "no idea"])
    found = solver_error(task, lambda prompt: next(replies))
    assert found.unparsable == 1
    assert found.mean == pytest.approx(1 - stats.spearmanr([0, 2, 0], task.scores).statistic)


def test_a_correlation_below_zero_is_an_error_of_one():
    found = rating_error(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0]))
    assert found.mean == 1.0
    assert found.values.mean() == pytest.approx(2.0)


def test_the_same_rating_for_all_is_an_error_of_one():
    task = SimilarityTask(["a", "b"], ["c", "d"], [0, 5])
    assert solver_error(task, lambda prompt: "3").mean == 1.0


def test_retrieval_shows_one_relevant_and_nine_others():
    task = RetrievalTask(["q1", "q2"], PASSAGES, [{0}, {3, 4}])
    for question, relevant in zip(questions_of(task, 500, 0), task.relevant, strict=True):
        assert len(question.candidates) == len(set(question.positions)) == 10
        assert len(relevant & set(question.positions)) == 1
        assert question.positions[question.answer] in relevant
        assert question.candidates[question.answer] == PASSAGES[question.positions[question.answer]]


def test_a_solver_that_knows_the_passage_makes_no_error():
    task = RetrievalTask(["q1", "q2"], PASSAGES, [{0}, {3}])

    def solve(prompt):
        wanted = "passage a" if "q1" in prompt else "passage d"
        return next(line for line in prompt.splitlines() if line.endswith(wanted)).split(".")[0]

    assert solver_error(task, solve).mean == 0.0


def test_reranking_keeps_to_a_query_s_own_candidates():
    task = RerankingTask(["q1", "q2"], [["a", "b"], ["c", "d", "e"]], [{1}, {0}])
    first, second = questions_of(task, 500, 0)
    assert sorted(first.candidates) == ["a", "b"]
    assert sorted(second.candidates) == ["c", "d", "e"]


def test_the_place_of_the_answer_is_drawn():
    task = RetrievalTask([f"q{n}" for n in range(60)], PASSAGES, [{0}] * 60)
    places = {question.answer for question in questions_of(task, 500, 0)}
    assert len(places) > 5
    again = [question.positions for question in questions_of(task, 500, 0)]
    assert again == [question.positions for question in questions_of(task, 500, 0)]
    assert again != [question.positions for question in questions_of(task, 500, 1)]


def test_summaries_worked_by_hand():
    task = SummarizationTask(["t"], [["a", "b", "c"]], [[0.9, 0.2, 0.4]])
    # The reply ranks a, b, c as 3, 2, 1; people as 3, 1, 2: Spearman 1/2.
    assert solver_error(task, lambda prompt: "1, 2, 3").mean == pytest.approx(0.5)
    found = solver_error(task, lambda prompt: "all good")
    assert (found.mean, found.unparsable) == (1.0, 1)


def test_a_sample_asks_fewer_questions():
    task = ClassificationTask([f"t{n}" for n in range(30)], ["a", "b"] * 15)
    assert len(solver_error(task, lambda prompt: "a", sample=7).values) == 7


def test_long_texts_are_cut_in_prompts():
    task = ClassificationTask(["word " * 5_000, "x"], ["a", "b"])
    assert len(questions_of(task, 500, 0)[0].prompt.split()) < LONGEST + 30


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassificationTask(["a"], []), "has 1 texts, 0 labels"),
        (lambda: ClusteringTask([], []), "clustering task is empty"),
        (lambda: PairTask(["a"], ["b"], [True]), "only one kind of pair"),
        (lambda: SimilarityTask(["a", "b"], ["c", "d"], [1, 1]), "nothing to order"),
        (lambda: RetrievalTask(["q"], ["p"], [{0}]), "1 relevant texts of 1"),
        (lambda: RetrievalTask(["q"], ["p", "r"], [{2}]), "calls position 2 relevant"),
        (lambda: RerankingTask(["q"], [["a", "b"]], [set()]), "0 relevant texts of 2"),
        (lambda: SummarizationTask(["t"], [["a"]], [[1.0, 2.0]]), "1 summaries and 2 scores"),
        (lambda: SummarizationTask(["t"], [["a", "b"]], [[1, 1]]), "no two summaries that differ"),
    ],
)
def test_a_task_that_asks_nothing_is_refused(make, message):
    with pytest.raises(BadInput, match=message):
        make()
