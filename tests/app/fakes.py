"""Stand-ins for what lies behind the app's ports."""

from __future__ import annotations

import hashlib
import math
import re

from app.llm import InferenceUnavailable
from app.memory.embedder import DIMENSIONS


class FakeEmbedder:
    """Deterministic vectors: texts that share words lie near each other. Can be told to be down."""

    def __init__(self) -> None:
        self.is_down = False
        self.texts: list[str] = []

    def embed(self, texts: list[str]) -> list[list[float]]:
        """One unit vector a text, a sum of hashed words."""
        if self.is_down:
            raise InferenceUnavailable("The inference process does not answer.", hint="It may be starting.")
        self.texts.extend(texts)
        return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.casefold()):
        digest = hashlib.sha256(word.encode()).digest()
        for index in range(0, 12, 2):
            place = int.from_bytes(digest[index : index + 2], "big") % DIMENSIONS
            vector[place] += 1.0 if digest[index + 12] % 2 else -1.0
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / length for x in vector] if any(vector) else [1.0 / math.sqrt(DIMENSIONS)] * DIMENSIONS


class Waker:
    """Remembers which actions the worker was woken for. Can be told to fail."""

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.is_broken = False

    def __call__(self, action_id: str) -> None:
        """Wake."""
        if self.is_broken:
            raise OSError("the queue's disk is full")
        self.woken.append(action_id)
