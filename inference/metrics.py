"""Counters and histograms of the engine in Prometheus' text format, written out by hand: there are few of them.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence

from inference.engine.base import Usage
from inference.engine.loop import StepLoop

TTFT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
PER_TOKEN_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


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


class EngineMetrics:
    """What finished requests report; totals and gauges are read from the loop when they are asked for."""

    def __init__(self) -> None:
        self._ttft = Histogram(TTFT_BUCKETS_S)
        self._per_token = Histogram(PER_TOKEN_BUCKETS_S)

    def record(self, usage: Usage) -> None:
        """Count a finished request."""
        self._ttft.observe(usage.ttft_s)
        if usage.completion_tokens > 1:
            self._per_token.observe((usage.total_s - usage.ttft_s) / (usage.completion_tokens - 1))

    def exposition(self, loop: StepLoop | None) -> str:
        """The whole page."""
        lines: list[str] = []

        def metric(name: str, kind: str, help_text: str, *rows: str) -> None:
            full = f"herald_inference_{name}"
            lines.extend([f"# HELP {full} {help_text}", f"# TYPE {full} {kind}", *rows])

        def value(name: str, kind: str, help_text: str, number: float) -> None:
            metric(name, kind, help_text, f"herald_inference_{name} {number:g}")

        if loop is not None:
            counters, slots, scheduler = loop.counters, loop.scheduler.slots, loop.scheduler
            value("running", "gauge", "Requests that are decoded now.", len(scheduler.running))
            value(
                "waiting",
                "gauge",
                "Requests that wait for their turn.",
                max(0, loop.unfinished - len(scheduler.running)),
            )
            value("cache_cells", "gauge", "Tokens that the cache can hold.", slots.cell_count)
            value("cache_cells_used", "gauge", "Tokens that the cache holds.", slots.used_cells)
            value("steps_total", "counter", "Model steps.", counters.steps)
            value("busy_seconds_total", "counter", "Seconds spent in steps.", counters.busy_s)
            value("prompt_tokens_total", "counter", "Prompt tokens of ended requests.", counters.prompt_tokens)
            value("cached_tokens_total", "counter", "Prompt tokens that were cached.", counters.cached_tokens)
            value(
                "generated_tokens_total",
                "counter",
                "Generated tokens, forced too.",
                counters.generated_tokens,
            )
            value("preempted_total", "counter", "Requests that gave way for lack of cache.", counters.preempted)
            value("cache_problems_total", "counter", "Idle checks that found cells astray.", counters.cache_problems)
            name = "herald_inference_requests_total"
            outcomes = {"finished": counters.finished, "failed": counters.failed, "aborted": counters.aborted}
            rows = [f'{name}{{outcome="{outcome}"}} {count}' for outcome, count in outcomes.items()]
            metric("requests_total", "counter", "Requests that ended.", *rows)
        for name, histogram, help_text in (
            ("ttft_seconds", self._ttft, "Seconds from submission to the first token."),
            ("time_per_token_seconds", self._per_token, "Mean seconds between the tokens of a request."),
        ):
            metric(name, "histogram", help_text, *histogram.lines(f"herald_inference_{name}"))
        return "\n".join(lines) + "\n"
