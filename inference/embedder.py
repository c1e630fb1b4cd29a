"""Text embeddings with sentence-transformers, from files on this machine only and never in the engine's thread."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.errors import NotReady

log = logging.getLogger(__name__)

BATCH_TEXTS = 16


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One normalised vector for each text, in order, and the tokens that were read (after truncation)."""

    vectors: list[list[float]]
    tokens: int


def keep_off_the_hub() -> None:
    """Have the model libraries, which look when they are imported, load from local folders alone."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class Embedder:
    """One embedding model. Loads in a thread of its own; calls wait for their turn there."""

    def __init__(self, name: str, path: Path | None, problem: str = "", threads: int = 1) -> None:
        """``path`` None with a ``problem`` says why there is no model; every call then fails with it."""
        self.name = name
        self._path = path
        self._problem = problem
        self._threads = threads
        self._model: Any = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")

    @property
    def is_ready(self) -> bool:
        """Whether vectors can be had without waiting for the load."""
        return self._model is not None

    @property
    def problem(self) -> str:
        """Why there are no embeddings; empty when there are, or will be."""
        return self._problem

    async def load(self) -> None:
        """Load the model; a failure is kept as ``problem``."""
        if self._path is None:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._load)
        except Exception as error:
            log.exception("The embedding model could not be loaded")
            self._problem = f"The embedding model {self.name} could not be loaded: {error}"

    def _load(self) -> None:
        keep_off_the_hub()
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(self._threads)
        self._model = SentenceTransformer(str(self._path), device="cpu", local_files_only=True, trust_remote_code=False)

    async def embed(self, texts: list[str]) -> Embeddings:
        """Vectors for the texts; texts beyond the model's length are cut at it. Raises: NotReady."""
        if self._problem:
            raise NotReady(self._problem)
        vectors: list[list[float]] = []
        tokens = 0
        loop = asyncio.get_running_loop()
        for start in range(0, len(texts), BATCH_TEXTS):
            batch, count = await loop.run_in_executor(self._pool, self._embed, texts[start : start + BATCH_TEXTS])
            vectors += batch
            tokens += count
        return Embeddings(vectors, tokens)

    def _embed(self, texts: list[str]) -> tuple[list[list[float]], int]:
        if self._model is None:
            raise NotReady(
                self._problem or f"The embedding model {self.name} is not loaded yet. Try again in a moment."
            )
        features = self._model.tokenize(texts)
        count = int(features["attention_mask"].sum())
        vectors = self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
        return [[float(value) for value in vector] for vector in vectors], count

    def close(self) -> None:
        """Stop taking work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
