"""How much better a cross-encoder orders what memory found. Part of ``./scripts/eval retrieval``.

The search's own code asks it (``app/memory/reranking.py``); the model is loaded here, so no inference server is needed.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from app.db.engine import Database
from app.db.scope import DEFAULT_PROJECT
from app.memory import repository, retrieval
from app.memory.index import Vector, VectorIndex
from app.memory.reranking import RERANKED, Reranking
from inference.config import physical_cores
from inference.errors import StartupError
from inference.reranker import Reranker, check_folder

console = Console(stderr=True)


class LocalReranker:
    """The cross-encoder of a folder, as the inference client offers it. Raises: StartupError."""

    def __init__(self, folder: Path) -> None:
        check_folder(folder)
        self._reranker = Reranker(folder, threads=physical_cores())
        asyncio.run(self._reranker.load())
        if self._reranker.problem:
            raise StartupError(self._reranker.problem)
        self.processor_s: list[float] = []

    def reranker(self) -> str:
        """The folder's name."""
        return self._reranker.name

    def rerank(self, model: str, query: str, documents: Sequence[str], timeout_s: float) -> list[float]:
        """A score for each document; the processor time that it took is kept."""
        began = time.process_time()
        scores = asyncio.run(self._reranker.score(query, list(documents))).scores
        self.processor_s.append(time.process_time() - began)
        return scores


def measured(
    folder: Path, database: Database, questions: list[str], asked: Vector, gain_of: Callable[[int, list[int]], float]
) -> dict[str, list[float]]:
    """Every question's gain after reranking.

    Args:
        asked: the questions' vectors ``(n, 384)``.
        gain_of: what a ranking of chunk ids is worth for the question of this number.
    """
    local = LocalReranker(folder)
    reranking, index = Reranking(local), VectorIndex()

    def texts_of(chunk_ids: list[int]) -> dict[int, str]:
        with database.read() as session:
            rows = repository.chunks_with_assets(session, chunk_ids)
            return {chunk_id: chunk.text for chunk_id, (chunk, _asset) in rows.items()}

    gains: list[float] = []
    for number, question in enumerate(track(questions, "reranking", console=console)):
        with database.read() as session:
            query = retrieval.Query(DEFAULT_PROJECT, question, asked[number])
            found = retrieval.candidates(session, index, query)
        ordered = reranking.reordered(question, found, texts_of)
        gains.append(gain_of(number, [candidate.chunk_id for candidate in ordered]))
    median_s = statistics.median(local.processor_s)
    console.print(f"{folder.name}: {median_s:.2f} s of processor time for {RERANKED} passages (median)")
    return {f"reranked by {folder.name}": gains}
