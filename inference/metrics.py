"""Counters, gauges and histograms in Prometheus' text format, written out by hand: there are few of them.

Two parts make the page: what the local engine knows (batch, cache, steps), and what the calls of any engine came to.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.engine.loop import StepLoop

PREFIX = "herald_inference_"
TTFT_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 120.0)
GAP_BUCKETS_S = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1),
    *(0.125, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0),
)
QUEUE_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
DURATION_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
BATCH_BUCKETS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_STARTED_AT_S = time.time()


class Histogram:
    """Counts of observations up to each bound. Thread-safe."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def lines(self, name: str) -> list[str]:
        """Exposition lines, buckets cumulated."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        result, running = [], 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
            running += count
            result.append(f'{name}_bucket{{le="{bound}"}} {running}')
        return [*result, f"{name}_sum {total:.6f}", f"{name}_count {running}"]


class Page:
    """Exposition text that grows metric by metric."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def _head(self, name: str, kind: str, help_text: str) -> None:
        self._lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]

    def gauge(self, name: str, help_text: str, value: float) -> None:
        """A value that goes up and down."""
        self._head(name, "gauge", help_text)
        self._lines.append(f"{name} {_number(value)}")

    def counter(self, name: str, help_text: str, value: float) -> None:
        """A total since the start; its name ends in ``_total``."""
        self._head(name, "counter", help_text)
        self._lines.append(f"{name} {_number(value)}")

    def counters(self, name: str, help_text: str, label: str, values: dict[str, int]) -> None:
        """Totals that differ in one label. Label values are our own words and need no escapes."""
        self._head(name, "counter", help_text)
        self._lines += [f'{name}{{{label}="{key}"}} {value}' for key, value in sorted(values.items())]

    def histogram(self, name: str, help_text: str, histogram: Histogram) -> None:
        """A distribution."""
        self._head(name, "histogram", help_text)
        self._lines += histogram.lines(name)

    def text(self) -> str:
        """What was written so far, each line ended."""
        return "".join(f"{line}\n" for line in self._lines)


def _number(value: float) -> str:
    """All digits: %g would round counters of more than six."""
    return str(int(value)) if float(value).is_integer() else repr(round(value, 6))


def engine_page(loop: StepLoop | None) -> str:
    """What the local engine's step loop says; empty before the model is loaded."""
    page = Page()
    if loop is None:
        return ""
    counters, slots, running = loop.counters, loop.scheduler.slots, len(loop.scheduler.running)
    page.gauge(f"{PREFIX}running", "Requests that are decoded now.", running)
    page.gauge(f"{PREFIX}waiting", "Requests that wait for their turn.", max(0, loop.unfinished - running))
    page.gauge(f"{PREFIX}queue_limit", "Requests that may wait before callers get 429.", loop.queue_limit)
    page.gauge(f"{PREFIX}cache_cells", "Tokens that the cache can hold.", slots.cell_count)
    page.gauge(f"{PREFIX}cache_cells_used", "Tokens that the cache holds.", slots.used_cells)
    page.counter(f"{PREFIX}steps_total", "Model steps.", counters.steps)
    page.counter(f"{PREFIX}busy_seconds_total", "Seconds spent in steps.", counters.busy_s)
    page.counter(f"{PREFIX}prompt_tokens_total", "Prompt tokens of ended requests.", counters.prompt_tokens)
    page.counter(f"{PREFIX}cached_tokens_total", "Prompt tokens that were cached.", counters.cached_tokens)
    page.counter(f"{PREFIX}generated_tokens_total", "Generated tokens, forced too.", counters.generated_tokens)
    page.counter(f"{PREFIX}guessed_tokens_total", "Tokens that were guessed ahead.", counters.guessed_tokens)
    page.counter(f"{PREFIX}accepted_tokens_total", "Guessed tokens that came true.", counters.accepted_tokens)
    page.counter(f"{PREFIX}preempted_total", "Requests that gave way for lack of cache.", counters.preempted)
    page.counter(f"{PREFIX}cache_problems_total", "Idle checks that found cells astray.", counters.cache_problems)
    page.histogram(f"{PREFIX}batch_size", "Requests that a model step computes together.", counters.batch_sizes)
    return page.text()


class CallMetrics:
    """What the calls of any engine came to, in the times that a client sees."""

    def __init__(self) -> None:
        self.ttft = Histogram(TTFT_BUCKETS_S)
        self.gaps = Histogram(GAP_BUCKETS_S)
        self.queue = Histogram(QUEUE_BUCKETS_S)
        self.duration = Histogram(DURATION_BUCKETS_S)
        self.outcomes = Counter({"finished": 0, "failed": 0, "aborted": 0})
        self.errors: Counter[str] = Counter()

    def page(self) -> str:
        """These metrics and those of the process."""
        page = Page()
        page.counters(f"{PREFIX}requests_total", "Requests that ended.", "outcome", self.outcomes)
        page.counters(f"{PREFIX}request_errors_total", "Requests that failed, by error code.", "code", self.errors)
        page.histogram(f"{PREFIX}ttft_seconds", "Seconds from a request to its first token.", self.ttft)
        page.histogram(
            f"{PREFIX}inter_token_seconds",
            "Seconds between two tokens of a request, as its reader sees them.",
            self.gaps,
        )
        page.histogram(f"{PREFIX}queue_seconds", "Seconds that finished requests waited for their turn.", self.queue)
        page.histogram(f"{PREFIX}request_seconds", "Seconds from a request to its end.", self.duration)
        return page.text() + process_page()


class RerankMetrics:
    """What the reranker's calls came to. Touched in the event loop's thread only."""

    def __init__(self) -> None:
        self.duration = Histogram(DURATION_BUCKETS_S)
        self.documents = 0
        self.waiting = 0

    def finished(self, documents: int, seconds: float) -> None:
        """Count one answered request, its wait included."""
        self.documents += documents
        self.duration.observe(seconds)

    def page(self) -> str:
        """These metrics; they are there where a reranker is served."""
        page = Page()
        page.gauge(f"{PREFIX}rerank_waiting", "Requests that wait for the reranker.", self.waiting)
        page.counter(f"{PREFIX}reranked_documents_total", "Documents that the reranker scored.", self.documents)
        page.histogram(f"{PREFIX}rerank_seconds", "Seconds from a request to its scores.", self.duration)
        return page.text()


def process_page() -> str:
    """The process under the names that Prometheus' own clients use."""
    page = Page()
    times = os.times()
    page.counter("process_cpu_seconds_total", "Seconds of CPU time, user and system.", times.user + times.system)
    page.gauge("process_start_time_seconds", "Start of the process in seconds since 1970.", _STARTED_AT_S)
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return page.text()  # not Linux
    page.gauge("process_resident_memory_bytes", "Resident memory.", pages * os.sysconf("SC_PAGE_SIZE"))
    return page.text()
