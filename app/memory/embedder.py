"""What memory needs of the inference client, and no more."""

from __future__ import annotations

from typing import Protocol

DIMENSIONS = 384


class Embedder(Protocol):
    """Turns texts into vectors of meaning."""

    def embed(self, texts: list[str]) -> list[list[float]]:
        """One vector of DIMENSIONS floats a text, in order. Raises: InferenceUnavailable."""
        ...
