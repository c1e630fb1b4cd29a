"""The one place that decides whether a cross-encoder puts the found passages in order, and that goes on without it.

Inference says which one it serves. What fails or takes too long leaves the order by words and meaning as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from app import clock
from app.errors import AppError
from app.memory.retrieval import Candidate

log = structlog.get_logger(__name__)

RERANKED = 30  # the best of the fused order; what is right is seldom further down (docs/quality.md)
TIMEOUT_S = 15.0  # somebody waits for the search
PAUSE_S = 60.0  # between looking for a reranker, and after a failure


class Reranker(Protocol):
    """What reranking needs of the inference client."""

    def reranker(self) -> str:
        """The name of the cross-encoder that is served, "" without one. Raises: AppError."""
        ...

    def rerank(self, model: str, query: str, documents: Sequence[str], timeout_s: float) -> list[float]:
        """A score for each document, in order; the higher the better. Raises: AppError."""
        ...


class Reranking:
    """Puts candidates in a reranker's order. Thread-safe: at worst two searches look at the same time.

    Args:
        client: None where nothing is ever reranked.
    """

    def __init__(self, client: Reranker | None) -> None:
        self._client = client
        self._model = ""
        self._look_at = 0.0
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why passages are not reranked although a reranker is served; empty when all is well."""
        return self._problem

    def reordered(
        self, question: str, found: list[Candidate], texts_of: Callable[[list[int]], dict[int, str]]
    ) -> list[Candidate]:
        """The best RERANKED in the reranker's order, the others after them; ``found`` as it is without a reranker.

        Scores stay with the places: the first has the highest score of the fused rankings, as before.

        Args:
            texts_of: the texts of chunk ids; a chunk that is gone by now has none.
        """
        model = self._served()
        if self._client is None or not model or len(found) < 2:
            return found
        best, rest = found[:RERANKED], found[RERANKED:]
        texts = texts_of([candidate.chunk_id for candidate in best])
        best = [candidate for candidate in best if candidate.chunk_id in texts]
        if len(best) < 2:
            return best + rest
        try:
            documents = [texts[candidate.chunk_id] for candidate in best]
            relevance = self._client.rerank(model, question, documents, TIMEOUT_S)
        except AppError as error:
            self._pause(model, error)
            return found
        self._problem = ""
        order = sorted(range(len(best)), key=lambda i: -relevance[i])
        scores = [candidate.score for candidate in best]
        return [replace(best[i], score=score) for i, score in zip(order, scores, strict=True)] + rest

    def _served(self) -> str:
        """The served reranker, looked up once in PAUSE_S; "" while inference cannot be asked."""
        if self._client is not None and clock.uptime_s() >= self._look_at:
            self._look_at = clock.uptime_s() + PAUSE_S
            try:
                self._model = self._client.reranker()
            except AppError as error:
                self._model = ""
                log.info("reranker_unknown", code=error.code, error=error.message)
            if not self._model:
                self._problem = ""
        return self._model

    def _pause(self, model: str, error: AppError) -> None:
        self._model = ""
        self._look_at = clock.uptime_s() + PAUSE_S
        self._problem = (
            f"The reranker {model} failed, so passages stay in the order of words and meaning and it is tried again "
            f"after {PAUSE_S:.0f} s: {error.message}"
        )
        log.warning("reranking_failed", model=model, code=error.code, error=error.message)
