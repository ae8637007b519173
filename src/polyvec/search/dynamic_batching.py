"""Dynamic batching: texts of different requests that wait at the same time go through the model together.

A model computes many texts in one batch faster than one after the other, but a server gets them in requests of one or
a few. So requests wait in a queue, and one thread, the only one that touches the model, takes what has gathered: up to
a number of tokens, or after the oldest request has waited for some milliseconds. While it computes, the next ones
gather, so that under load nobody waits for the clock.

Requests take turns text by text: a request of one text does not wait for the end of one of two thousand. What a client
no longer wants is taken out of the queue. A text that cannot be encoded fails its own request and no other.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from sentence_transformers import SentenceTransformer

from polyvec.encoders.encoding import prompt_for
from polyvec.encoders.precision import Precision, dtype_for
from polyvec.encoders.token_batches import (
    Settings,
    Task,
    Vectors,
    default_batch_tokens,
    encode_window,
)
from polyvec.errors import BadInput

_log = logging.getLogger(__name__)

_LETTERS_PER_TOKEN = 4
"""Of English text. The estimate only decides how much is taken at once; batches are cut by true counts."""

_SPECIAL_TOKENS = 2

_BATCHES_AT_ONCE = 4
"""Four batches are taken out of the queue together. A few dozen texts of unlike length in one batch would be padding
for the most part: on a CPU, 64 first paragraphs of docstrings took a third less time in batches of 512 tokens than of
2,048, and texts of 256 tokens the same. `polyvec.encode` sorts thousands of texts; its batch is divided by four."""

_PROBES = (
    "cats",
    "how do I join two tables on a column?",
    "Return the rows of a table that pass a filter, in their order, and how many there were.",
    "The river rises in the hills north of the town, runs past the old mill and two villages, and reaches the sea "
    "after some forty miles; in dry summers one can walk through it nearly everywhere.",
    "def mean(values: list[float]) -> float:\n    return sum(values) / len(values)",
)
"""By which it is told whether a model's vectors stay the same in bfloat16."""

_LONGEST_RETRY = 60
"""Seconds; clients of OpenAI's library believe no larger Retry-After."""

Result = TypeVar("Result")


class Encoded(NamedTuple):
    """What became of a request: vectors of shape (texts, dimensions), and tokens that the model read in all."""

    vectors: Vectors
    tokens: int


class QueueFull(Exception):
    """So much waits already that nothing more is taken; try again after ``seconds``."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many texts wait already; try again in {seconds} s")
        self.seconds = seconds


class TextFailed(Exception):
    """One text of a request cannot be encoded; ``position`` counts from 0, the cause is the model's error."""

    def __init__(self, position: int) -> None:
        super().__init__(f"text {position} cannot be encoded")
        self.position = position


@dataclass(slots=True, eq=False)
class _Request:
    texts: Sequence[str]
    task: Task | None
    future: Future[Encoded]
    arrived: float
    vectors: list[Vectors | None]
    taken: int = 0
    done: int = 0
    tokens: int = 0

    @property
    def is_over(self) -> bool:
        return self.future.done()


@dataclass(slots=True, eq=False)
class _Call:
    function: Callable[[], Any]
    future: Future[Any]


@dataclass(slots=True)
class _Window:
    """Texts that are computed together: whose they are, and their places there."""

    owners: list[_Request] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [owner.texts[at] for owner, at in zip(self.owners, self.places, strict=True)]


