import json
from math import log2

import numpy as np
import pytest

from polyvec.errors import BadInput, MissingExtra
from polyvec.evaluation import complexity, dependency_distance
from polyvec.evaluation.complexity import entropy, profile
from polyvec.evaluation.complexity_entropy import words
from polyvec.evaluation.complexity_tasks import (
    ClassificationTask,
    RetrievalTask,
    SummarizationTask,
    texts_of,
)
from polyvec.evaluation.complexity_values import average, mean_values, redrawn_values

TEXTS = ["The market fell today.", "Rates rose again and again.", "Nobody knows why it did."]


@pytest.fixture
def no_parser(monkeypatch):
    monkeypatch.setattr(dependency_distance, "PIPELINE", "no_such_pipeline")


def test_entropy_worked_by_hand():
    # a twice of three: -(2/3 log2 2/3 + 1/3 log2 1/3); four different words: log2 4.
    found = entropy(["a a b", "red green blue sky"])
    assert found.values == pytest.approx([log2(3) - 2 / 3, 2.0])
    assert found.mean == pytest.approx((log2(3) - 2 / 3 + 2) / 2)
    assert found.low <= found.mean <= found.high


def test_one_word_has_no_entropy_and_no_normalised_entropy():
    assert entropy(["word"]).values.tolist() == [0.0]
    found = entropy(["word", "a a b"], normalized=True)
    assert np.isnan(found.values[0])
    assert found.mean == pytest.approx((log2(3) - 2 / 3) / log2(3))


def test_entropy_knows_no_case_and_no_order():
    assert entropy(["B a A"]).mean == entropy(["a a b"]).mean


def test_a_window_takes_the_first_words():
    assert entropy(["a b " + "c " * 100], window=2).mean == 1.0
    assert entropy(["a b"], window=50).mean == 1.0


def test_length_raises_entropy_but_not_the_normalised_one():
    short, long = " ".join(map(str, range(10))), " ".join(map(str, range(1000)))
    assert entropy([long]).mean > 2 * entropy([short]).mean
    for text in (short, long):
        assert entropy([text], normalized=True).mean == pytest.approx(1)


def test_scripts_without_spaces_count_letters():
    assert words("股票 up") == ["股", "票", "up"]
    assert entropy(["市场市场"]).mean == 1.0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "there is no text"),
        (["fine", " "], "text 2 of 2 is empty"),
        (["?!"], "text 1 of 1 is empty"),
        ("one string", "give a list"),
    ],
)
def test_nothing_to_measure_is_said(texts, message):
    with pytest.raises(BadInput, match=message):
        entropy(texts)


def test_a_window_of_one_word_is_refused():
    with pytest.raises(BadInput, match="2 or more"):
        entropy(["a b"], window=1)


def test_the_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal(3, 1, size=400)
    found = mean_values(values)
    assert found.mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_weights_worked_by_hand():
    assert mean_values([1.0, 4.0, np.nan], weights=[2, 1, 0]).mean == 2.0


def test_no_value_at_all_is_no_number():
    found = mean_values([np.nan, np.nan])
    assert np.isnan([found.mean, found.low, found.high]).all()


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).normal(size=50)
    assert mean_values(values, seed=3).low == mean_values(values, seed=3).low
    assert mean_values(values, seed=3).low != mean_values(values, seed=4).low


def test_many_values_are_drawn_in_blocks():
    values = np.random.default_rng(2).normal(size=3_000)
    found = redrawn_values(values, lambda drawn: values[drawn].mean(axis=1))
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 3_000**0.5, rel=0.1)


def test_an_average_has_the_width_of_independent_parts():
    rng = np.random.default_rng(3)
    parts = [mean_values(rng.normal(0, 1, 400)), mean_values(rng.normal(2, 1, 400))]
    found = average(parts)
    assert found.mean == pytest.approx((parts[0].mean + parts[1].mean) / 2)
    assert found.high - found.low == pytest.approx(2 * 1.96 * (1 / 20) / 2**0.5, rel=0.15)


