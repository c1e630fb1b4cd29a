"""One line of progress for a long transfer: redrawn in place on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

LINE_INTERVAL_S = 5.0
REDRAW_INTERVAL_S = 0.2


def human_size(size_bytes: float) -> str:
    """``1.1 GB``: decimal units, as disks and downloads are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000 or unit == "GB":
            return f"{size_bytes:.0f} {unit}" if unit in ("B", "kB") else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    raise AssertionError("unreachable: the loop returns at its last unit")


class Progress:
    """Counts bytes of one named task and says so. Thread-safe."""

    def __init__(self, label: str, total_bytes: int, stream: TextIO | None = None) -> None:
        """``total_bytes`` 0 means unknown."""
        self._label = label
        self._total_bytes = total_bytes
        self._stream = stream if stream is not None else sys.stderr
        self._done_bytes = 0
        self._lock = threading.Lock()
        self._started_at_s = time.monotonic()
        self._shown_at_s = self._started_at_s
        self._source = ""
        self._is_terminal = self._stream.isatty()

    def say(self, text: str) -> None:
        """One whole line, e.g. which source is being tried."""
        with self._lock:
            self._write(f"{self._label}: {text}", is_final=True)

    def announce(self, source: str) -> None:
        """Say from where it comes, once for each source."""
        if source != self._source:
            self._source = source
            self.say(f"from {source}")

    def set_total(self, total_bytes: int) -> None:
        """Tell the size once a source has named it."""
        with self._lock:
            self._total_bytes = total_bytes

    def add(self, size_bytes: int) -> None:
        """Count bytes and show the line when it is due."""
        with self._lock:
            self._done_bytes += size_bytes
            now_s = time.monotonic()
            if now_s - self._shown_at_s >= (REDRAW_INTERVAL_S if self._is_terminal else LINE_INTERVAL_S):
                self._shown_at_s = now_s
                self._write(self._line(now_s), is_final=False)

    def _line(self, now_s: float) -> str:
        amount = human_size(self._done_bytes)
        if self._total_bytes:
            # Packages are a little larger or smaller than what is in them: an estimate never passes the end.
            done_bytes = min(self._done_bytes, self._total_bytes)
            amount = f"{100 * done_bytes // self._total_bytes}% of {human_size(self._total_bytes)}"
        rate = self._done_bytes / max(now_s - self._started_at_s, 0.1)
        return f"{self._label}: {amount}, {human_size(rate)}/s"

    def _write(self, text: str, *, is_final: bool) -> None:
        if self._is_terminal:
            self._stream.write(f"\r\x1b[K{text}" + ("\n" if is_final else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
