"""Answers one line of a batch with the code that answers the endpoint itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference.batch.lines import BatchLimits
from inference.batch.runner import Answer, BatchRunner
from inference.batch.store import BatchStore
from inference.embedder import Embedder
from inference.engine.base import Engine
from inference.errors import InferenceError
from inference.server import chat_completions, completions, embeddings, responses
from inference.server.response_bodies import ResponseBody
from inference.server.schemas import ChatCompletionBody, CompletionBody, EmbeddingsBody
from inference.server.state import BatchState, new_id
from inference.server.wire import invalid_body

log = logging.getLogger(__name__)

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings")


def served_model(endpoint: str, engine: Engine, embedder: Embedder) -> str:
    """The model that an endpoint serves."""
    return embedder.name if endpoint == "/v1/embeddings" else engine.model


class LineExecutor:
    """Requests of a batch, in the background of everything else."""

    def __init__(self, engine: Engine, embedder: Embedder) -> None:
        self._engine = engine
        self._embedder = embedder

    async def __call__(self, endpoint: str, body: dict[str, Any]) -> Answer:
        """The answer, or the error as the endpoint would give it."""
        request_id = new_id("req")
        try:
            return Answer(200, request_id, await self._answered(endpoint, body))
        except InferenceError as error:
            problem = error
        except ValidationError as error:
            problem = invalid_body(error.errors())
        except Exception:
            log.exception("A request of a batch failed")
            problem = InferenceError("The server met an unexpected error; its log says more.")
        return Answer(problem.status, request_id, problem.body())

    async def _answered(self, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
        if endpoint == "/v1/chat/completions":
            chat = ChatCompletionBody.model_validate(body)
            return await chat_completions.complete_in_background(chat, self._engine)
        if endpoint == "/v1/completions":
            return await completions.complete_in_background(CompletionBody.model_validate(body), self._engine)
        if endpoint == "/v1/responses":
            return await responses.complete_in_background(ResponseBody.model_validate(body), self._engine)
        return await embeddings.embed(EmbeddingsBody.model_validate(body), self._embedder)


def open_batches(
    folder: Path, engine: Engine, embedder: Embedder, *, concurrency: int, limits: BatchLimits
) -> BatchState:
    """Read the folder's files and batches. ``concurrency`` requests are in flight. Raises: OSError."""
    store = BatchStore(folder, limits.file_bytes)
    return BatchState(store, BatchRunner(store, LineExecutor(engine, embedder), concurrency), limits)
