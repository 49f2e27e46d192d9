"""What a server counts, for Prometheus, in a registry of its own; with several workers their counts are added up.

Workers share them through files (``PROMETHEUS_MULTIPROC_DIR``, which ``unmask serve --workers`` sets before this is
imported), so whichever worker is asked tells of all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from unmask.serving.tickets import Job

SHARED = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_ROWS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counts of one process; it is also what an engine tells what it does."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self._requests = Counter("unmask_requests", "Requests answered", ["path", "status"], registry=own)
        self._seconds = Histogram(
            "unmask_request_seconds",
            "From a request to the end of its answer",
            ["path"],
            buckets=_SECONDS,
            registry=own,
        )
        live = {"registry": own, "multiprocess_mode": "livesum"}
        self._waiting = Gauge("unmask_texts_waiting", "Texts in the queue", **live)
        self._writing = Gauge("unmask_texts_writing", "Texts being written", **live)
        self._steps = Counter("unmask_steps", "Steps of batches", ["model"], registry=own)
        self._step = Histogram("unmask_step_seconds", "Time of a step", ["model"], buckets=_SECONDS, registry=own)
        self._rows = Histogram("unmask_batch_texts", "Texts in a step's batch", ["model"], buckets=_ROWS, registry=own)
        self._words = Counter("unmask_tokens", "Tokens decided, counted from frames", ["model"], registry=own)
        self._ended = Counter("unmask_texts", "Texts that ended, by how", ["model", "kind"], registry=own)
        self._text = Histogram(
            "unmask_text_seconds", "From submitting a text to its end", ["model"], buckets=_SECONDS, registry=own
        )
        self._first = Histogram(
            "unmask_first_frame_seconds", "From submitting to the first step", ["model"], buckets=_SECONDS, registry=own
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request was answered; status 0: its client left before."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def waits(self, waiting: int, writing: int) -> None:
        """How many texts wait and how many are being written."""
        self._waiting.set(waiting)
        self._writing.set(writing)

    def stepped(self, job: Job, rows: int, words: int, seconds: float) -> None:
        """A step was taken."""
        model = job.run.name
        self._steps.labels(model).inc()
        self._step.labels(model).observe(seconds)
        self._rows.labels(model).observe(rows)
        self._words.labels(model).inc(max(0, words))

    def ended(self, job: Job, kind: str, seconds: float, first: float | None) -> None:
        """A text ended."""
        model = job.run.name
        self._ended.labels(model, kind).inc()
        self._text.labels(model).observe(seconds)
        if first is not None:
            self._first.labels(model).observe(first)

    def text(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        if os.environ.get(SHARED):
            together = CollectorRegistry()
            MultiProcessCollector(together)
            return generate_latest(together)
        return generate_latest(self.registry)
