"""Slowing down whoever tries keys: a sliding window of failures a client address, in memory."""

from __future__ import annotations

import threading
import time
from collections import deque

MAX_FAILURES = 20
WINDOW_S = 60.0
_MAX_CLIENTS = 10_000


class FailureLimiter:
    """Counts failed attempts. Thread-safe."""

    def __init__(self, max_failures: int = MAX_FAILURES, window_s: float = WINDOW_S) -> None:
        self._max_failures = max_failures
        self._window_s = window_s
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def retry_after_s(self, client: str) -> int:
        """Seconds to wait before the next attempt; 0 when it may be made now."""
        with self._lock:
            times = self._recent(client)
            if len(times) < self._max_failures:
                return 0
            return max(1, round(times[0] + self._window_s - time.monotonic()))

    def add_failure(self, client: str) -> None:
        """Note one failed attempt."""
        with self._lock:
            if client not in self._failures and len(self._failures) >= _MAX_CLIENTS:
                self._failures.pop(next(iter(self._failures)))
            self._failures.setdefault(client, deque(maxlen=self._max_failures)).append(time.monotonic())

    def _recent(self, client: str) -> deque[float]:
        times = self._failures.get(client)
        if times is None:
            return deque()
        while times and times[0] < time.monotonic() - self._window_s:
            times.popleft()
        if not times:
            del self._failures[client]
        return times
