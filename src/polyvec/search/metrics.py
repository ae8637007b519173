"""What a server counts about itself, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """Counters of one server; several servers in one process count apart.

    Example:
        >>> metrics = Metrics()
        >>> metrics.texts.labels("minilm").inc(3)
        >>> 'polyvec_texts_total{model="minilm"} 3.0' in metrics.page().decode()
        True
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "polyvec_requests",
            "Requests that were answered",
            ["path", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "polyvec_request_seconds",
            "Seconds from a request to the end of its answer",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "polyvec_batch_texts",
            "Texts in a batch that a model computed",
            ["model"],
            buckets=_TEXTS,
            registry=registry,
        )
        self.texts = Counter(
            "polyvec_texts", "Texts that were encoded", ["model"], registry=registry
        )
        self.tokens = Counter(
            "polyvec_tokens", "Tokens that models read", ["model"], registry=registry
        )
        self._queue = Gauge(
            "polyvec_queue_length",
            "Texts and searches that wait for the model",
            ["model"],
            registry=registry,
        )

    def watch_queue(self, model: str, length: Callable[[], int]) -> None:
        """Report what ``length`` says whenever the page is read."""
        self._queue.labels(model).set_function(length)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
