import numpy as np
import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from polyvec.data.benchmarks.answer_spans import Answered
from polyvec.errors import BadInput
from polyvec.evaluation.few_labels import (
    SentenceSearch,
    Tuning,
    answer_ranks,
    bm25_ranks,
    few_label_benchmark,
    over_seeds,
    recall,
    sentence_search,
    split_questions,
)
from polyvec.objectives.contrastive import Contrastive

TEXT = "  It was late. A cat came in. It was late. Then it rained."
NAMES = ["apple", "bird", "boat", "bread", "cat", "city", "dog", "door"]
NAMES += ["fish", "forest", "garden", "house", "king", "lake", "moon", "music"]


def asked(id, start, passage="p", question="what?"):
    return Answered(id, question, passage, start)


def test_the_sentence_in_which_an_answer_begins_answers():
    starts = {
        "late": 9,
        "cat": TEXT.index("cat"),
        "late2": TEXT.rindex("late"),
        "end": len(TEXT) - 1,
    }
    starts["before"] = 0
    made = sentence_search({"p": TEXT, "q": "One."}, [asked(id, at) for id, at in starts.items()])
    assert made.candidates == {
        "p/2": f"It was late.\n{TEXT}",
        f"p/{TEXT.index('A cat')}": f"A cat came in.\n{TEXT}",
        f"p/{TEXT.index('Then')}": f"Then it rained.\n{TEXT}",
        "q/0": "One.\nOne.",
    }
    found = {id: made.candidates[answer].partition("\n")[0] for id, answer in made.answers.items()}
    assert found == {
        "late": "It was late.",
        "cat": "A cat came in.",
        "late2": "It was late.",
        "end": "Then it rained.",
        "before": "It was late.",
    }


@pytest.mark.parametrize("wrong", [asked("q", 5, "nowhere"), asked("q", -1), asked("q", len(TEXT))])
def test_an_answer_outside_of_its_passage_is_refused(wrong):
    with pytest.raises(BadInput, match=r"^question 'q': passage '\w+' has no character -?\d+$"):
        sentence_search({"p": TEXT}, [wrong])


@pytest.fixture(scope="module")
def data():
    """Sixteen passages of two sentences, with two questions each that name their word."""
    passages = {name: f"The {name} is old. It was here." for name in NAMES}
    questions = [
        asked(f"{name}{n}", at, name, f"where is the {name}{'?' * n}")
        for name in NAMES
        for n, at in enumerate((4, 22))
    ]
    return sentence_search(passages, questions)


@pytest.mark.parametrize(("by", "sizes"), [("passage", (14, 2, 16)), ("question", (14, 2, 16))])
def test_questions_are_divided_by_passage_or_one_by_one(data, by, sizes):
    split = split_questions(data, 0.5, by, seed=3)
    assert (len(split.train), len(split.valid), len(split.test)) == sizes
    assert sorted([*split.train, *split.valid, *split.test]) == sorted(data.queries)
    learned = {data.passages[id] for id in (*split.train, *split.valid)}
    shared = learned & {data.passages[id] for id in split.test}
    assert bool(shared) == (by == "question")
    assert split_questions(data, 0.5, by, seed=3) == split
    assert split_questions(data, 0.5, by, seed=4) != split


def test_without_labels_all_questions_are_tested(data):
    split = split_questions(data, 0.0)
    assert (split.train, split.valid, split.test) == ([], [], list(data.queries))


@pytest.mark.parametrize(
    ("share", "by", "says"),
    [
        (1.0, "passage", "give 0 up to below 1"),
        (-0.1, "passage", "give 0 up to below 1"),
        (0.01, "passage", "0.01 of 16 passages .* leaves none"),
        (0.99, "passage", "leaves none"),
        (0.5, "page", "split_by='page': give passage or question"),
    ],
)
def test_shares_that_leave_nothing_are_refused(data, share, by, says):
    with pytest.raises(BadInput, match=says):
        split_questions(data, share, by)


