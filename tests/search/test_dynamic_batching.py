"""Dynamic batching: the vectors of polyvec.encode, joined batches, turns, cancelling, and failures that stay alone."""

import threading
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest
import torch

from polyvec.encoders import precision as encoder_precision
from polyvec.encoders.encoding import encode
from polyvec.encoders.precision import MIN_COSINE
from polyvec.errors import BadInput
from polyvec.search.dynamic_batching import DynamicBatching, QueueFull, TextFailed

TEXTS = [
    "the cat is in the house",
    "a boat",
    "query and document",
    "rain " * 40,
    "apple",
    "one two three four five",
]


@pytest.fixture
def batching(tiny_model):
    """A function that opens a queue before a fresh tiny model, and closes all of them in the end."""
    opened = []

    def make(model=None, **options):
        opened.append(DynamicBatching(model or tiny_model(), **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def held(batching):
    """A function that opens a queue whose thread waits until the event beside it is set."""

    def make(model=None, **options):
        queue, go, began = batching(model, **options), threading.Event(), threading.Event()
        queue.call(lambda: (began.set(), go.wait(20)))
        assert began.wait(20)
        return queue, go

    return make


def test_vectors_are_those_of_encode(batching, tiny_model) -> None:
    model = tiny_model()
    expected = encode(tiny_model(), TEXTS, normalize=True)
    found = batching(model, max_tokens=32).submit(TEXTS).result(20)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    raw = batching(model, normalize=False).submit(TEXTS).result(20)
    np.testing.assert_allclose(raw.vectors, encode(tiny_model(), TEXTS), atol=1e-5)


def test_auto_computes_in_bfloat16_where_that_is_native_and_close(
    batching, tiny_model, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = batching(tiny_model()).submit(TEXTS).result(20).vectors
    monkeypatch.setattr(encoder_precision, "has_bfloat16", lambda device: True)
    rounded = batching(tiny_model(), precision="auto").submit(TEXTS).result(20).vectors
    assert np.abs(exact - rounded).max() > 0
    assert (exact * rounded).sum(1).min() > MIN_COSINE


def test_tokens_are_what_the_model_read(batching) -> None:
    queue = batching()
    # [CLS] apple [SEP], and the 64 tokens that the model reads of a longer text.
    assert queue.submit(["apple"]).result(20).tokens == 3
    assert queue.submit(["apple", "rain " * 500]).result(20).tokens == 3 + 64


def test_a_task_takes_its_prompt(batching, tiny_model) -> None:
    model = tiny_model()
    model.prompts = {"query": "search query: ", "document": "text: "}
    queue = batching(model)
    asked = {task: queue.submit(TEXTS, task) for task in (None, "query", "document")}
    for task, future in asked.items():
        expected = encode(model, TEXTS, task=task, normalize=True)
        np.testing.assert_allclose(future.result(20).vectors, expected, atol=1e-5)


def test_requests_that_wait_share_a_batch(held) -> None:
    batches = []
    queue, go = held(on_batch=batches.append)
    futures = [queue.submit([text]) for text in TEXTS]
    assert queue.waiting == len(TEXTS)
    go.set()
    wait(futures, 20)
    assert batches == [len(TEXTS)]


def test_one_by_one_without_batching(held) -> None:
    batches = []
    queue, go = held(on_batch=batches.append, batching=False)
    futures = [queue.submit(TEXTS[:2]), queue.submit(TEXTS[2:3])]
    go.set()
    wait(futures, 20)
    assert batches == [2, 1]


def test_a_small_request_does_not_wait_for_a_large_one(held) -> None:
    ended = []
    queue, go = held(max_tokens=16)
    large = queue.submit(["one two three"] * 60)
    small = queue.submit(["apple"])
    large.add_done_callback(lambda _: ended.append("large"))
    small.add_done_callback(lambda _: ended.append("small"))
    go.set()
    wait([large, small], 20)
    assert ended == ["small", "large"]


def test_a_text_waits_for_company_but_not_for_ever(batching) -> None:
    batches = []
    queue = batching(max_wait_ms=300, on_batch=batches.append)
    futures = [queue.submit(["apple"]), queue.submit(["rain"])]
    wait(futures, 20)
    assert batches == [2]


def test_what_nobody_wants_is_not_computed(held) -> None:
    batches = []
    queue, go = held(on_batch=batches.append)
    unwanted, wanted = queue.submit(["apple"] * 5), queue.submit(["rain"])
    assert unwanted.cancel()
    assert queue.waiting == 1
    go.set()
    wanted.result(20)
    assert batches == [1]
    with pytest.raises(CancelledError):
        unwanted.result(20)


def test_one_bad_text_fails_alone(held, tiny_model) -> None:
    model = tiny_model()
    sound = model.preprocess

    def preprocess(inputs, **options):
        if "bad" in inputs:
            raise ValueError("no such word")
        return sound(inputs, **options)

    model.preprocess = preprocess
    queue, go = held(model)
    good, bad = queue.submit(TEXTS), queue.submit(["apple", "bad"])
    go.set()
    expected = encode(tiny_model(), TEXTS, normalize=True)
    np.testing.assert_allclose(good.result(20).vectors, expected, atol=1e-5)
    with pytest.raises(TextFailed, match="text 1 cannot be encoded") as failed:
        bad.result(20)
    assert str(failed.value.__cause__) == "no such word"
    assert queue.submit(["apple"]).result(20).vectors.shape == (1, 32)


def test_a_vector_that_is_not_finite_fails(batching, tiny_model) -> None:
    model = tiny_model()
    with torch.no_grad():
        model[0].auto_model.embeddings.LayerNorm.bias.fill_(float("nan"))
    with pytest.raises(TextFailed):
        batching(model).submit(["apple"]).result(20)


def test_a_full_queue_takes_no_more(held) -> None:
    queue, go = held(max_queue=3)
    first = queue.submit(["apple"] * 9)  # more than the queue, but nothing waits
    with pytest.raises(QueueFull) as full:
        queue.submit(["rain"])
    assert full.value.seconds >= 1
    go.set()
    assert first.result(20).vectors.shape == (9, 32)
    assert queue.submit(["rain"]).result(20).vectors.shape == (1, 32)


def test_calls_take_turns_and_their_errors_end_nothing(batching) -> None:
    queue = batching()
    with pytest.raises(ZeroDivisionError):
        queue.call(lambda: 1 // 0).result(20)
    assert queue.call(lambda: "found").result(20) == "found"
    assert queue.is_alive


def test_nobody_waits_for_a_thread_that_ended(held, tiny_model) -> None:
    model = tiny_model()

    def preprocess(inputs, **options):
        raise SystemExit("the thread ends")

    model.preprocess = preprocess
    queue, go = held(model, max_tokens=4)
    futures = [queue.submit(["apple"]), queue.submit(["rain"])]
    go.set()
    for future in futures:
        with pytest.raises(SystemExit):
            future.result(20)
    queue.close()
    with pytest.raises(BadInput, match="closed"):
        queue.submit(["apple"])


def test_closing_finishes_what_waits(batching) -> None:
    queue = batching(max_wait_ms=10_000)
    future = queue.submit(["apple"])
    queue.close()
    assert future.result(0).vectors.shape == (1, 32)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_tokens": 0}, "max_tokens 0: give 1 or more"),
        ({"max_queue": 0}, "max_queue 0: give 1 or more"),
        ({"max_wait_ms": -1}, "max_wait_ms -1: give 0 or more"),
        ({"precision": "half"}, "precision 'half': give auto, float32 or bfloat16"),
        ({"max_wait_ms": float("nan")}, "max_wait_ms nan: give 0 or more"),
    ],
)
def test_limits_that_make_no_sense(options, sentence: str, tiny_model) -> None:
    with pytest.raises(BadInput, match=sentence):
        DynamicBatching(tiny_model(), **options)


def test_no_text(batching) -> None:
    with pytest.raises(BadInput, match="at least one"):
        batching().submit([])
