import math

import numpy as np
import pytest
import torch

from polyvec.errors import BadInput
from polyvec.training.hybrid_teacher import HybridTeacher, calibrate_temperature
from polyvec.training.negative_mining import mine_hard_negatives
from polyvec.training.rankers import DenseRanker, LexicalRanker

CORPUS = [
    *("apple bread garden", "river water rain", "apple apple tree", "city road house"),
    *("moon star sun", "bird boat fish", "winter wind storm", "music queen king"),
    *("garden tree forest", "bread cat dog", "stone mountain lake", "door house street"),
]
QUERIES = ["apple tree", "house", "zero"]
EVERY = np.tile(np.arange(len(CORPUS)), (len(QUERIES), 1))


@pytest.fixture
def teacher(tiny_model):
    return lambda **options: HybridTeacher(CORPUS, tiny_model(), **{"pool": 3, **options})


def both(tiny_model):
    rankers = LexicalRanker(CORPUS), DenseRanker(tiny_model(), CORPUS)
    return [ranker.scores(QUERIES, EVERY).astype(float) for ranker in rankers]


def test_standard_scores_by_hand(teacher, tiny_model):
    words, meaning = both(tiny_model)
    found = teacher().scores(QUERIES, EVERY)
    for row, pool in enumerate(teacher().candidates(QUERIES)):
        assert set(np.argsort(-meaning[row])[:3]) <= set(pool)
        assert set(np.argsort(-words[row], kind="stable")[:3]) <= set(pool)
        assert 3 <= len(pool) <= 6
        expected = np.zeros(len(CORPUS))
        for scores, weight in ((words[row], 0.3), (meaning[row], 0.7)):
            if scores.any():
                expected += weight * (scores - scores[pool].mean()) / scores[pool].std()
        assert found[row] == pytest.approx(expected, abs=1e-4)


def test_reciprocal_ranks_by_hand(teacher, tiny_model):
    words, meaning = both(tiny_model)
    found = teacher(fusion="rrf").scores(QUERIES, EVERY)
    pool = teacher().candidates(QUERIES)[0]
    ranks = [1 + (scores[0][pool] > scores[0][7]).sum() for scores in (words, meaning)]
    assert found[0, 7] == pytest.approx(sum(1 / (60 + rank) for rank in ranks))
    best = int(np.argmax(words[0]))
    assert found[0, best] == pytest.approx(
        1 / 61 + 1 / (61 + (meaning[0][pool] > meaning[0][best]).sum())
    )


def test_weights_at_the_ends_are_one_ranker_alone(teacher, tiny_model):
    for weight, alone in zip((1.0, 0.0), both(tiny_model), strict=True):
        found = teacher(weight=weight).scores(QUERIES[:1], EVERY[:1])[0]
        assert np.corrcoef(found, alone[0])[0, 1] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("fusion", ["zscore", "rrf"])
def test_a_text_has_one_score_whatever_is_asked_with_it(teacher, fusion):
    asked = teacher(fusion=fusion)
    ids, scores = asked.search(QUERIES, 4)
    assert ids.shape == scores.shape == (3, 4)
    assert (np.diff(scores, axis=1) <= 0).all()
    again = teacher(fusion=fusion).scores(QUERIES[1:2], np.array([[ids[1, 2], -1]]))
    assert again[0, 0] == pytest.approx(scores[1, 2], abs=1e-5)
    assert np.isneginf(again[0, 1])
    deeper = asked.search(QUERIES, 50)[1]
    assert deeper.shape == (3, len(CORPUS))


def test_groups_of_texts_or_numbers(teacher):
    asked = teacher()
    numbers = asked.score(QUERIES, [[2, 0], [3, 11], [4, 5]])
    texts = asked.score(QUERIES, [[CORPUS[2], CORPUS[0]], [CORPUS[3], CORPUS[11]], CORPUS[4:6]])
    assert numbers.shape == (3, 2)
    assert numbers.tolist() == texts.tolist()
    assert asked.score([], []).shape == (0, 0)