def test_retrieval_texts_are_queries_and_passages():
    task = RetrievalTask(["q"], ["p", "r"], [{0}])
    assert texts_of(task) == (["q"], ["p", "r"])
    row = profile(RetrievalTask(["a a"], ["a b", "c d"], [{0}]), measures=("entropy",))
    assert row.loc[0, "entropy"] == 0.5  # 0 of the query and 1 of the passages, averaged
    assert row.loc[0, "text_count"] == 3


def test_summaries_are_a_group_of_their_own():
    task = SummarizationTask(["t"], [["s", "u"]], [[1.0, 2.0]])
    assert texts_of(task) == (["t"], ["s", "u"])


def test_a_profile_is_one_row_that_a_domain_gap_takes(no_parser):
    task = ClassificationTask(TEXTS * 2, ["fall", "rise", "none"] * 2)
    row = profile(task, dataset="news")
    assert list(row.columns[:4]) == ["dataset", "entropy", "entropy_low", "entropy_high"]
    assert row.loc[0, "dataset"] == "news"
    assert row.loc[0, "lexical_error"] == 0.0
    assert row.loc[0, "fog"] == complexity.gunning_fog(TEXTS * 2).mean


def test_what_cannot_be_had_is_no_number_with_a_reason(no_parser):
    row = profile(TEXTS, measures=("mdd", "lexical_error", "solver_error", "small_lm_error"))
    assert row[["mdd", "lexical_error", "solver_error", "small_lm_error"]].isna().all(axis=None)
    assert "polyvec[parse]" in row.attrs["n/a"]["mdd"]
    assert "give a task" in row.attrs["n/a"]["lexical_error"]
    with pytest.raises(MissingExtra):
        complexity.mean_dependency_distance(TEXTS)


def test_a_profile_counts_replies_that_cannot_be_read():
    task = ClassificationTask(["a b", "c d"], ["x", "y"])
    row = profile(task, measures=("solver_error",), solver=lambda prompt: "x, or else y")
    assert row.loc[0, "solver_error"] == 1.0
    assert row.attrs["unparsable"] == {"solver_error": 2}


def test_a_sample_is_the_same_for_the_same_seed():
    texts = [" ".join(map(str, range(n + 1))) for n in range(60)]
    one, two = (profile(texts, measures=("entropy",), sample=20, seed=s) for s in (0, 0))
    assert one.equals(two)
    other = profile(texts, measures=("entropy",), sample=20, seed=1)
    assert one.loc[0, "entropy"] != other.loc[0, "entropy"]


def test_a_cached_value_is_read_and_other_content_is_not(tmp_path):
    first = profile(TEXTS, measures=("entropy",), cache=tmp_path)
    [path] = tmp_path.iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "mean": 7.0}))
    assert profile(TEXTS, measures=("entropy",), cache=tmp_path).loc[0, "entropy"] == 7.0
    changed = profile([*TEXTS[:2], "Another."], measures=("entropy",), cache=tmp_path)
    assert changed.loc[0, "entropy"] != 7.0
    assert profile(TEXTS, measures=("entropy",)).equals(first)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_labels_belong_to_the_hash(tmp_path):
    texts = ["pay the bill", "pay the rent", "see the bill", "see the rent"]
    for labels in (["a", "a", "b", "b"], ["a", "b", "a", "b"]):
        profile(ClassificationTask(texts, labels), measures=("lexical_error",), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_plugin_says_or_what_is_missing_is_not_kept(tmp_path, no_parser):
    task = ClassificationTask(["a b", "c d"], ["x", "y"])
    measures = ("mdd", "solver_error")
    profile(task, measures=measures, solver=lambda prompt: "x", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_measure_is_named():
    with pytest.raises(BadInput, match="'flesch'; there are entropy"):
        profile(TEXTS, measures=("flesch",))


def test_texts_that_are_not_english_are_refused_for_fog():
    with pytest.raises(BadInput, match="text 1 of 1 is not English"):
        profile(["市场今天下跌"], measures=("fog",))
    assert profile(["市场今天下跌"], measures=("entropy",)).loc[0, "entropy"] > 0
