"""Tokens to text while they arrive: never half a character, never a part of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Detokenizer:
    """Joins the tokens' bytes into text. A character that is split over tokens is held back until it is whole.

    Stop strings end the text before them even when they straddle tokens; text that may still become a stop string is
    held back.
    """

    def __init__(self, token_bytes: Sequence[bytes], stop: Sequence[str] = ()) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(stop)
        self._held = ""
        self.is_stopped = False

    def push(self, token: int) -> str:
        """Text that is certain after this token; ``is_stopped`` turns true when a stop string was completed."""
        text = self._decoder.decode(self._token_bytes[token])
        return self._release(text) if self._stop else text

    def flush(self) -> str:
        """What is left at the end; an incomplete character becomes U+FFFD."""
        text = self._decoder.decode(b"", final=True)
        if self.is_stopped:
            return ""
        text, self._held = self._held + text, ""
        return text

    def _release(self, text: str) -> str:
        if self.is_stopped:
            return ""
        pending = self._held + text
        found = [at for stop in self._stop if (at := pending.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            self._held = ""
            return pending[: min(found)]
        keep = max(_overlap(pending, stop) for stop in self._stop)
        cut = len(pending) - keep
        self._held = pending[cut:]
        return pending[:cut]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that is a beginning of ``stop``."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