def test_it_mines(teacher):
    found = mine_hard_negatives(
        teacher(), QUERIES[:2], [[2], [3]], CORPUS, ranks=(0, 8), n=3, rule="ratio", value=0.95
    )
    assert (found.negatives >= 0).all()
    assert 2 not in found.negatives[0]
    assert 3 not in found.negatives[1]
    assert (found.scores < found.positive_scores[:, None]).all()


class Reader:
    """A cross-encoder that counts letters."""

    def predict(self, pairs, activation_fn, show_progress_bar):
        assert isinstance(activation_fn, torch.nn.Identity)
        self.read = len(pairs)
        return [float(len(query) * 100 + len(text)) for query, text in pairs]


def test_a_cross_encoder_has_the_last_word(teacher):
    reader = Reader()
    asked = teacher(cross_encoder=reader)
    assert asked.score(["moon"], [[0, 1]]).tolist() == [[418.0, 416.0]]
    ids, scores = asked.search(["moon"], 2)
    assert reader.read == len(asked.candidates(["moon"])[0])
    assert scores[0].tolist() == [400.0 + len(CORPUS[number]) for number in ids[0]]
    reader.predict = lambda pairs, **options: np.zeros((len(pairs), 2))
    with pytest.raises(BadInput, match="one output"):
        asked.score(["moon"], [[0, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"fusion": "sum"}, "zscore or rrf"), ({"weight": 1.5}, "0 to 1"), ({"pool": 1}, "2 texts")],
)
def test_bad_teachers(teacher, options, message):
    with pytest.raises(BadInput, match=message):
        teacher(**options)


def test_bad_groups(teacher, tiny_model):
    with pytest.raises(BadInput, match="a corpus of one or more"):
        HybridTeacher([], tiny_model())
    for groups, message in (
        ([[0, 1]], "1 groups"),
        ([[0, 1], [2], [3, 4]], "group 1 has 1 texts"),
        ([[0, 1], [2, 12], [3, 4]], "from 0 to 11"),
        ([[0, 1], [2, 3], [3, -1]], "group 2 has the number -1"),
        (
            [CORPUS[:2], [CORPUS[0], "unheard"], CORPUS[:2]],
            "not of the teacher's corpus: 'unheard'",
        ),
    ):
        with pytest.raises(BadInput, match=message):
            teacher().score(QUERIES, groups)


def test_temperature_by_hand():
    # Two probabilities of 9 to 1 have 0.469 bits of 1.
    share = (0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / -math.log(2)
    assert calibrate_temperature([[0.0, math.log(9)]] * 3, share) == pytest.approx(1)
    assert calibrate_temperature([[5.0, 5 + 100 * math.log(9)]], share) == pytest.approx(100)


def test_temperature_meets_its_target():
    scores = np.random.default_rng(0).normal(size=(50, 8)) * 7
    for target in (0.1, 0.5, 0.9):
        found = torch.from_numpy(scores / calibrate_temperature(scores, target)).softmax(dim=1)
        entropy = torch.special.entr(found).sum(dim=1).mean() / math.log(8)
        assert float(entropy) == pytest.approx(target, abs=1e-6)
    doubled = calibrate_temperature(2 * scores + 3, 0.5)
    assert doubled == pytest.approx(2 * calibrate_temperature(scores, 0.5))


@pytest.mark.parametrize(
    ("scores", "target", "message"),
    [
        ([[1.0, 2.0]], 1.0, "between 0 and 1"),
        ([[1.0], [2.0]], 0.5, "2 scores or more"),
        ([1.0, 2.0], 0.5, "2 scores or more"),
        ([[1.0, 2.0], [1.0, math.nan]], 0.5, "row 1, column 1 is nan"),
        ([[1.0, 1.0], [2.0, 2.0]], 0.5, "100% of the greatest entropy"),
    ],
)
def test_scores_without_a_temperature(scores, target, message):
    with pytest.raises(BadInput, match=message):
        calibrate_temperature(scores, target)
