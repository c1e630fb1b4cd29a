"""Scores of how well documents answer a query, by a cross-encoder from a folder of this machine.

It works beside the chat, in a thread of its own: one request at a time, in batches; no more may wait than for the chat.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.embedder import keep_off_the_hub
from inference.errors import NotReady, QueueFull, QueueTimeout, StartupError
from inference.metrics import RerankMetrics

log = logging.getLogger(__name__)

BATCH_DOCUMENTS = 8
MAX_TOKENS = 512  # of query and document together; what published cross-encoders were trained for
READ_CHARS = 16_384  # of a text: far more than MAX_TOKENS hold, so that a book is not tokenised to be cut
_HEAD = "ForSequenceClassification"
_SETTING = "HERALD_RERANKER_PATH"
_WANTED = (
    "A cross-encoder is a folder with config.json, the tokenizer's files and the weights as safetensors, such as "
    "BAAI/bge-reranker-base or cross-encoder/ms-marco-MiniLM-L6-v2; docs/deployment.md says how to fetch one."
)


@dataclass(frozen=True, slots=True)
class Relevance:
    """One score for each document, in order, 0 to 1, and the tokens that were read (after truncation)."""

    scores: list[float]
    tokens: int


def check_folder(path: Path) -> None:
    """That the folder holds a cross-encoder which can be loaded without running anything of it.

    Raises: StartupError, saying what was found there.
    """
    if not path.is_dir():
        found = "a file, not a folder" if path.exists() else "nothing there"
        raise StartupError(f"{_SETTING} is {path}: {found}. {_WANTED}")
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        architectures = list(config.get("architectures") or ())
        labels = len(config.get("id2label") or range(config.get("num_labels", 2)))
        parts = path / "modules.json"
        modules = json.loads(parts.read_text(encoding="utf-8")) if parts.exists() else []
        others = [module["type"] for module in modules if not module["type"].endswith(".Transformer")]
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        names = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "no files"
        raise StartupError(
            f"{_SETTING} is {path}, which holds {names}: config.json or modules.json is unreadable ({error}). {_WANTED}"
        ) from error
    if not any(name.endswith(_HEAD) for name in architectures) or labels != 1:
        kind = ", ".join(architectures) or "a model that names no architecture"
        raise StartupError(
            f"{_SETTING} is {path}, which holds {kind} with {labels} labels; a cross-encoder is a …{_HEAD} with one. "
            f"{_WANTED}"
        )
    if others:
        raise StartupError(f"{_SETTING} is {path}, whose modules.json adds {', '.join(others)} to the model. {_WANTED}")
    if not any(path.glob("*.safetensors")):
        weights = ", ".join(sorted(entry.name for entry in path.glob("*.bin"))) or "no weights"
        raise StartupError(
            f"{_SETTING} is {path}, which holds {weights} and no safetensors. Weights of other kinds can run code when "
            f"they are loaded, so they are refused. {_WANTED}"
        )


def weights_bytes(path: Path) -> int:
    """The memory that the folder's weights take."""
    return sum(file.stat().st_size for file in path.glob("*.safetensors"))


class Reranker:
    """One cross-encoder. Loads in a thread of its own; requests take turns there.

    Args:
        path: a folder that ``check_folder`` accepts.
        queue_limit: how many requests may wait for their turn, and ``queue_timeout_s`` for how long.
    """

    def __init__(self, path: Path, *, threads: int = 1, queue_limit: int = 64, queue_timeout_s: float = 120.0) -> None:
        self.name = path.resolve().name
        self.metrics = RerankMetrics()
        self._path = path
        self._threads = threads
        self._queue_limit = queue_limit
        self._queue_timeout_s = queue_timeout_s
        self._problem = ""
        self._model: Any = None
        self._turn = asyncio.Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reranker")

    @property
    def is_ready(self) -> bool:
        """Whether scores can be had now."""
        return self._model is not None

    @property
    def problem(self) -> str:
        """Why there will be no scores; empty when there are, or will be."""
        return self._problem

    async def load(self) -> None:
        """Load the model; a failure is kept as ``problem``: everything else goes on without it."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._load)
        except Exception as error:
            log.exception("The reranker could not be loaded")
            self._problem = f"The reranker {self.name} could not be loaded: {error}"

    def _load(self) -> None:
        keep_off_the_hub()
        import torch
        from sentence_transformers import CrossEncoder

        torch.set_num_threads(self._threads)
        model = CrossEncoder(
            str(self._path),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
            activation_fn=torch.nn.Sigmoid(),  # some are saved without one, and scores are compared as 0 to 1
        )
        model.max_seq_length = min(model.max_seq_length or MAX_TOKENS, MAX_TOKENS)
        model.predict([("a query", "a document")], show_progress_bar=False)
        self._model = model

    async def score(self, query: str, documents: list[str]) -> Relevance:
        """How well each document answers the query; what is beyond the model's length is not read.

        Raises: NotReady, QueueFull, QueueTimeout.
        """
        if self._model is None:
            raise NotReady(self._problem or f"The reranker {self.name} is not loaded yet. Try again in a moment.")
        began = time.monotonic()
        async with self._own_turn():
            scores: list[float] = []
            tokens = 0
            pairs = [(query[:READ_CHARS], document[:READ_CHARS]) for document in documents]
            loop = asyncio.get_running_loop()
            for start in range(0, len(pairs), BATCH_DOCUMENTS):
                batch = pairs[start : start + BATCH_DOCUMENTS]
                own, count = await loop.run_in_executor(self._pool, self._score, batch)
                scores += own
                tokens += count
        self.metrics.finished(len(documents), time.monotonic() - began)
        return Relevance(scores, tokens)

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        """Wait until nobody else is served, in the order of arrival."""
        if self.metrics.waiting >= self._queue_limit and self._turn.locked():
            raise QueueFull(
                f"{self.metrics.waiting} requests wait for the reranker, {self._queue_limit} may "
                "(HERALD_INFERENCE_QUEUE). Try again in a moment.",
                retry_after_s=1,
            )
        self.metrics.waiting += 1
        try:
            async with asyncio.timeout(self._queue_timeout_s):
                await self._turn.acquire()
        except TimeoutError:
            raise QueueTimeout(
                f"The reranker was busy for {self._queue_timeout_s:g} s, the longest that a request waits "
                "(HERALD_INFERENCE_QUEUE_TIMEOUT_S). Try again later, or with fewer documents.",
                retry_after_s=1,
            ) from None
        finally:
            self.metrics.waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    def _score(self, pairs: list[tuple[str, str]]) -> tuple[list[float], int]:
        count = int(self._model.preprocess(pairs)["attention_mask"].sum())
        scores = self._model.predict(pairs, batch_size=len(pairs), show_progress_bar=False)
        return [float(score) for score in scores], count

    def close(self) -> None:
        """Stop taking work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
