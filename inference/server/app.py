"""Puts the HTTP application together: routes, the gate before them, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from inference.embedder import Embedder
from inference.engine.base import Engine
from inference.errors import InferenceError
from inference.reranker import Reranker
from inference.server import (
    batches,
    calls,
    chat_completions,
    completions,
    embeddings,
    files,
    health,
    rerank,
    responses,
)
from inference.server.state import BatchState, ServerState
from inference.server.tracing import Tracing
from inference.server.wire import Gate, error_response, invalid_body
from inference.traces import TracedEngine

log = logging.getLogger(__name__)


def create_app(
    engine: Engine,
    embedder: Embedder,
    *,
    key: str,
    max_body_bytes: int,
    start: Callable[[], Awaitable[None]],
    batch: BatchState | None = None,
    reranker: Reranker | None = None,
) -> FastAPI:
    """The ASGI application. ``start`` loads the models; it runs beside the server, which answers while they load.

    With ``batch``, files and batches are served, and unfinished ones are gone on with as soon as the models are there.
    The calls of a traced engine are listed.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(start())]
        if batch is not None:
            tasks.append(asyncio.ensure_future(batch.runner.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await engine.close()
            embedder.close()
            if reranker is not None:
                reranker.close()

    app = FastAPI(title="Herald inference", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    recorded = engine.calls if isinstance(engine, TracedEngine) else None
    app.state.server = ServerState(engine, embedder, int(time.time()), batch, recorded, reranker)
    for module in (health, chat_completions, completions, responses, embeddings, rerank):
        app.include_router(module.router)
    if recorded is not None:
        app.include_router(calls.router)
    if batch is not None:
        app.include_router(files.router)
        app.include_router(batches.router)
    app.add_exception_handler(InferenceError, _on_inference_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unexpected)
    uploads = {} if batch is None else {"/v1/files": batch.limits.file_bytes + files.FORM_BYTES}
    app.add_middleware(Tracing)
    app.add_middleware(Gate, key=key, max_body_bytes=max_body_bytes, upload_bytes=uploads)
    return app


async def _on_inference_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InferenceError)
    return error_response(error)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(invalid_body(error.errors()))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    body = {"error": {"message": message, "type": "invalid_request_error", "code": "not_found", "param": None}}
    return JSONResponse(body, status_code=error.status_code)


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(InferenceError("The server met an unexpected error; its log says more."))
