"""``/healthz``, ``/readyz`` (open, for whoever supervises the process), ``/metrics`` and ``/v1/models``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from inference.errors import ModelNotFound
from inference.server.state import ServerState, state_of

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """200 once chat completions and embeddings are served, 503 until then; says what it is waiting for."""
    state = state_of(request)
    status = state.engine.status()
    name, detail = status.status, status.detail
    if name == "ready" and not state.embedder.is_ready:
        name = "failed" if state.embedder.problem else "loading"
        detail = state.embedder.problem or f"loading {state.embedder.name}"
    if not detail and state.reranker is not None:
        detail = state.reranker.problem  # searches go on without it
    body = {"status": name, "model": state.engine.model, "embedding_model": state.embedder.name, "detail": detail}
    return JSONResponse(body, status_code=200 if name == "ready" else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus' text format; needs the key like everything else."""
    state = state_of(request)
    page = state.engine.metrics() + (state.reranker.metrics.page() if state.reranker is not None else "")
    return Response(page, media_type="text/plain; version=0.0.4")


@router.get("/v1/models")
async def list_models(request: Request) -> dict[str, Any]:
    """The models that are served."""
    state = state_of(request)
    return {"object": "list", "data": [_model(state, name) for name in _names(state)]}


@router.get("/v1/models/{name}")
async def get_model(name: str, request: Request) -> dict[str, Any]:
    """One served model."""
    state = state_of(request)
    if name not in _names(state):
        raise ModelNotFound(f"The model {name!r} is not served here.", param="model")
    return _model(state, name)


def _names(state: ServerState) -> tuple[str, ...]:
    names = (state.engine.model, *state.engine.adapters, state.embedder.name)
    return (*names, state.reranker.name) if state.reranker is not None and state.reranker.is_ready else names


def _model(state: ServerState, name: str) -> dict[str, Any]:
    model = {"id": name, "object": "model", "created": state.started_at, "owned_by": "herald"}
    if state.reranker is not None and name == state.reranker.name:
        return {**model, "endpoints": ["rerank"]}  # Cohere's field: clients find a reranker by it
    # vLLM tells an adapter's model by the same field.
    return {**model, "parent": state.engine.model} if name in state.engine.adapters else model