class Fixed(SentenceTransformer):
    """A model with given vectors of two dimensions."""

    def __init__(self, vectors):
        super().__init__(modules=[Lookup(vectors)], device="cpu", similarity_fn_name="dot")


def Lookup(vectors):
    import torch
    from sentence_transformers.base.modules import InputModule

    class _Lookup(InputModule):
        def preprocess(self, inputs, prompt=None, **kwargs):
            return {"rows": torch.tensor([vectors[text] for text in inputs])}

        def forward(self, features, **kwargs):
            return {**features, "sentence_embedding": features["rows"]}

        def save(self, output_path, *args, **kwargs):
            raise NotImplementedError

    return _Lookup()


def test_ranks_worked_by_hand():
    made = SentenceSearch(
        {"q": "query", "r": "other"},
        {"a": "first", "b": "second", "c": "third"},
        {"q": "a", "r": "b"},
        {},
    )
    vectors = {
        "query": [1.0, 0.0],
        "other": [0.0, 1.0],
        "first": [2.0, 0.0],
        "second": [3.0, 1.0],
        "third": [0.0, 1.0],
    }
    # Query: 2, 3, 0, the answer at 2. Other: 0, 1, 1, the answer as good as another, so second.
    assert answer_ranks(Fixed(vectors), made, ["q", "r"]).tolist() == [2, 2]
    assert answer_ranks(Fixed(vectors), made, ["r"]).tolist() == [2]


def test_bm25_ranks_what_shares_words_and_puts_the_rest_last():
    made = SentenceSearch(
        {"q": "a cat", "r": "moon"},
        {"a": "the cat sat", "b": "a dog", "c": "cat and dog and bird and fish"},
        {"q": "c", "r": "b"},
        {},
    )
    assert bm25_ranks(made, ["q", "r"]).tolist() == [2, 3]


def test_recall_counts_the_depth_itself():
    assert recall(np.array([1, 10, 11]), (1, 10)) == {
        "recall@1": pytest.approx(1 / 3),
        "recall@10": pytest.approx(2 / 3),
    }


def test_the_benchmark_learns_anew_for_each_share_and_seed(data, tiny_model):
    started = []

    def start(seed):
        started.append(seed)
        return tiny_model()

    def objective(model):
        return Contrastive(model, 0.05)

    table = few_label_benchmark(
        data,
        start,
        objective,
        shares=(0, 0.5),
        depths=(1, 10),
        seeds=(0, 1),
        how=Tuning(steps=12, batch=8, learning_rate=3e-3),
    )
    assert started == [0, 1, 0, 1]
    assert table["system"].tolist() == ["model", "BM25"] * 4
    assert table["share"].tolist() == [0.0] * 4 + [0.5] * 4
    assert table["learned"].tolist() == [0] * 4 + [14] * 4
    assert table["tested"].tolist() == [32] * 4 + [16] * 4
    assert table["validation"].isna().tolist() == [True] * 4 + [False] * 4
    assert (table["recall@10"] >= table["recall@1"]).all()
    # The passage is named in each question; which of its sentences is meant, words do not say.
    assert (table[table["system"] == "BM25"]["recall@10"] == 1).all()
    summary = over_seeds(table).set_index(["system", "share", "measure"])
    assert len(summary) == 8
    assert summary.loc["model", 0.0, "recall@10"]["low"] == pytest.approx(
        summary.loc["model", 0.0, "recall@10"]["mean"]
    )


def test_intervals_over_seeds_are_students():
    table = pd.DataFrame(
        {"system": "m", "share": 0.5, "seed": [0, 1, 2], "recall@1": [0.1, 0.2, 0.3]}
    )
    (row,) = over_seeds(table).to_dict("records")
    # Deviation 0.1, t of 2 degrees of freedom 4.303: 4.303 * 0.1 / √3 = 0.2484.
    assert row["mean"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == pytest.approx((0.2 - 0.2484, 0.2 + 0.2484), abs=1e-4)
    one = over_seeds(table[:1]).iloc[0]
    assert np.isnan(one["low"])
    assert one["mean"] == 0.1
