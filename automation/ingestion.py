"""What the worker does when an asset waits: take in one after the other, in one thread, until none waits any more."""

from __future__ import annotations

import threading

from huey import Huey

from app.memory.ingestion import IngestionService
from automation.queue import INGEST_ASSETS, enqueue


class IngestionRunner:
    """Takes assets in, one at a time: the embedding model has one thread, and actions need theirs."""

    def __init__(self, ingestion: IngestionService) -> None:
        self._ingestion = ingestion
        self._stopping = threading.Event()
        self._one = threading.Lock()
        self.huey: Huey | None = None

    def run(self, asset_id: str) -> None:
        """Take in everything that waits, ``asset_id`` with it; nothing to do when another thread is at it."""
        while self._one.acquire(blocking=False):
            try:
                for due_id in iter(self._next, None):
                    self._ingestion.run(due_id, self._stopping.is_set)
            finally:
                self._one.release()
            if self._next() is None:  # else it came after the last look and before the release
                return

    def sweep(self) -> None:
        """Wake a thread for what nobody was woken for: lost wakes, waits that are over, workers that died."""
        if self.huey is not None and self._next() is not None:
            enqueue("", task=INGEST_ASSETS, huey=self.huey)

    def stop(self) -> None:
        """Begin no more; what is under way is put back after its current batch."""
        self._stopping.set()

    def _next(self) -> str | None:
        if self._stopping.is_set():
            return None
        return next(iter(self._ingestion.due(limit=1)), None)