class DynamicBatching:
    """One model, one thread, and the queue before it.

    Args:
        model: any sentence-transformers model that takes texts; nobody else may use it meanwhile.
        max_tokens: most tokens in a batch, padding counted; by default 512 on a CPU, else 8,192. Four times as many are
            taken out of the queue at once, and sorted into batches by their length.
        max_wait_ms: how long a text may wait for company where the model has nothing else to do.
        max_queue: most texts that wait. A request of more is still taken when nothing waits.
        normalize: scale each vector to length 1.
        precision: number format inside the model. In ``float32`` the vector of a text hardly depends on its company;
            ``auto`` takes bfloat16 where the processor has it and a few texts stay within cosine 0.9995 of float32.
        batching: give False to compute each request by itself, for comparison.
        on_batch: told the number of texts of each batch that the model computed.

    Raises:
        BadInput: when a limit is not positive, or there is no such precision.

    Example:
        >>> from polyvec import load  # doctest: +SKIP
        >>> batching = DynamicBatching(load("minilm"))  # doctest: +SKIP
        >>> batching.submit(["a cat", "a dog"]).result().vectors.shape  # doctest: +SKIP
        (2, 384)
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        max_tokens: int | None = None,
        max_wait_ms: float = 2.0,
        max_queue: int = 4096,
        normalize: bool = True,
        precision: Precision = "float32",
        batching: bool = True,
        on_batch: Callable[[int], None] = lambda texts: None,
    ) -> None:
        if max_tokens is None:
            max_tokens = default_batch_tokens(model.device) // _BATCHES_AT_ONCE
        for name, value in (("max_tokens", max_tokens), ("max_queue", max_queue)):
            if value < 1:
                raise BadInput(f"{name} {value}: give 1 or more")
        if not max_wait_ms >= 0:
            raise BadInput(f"max_wait_ms {max_wait_ms:g}: give 0 or more milliseconds")
        dtype = dtype_for(precision, model, _PROBES)
        self.model = model
        self._settings = {
            task: Settings(dtype, max_tokens, normalize, prompt_for(model, task), task)
            for task in (None, "query", "document")
        }
        self._budget = _BATCHES_AT_ONCE * max_tokens
        self._longest = model.max_seq_length or self._budget
        self._max_wait = max_wait_ms / 1000
        self._max_queue = max_queue
        self._batching = batching
        self._on_batch = on_batch
        self._requests: deque[_Request] = deque()
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._texts_per_second = 0.0
        self._thread = threading.Thread(target=self._run, name="polyvec-model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Texts and calls that the model has not begun with."""
        with self._changed:
            return self._count_waiting()

    @property
    def is_alive(self) -> bool:
        """Whether requests are still worked on."""
        return self._thread.is_alive()

    def submit(self, texts: Sequence[str], task: Task | None = None) -> Future[Encoded]:
        """Put a request into the queue.

        Args:
            texts: at least one.
            task: ``query`` or ``document``; as in `polyvec.encode`.

        Returns:
            Its vectors and tokens, later; its exception may be `TextFailed`. Cancelled, it leaves the queue.

        Raises:
            BadInput: when there is no text, or the queue was closed.
            QueueFull: when too many texts wait.
        """
        if not texts:
            raise BadInput("no text to encode; give at least one")
        future: Future[Encoded] = Future()
        request = _Request(texts, task, future, time.monotonic(), [None] * len(texts))
        with self._changed:
            self._check_room(len(texts))
            self._requests.append(request)
            self._changed.notify_all()
        return future

    def call(self, function: Callable[[], Result]) -> Future[Result]:
        """Have a function called in the model's thread, in turn with batches: for all else that uses the model.

        Raises:
            BadInput: when the queue was closed.
            QueueFull: when too much waits.
        """
        future: Future[Result] = Future()
        with self._changed:
            self._check_room(1)
            self._calls.append(_Call(function, future))
            self._changed.notify_all()
        return future

    def close(self) -> None:
        """Finish what waits, take nothing more, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _check_room(self, texts: int) -> None:
        if self._closing or not self._thread.is_alive():
            raise BadInput("this queue is closed; open another one")
        waiting = self._count_waiting()
        if waiting and waiting + texts > self._max_queue:
            seconds = waiting / self._texts_per_second if self._texts_per_second else 1
            raise QueueFull(max(1, min(_LONGEST_RETRY, math.ceil(seconds))))

    def _count_waiting(self) -> int:
        texts = sum(len(r.texts) - r.taken for r in self._requests if not r.is_over)
        return texts + sum(not call.future.done() for call in self._calls)

    def _run(self) -> None:
        window = None
        try:
            while self._wait():
                self._answer_one_call()
                if window := self._take():
                    self._compute(window)
        # Whatever ends this thread, nobody may wait for it for ever.
        except BaseException as error:
            _log.exception("the model's thread ended")
            with self._changed:
                self._closing = True
                left: list[Future[Any]] = [request.future for request in self._requests]
                left += [call.future for call in self._calls]
                left += [owner.future for owner in window.owners] if window else []
                self._requests.clear()
                self._calls.clear()
            for future in left:
                _fail(future, error)

    def _wait(self) -> bool:
        """Return when there is enough to do; False when there will be nothing more."""
        with self._changed:
            while True:
                self._forget_what_is_over()
                if self._calls:
                    return True
                if not self._requests:
                    if self._closing:
                        return False
                    self._changed.wait()
                    continue
                oldest = min(request.arrived for request in self._requests)
                left = oldest + self._max_wait - time.monotonic()
                if left <= 0 or self._closing or not self._batching or self._has_enough():
                    return True
                self._changed.wait(left)

    def _forget_what_is_over(self) -> None:
        self._requests = deque(r for r in self._requests if not r.is_over)
        self._calls = deque(call for call in self._calls if not call.future.done())

    def _has_enough(self) -> bool:
        total = 0
        for request in self._requests:
            for text in request.texts[request.taken :]:
                total += self._cost(text)
                if total >= self._budget:
                    return True
        return False

    def _cost(self, text: str) -> int:
        return min(self._longest, len(text) // _LETTERS_PER_TOKEN + _SPECIAL_TOKENS)

    def _take(self) -> _Window | None:
        """The next texts of all requests in turn, until the budget is full."""
        window, total = _Window(), 0
        with self._changed:
            while self._requests and total < self._budget:
                request = self._requests.popleft()
                if request.is_over:
                    continue
                window.owners.append(request)
                window.places.append(request.taken)
                total += self._cost(request.texts[request.taken])
                request.taken += 1
                if request.taken < len(request.texts):
                    if self._batching:
                        self._requests.append(request)
                    else:
                        self._requests.appendleft(request)
                elif not self._batching:
                    break
        return window if window.owners else None

    def _compute(self, window: _Window) -> None:
        started = time.perf_counter()
        for task, settings in self._settings.items():
            owners = [owner for owner in window.owners if owner.task == task]
            if owners:
                pairs = zip(window.owners, window.places, strict=True)
                places = [place for owner, place in pairs if owner.task == task]
                self._compute_alike(_Window(owners, places), settings)
        rate = len(window.owners) / max(time.perf_counter() - started, 1e-6)
        self._texts_per_second = 0.8 * (self._texts_per_second or rate) + 0.2 * rate

    def _compute_alike(self, window: _Window, settings: Settings) -> None:
        """Compute texts that have one prompt; where that fails, each by itself, so that one fails alone."""
        left = set(range(len(window.owners)))
        try:
            for rows, vectors, tokens in encode_window(
                self.model, window.texts, settings, self._on_batch
            ):
                if not np.isfinite(vectors).all():
                    raise ValueError("the model gives a vector that is not finite")
                # At once: who is answered asks again while the next batch is computed, and joins the next window.
                for row, vector, count in zip(rows.tolist(), vectors, tokens.tolist(), strict=True):
                    _deliver(window.owners[row], window.places[row], vector, count)
                    left.remove(row)
        except Exception as error:
            if len(window.owners) == 1:
                _log.warning("a text cannot be encoded", exc_info=error)
                failure = TextFailed(window.places[0])
                failure.__cause__ = error
                _fail(window.owners[0].future, failure)
                return
            for row in sorted(left):
                owner = window.owners[row]
                if not owner.is_over:
                    self._compute_alike(_Window([owner], [window.places[row]]), settings)

    def _answer_one_call(self) -> None:
        with self._changed:
            if not self._calls:
                return
            call = self._calls.popleft()
        if not call.future.set_running_or_notify_cancel():
            return
        try:
            call.future.set_result(call.function())
        except Exception as error:
            call.future.set_exception(error)


def _deliver(request: _Request, place: int, vector: Vectors, tokens: int) -> None:
    request.vectors[place] = vector
    request.tokens += tokens
    request.done += 1
    if request.done == len(request.texts) and not request.is_over:
        found = np.stack([vector for vector in request.vectors if vector is not None])
        try:
            request.future.set_result(Encoded(found, request.tokens))
        except InvalidStateError:  # cancelled in this very moment
            return


def _fail(future: Future[Any], error: BaseException) -> None:
    try:
        future.set_exception(error)
    except (InvalidStateError, CancelledError):
        return
