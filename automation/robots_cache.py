"""What sites' robots.txt said less than a day ago, for as long as the worker runs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

MAX_AGE_S = 24 * 3_600.0  # RFC 9309, 2.4
MOST = 200


class RobotsCache:
    """By origin. Thread-safe; the oldest goes first when there are too many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def load(self, origin: str) -> str | None:
        """The file of the site, empty when it has none; None when it must be read."""
        with self._lock:
            kept = self._kept.get(origin)
            return kept[1] if kept is not None and time.monotonic() - kept[0] < MAX_AGE_S else None

    def save(self, origin: str, text: str) -> None:
        """Keep what was read now."""
        with self._lock:
            self._kept[origin] = (time.monotonic(), text)
            self._kept.move_to_end(origin)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
