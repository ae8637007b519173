import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score

from polyvec.evaluation.complexity_lexical import lexical_error
from polyvec.evaluation.complexity_tasks import (
    ClassificationTask,
    ClusteringTask,
    PairTask,
    RerankingTask,
    RetrievalTask,
    SimilarityTask,
    SummarizationTask,
)

INTENTS = ClassificationTask(
    ["send money home", "send money now", "show my balance", "what is my balance"],
    ["transfer", "transfer", "balance", "balance"],
)


def test_the_nearest_other_text_gives_the_label():
    assert lexical_error(INTENTS).values.tolist() == [0, 0, 0, 0]
    turned = ClassificationTask(INTENTS.texts, ["a", "b", "a", "b"])
    assert lexical_error(turned).values.tolist() == [1, 1, 1, 1]


def test_a_text_that_shares_no_word_has_no_answer():
    task = ClusteringTask([*INTENTS.texts, "unheard"], [*INTENTS.labels, "transfer"])
    found = lexical_error(task)
    assert found.values.tolist() == [0, 0, 0, 0, 1]
    assert found.unparsable == 1


def test_texts_without_words_in_common_are_all_wrong():
    found = lexical_error(ClassificationTask(["...", "!!!"], ["a", "a"]))
    assert (found.mean, found.unparsable) == (1.0, 2)


def test_relabelling_and_order_make_no_difference():
    order = [3, 1, 0, 2]
    turned = ClassificationTask(
        [INTENTS.texts[n] for n in order], [INTENTS.labels[n].upper() for n in order]
    )
    assert lexical_error(turned).mean == lexical_error(INTENTS).mean


def test_bm25_picks_the_passage():
    passages = ["the cat sat", "dogs bark", "birds sing", "fish swim"]
    task = RetrievalTask(["barking dog", "a cat", "singing"], passages, [{1}, {0}, {3}])
    found = lexical_error(task)
    assert found.values.tolist() == [0, 0, 1]
    assert found.unparsable == 0


def test_a_query_without_shared_words_has_no_answer():
    task = RerankingTask(["zebra", "cat"], [["dog", "cat"], ["dog", "cat"]], [{1}, {1}])
    found = lexical_error(task)
    assert found.values.tolist() == [1, 0]
    assert found.unparsable == 1


def test_pairs_are_one_minus_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    words = np.array(list("abcdefgh"))
    first = [" ".join(rng.choice(words, 4)) for _ in range(60)]
    second = [" ".join(rng.choice(words, 4)) for _ in range(60)]
    shared = [len({*a.split()} & {*b.split()}) for a, b in zip(first, second, strict=True)]
    same = [count + rng.normal() > 2 for count in shared]
    found = lexical_error(PairTask(first, second, same))
    assert found.mean == pytest.approx(found.values.mean())
    assert 0 < found.low < found.mean < found.high < 1
    # The cosines themselves, by another way.
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform([*first, *second]).toarray()
    cosines = np.round((vectors[:60] * vectors[60:]).sum(axis=1), 12)
    assert found.mean == pytest.approx(1 - roc_auc_score(same, cosines))


def test_a_small_sample_of_pairs_has_both_kinds():
    task = PairTask(["a"] * 50, ["a", *["b"] * 49], [True, *[False] * 49])
    assert lexical_error(task, sample=3).mean == 0.0


def test_similarity_by_shared_words():
    task = SimilarityTask(["a b c"] * 3, ["a b c", "a b x", "x y z"], [5, 3, 0])
    assert lexical_error(task).mean == pytest.approx(0.0)


def test_summaries_by_shared_words():
    task = SummarizationTask(
        ["rates rose today", "shares fell"],
        [["rates rose", "cats sleep"], ["cats sleep", "dogs bark"]],
        [[1.0, 0.0], [1.0, 0.0]],
    )
    found = lexical_error(task)
    assert found.values.tolist() == [0, 1]
    assert found.unparsable == 1
