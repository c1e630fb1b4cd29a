"""``/healthz`` and ``/readyz``: what each process and the database are doing. Open to all: no secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.db.health import database_status
from app.services import Services, ServicesDep
from automation.hands.report import read_warnings

router = APIRouter(tags=["health"])


class InferenceHealth(BaseModel):
    """The inference process: ready, loading, failed or unreachable.

    ``detail`` of a ready one says why the reranker is not used.
    """

    status: str
    model: str | None
    detail: str


class WorkerHealth(BaseModel):
    """The worker: ready, or not_running (no worker was seen for a while).

    ``detail`` says what this system does not let be shut off while an action runs.
    """

    status: str
    last_seen_at: datetime | None
    detail: str


class DatabaseHealth(BaseModel):
    """The database: ready or failed."""

    status: str
    detail: str


class HealthOut(BaseModel):
    """What every part is doing; ``status`` is ok when all are ready, else degraded."""

    status: str
    app: str
    database: DatabaseHealth
    inference: InferenceHealth
    worker: WorkerHealth


def health_of(services: Services) -> HealthOut:
    """Look at every part; takes at most a few seconds and never raises."""
    database_state, database_detail = database_status(services.database)
    inference: dict[str, Any] = services.llm.status()
    worker_state, last_seen_at = "unknown", None
    if database_state == "ready":
        worker = services.execution.worker_state()
        worker_state, last_seen_at = worker.status, worker.last_seen_at
    inference_state = str(inference.get("status") or "failed")
    is_ready = database_state == inference_state == worker_state == "ready"
    return HealthOut(
        status="ok" if is_ready else "degraded",
        app="ready",
        database=DatabaseHealth(status=database_state, detail=database_detail),
        inference=InferenceHealth(
            status=inference_state,
            model=inference.get("model"),
            detail=str(inference.get("detail") or services.reranking.problem),
        ),
        worker=WorkerHealth(
            status=worker_state,
            last_seen_at=last_seen_at,
            detail=" ".join(read_warnings(services.settings.home)),
        ),
    )


@router.get("/healthz")
def get_health(services: ServicesDep) -> HealthOut:
    """What each part is doing. Answers 200 as long as the app runs."""
    return health_of(services)


@router.get("/healthz/db", responses={503: {"model": DatabaseHealth}})
def get_database_health(services: ServicesDep, response: Response) -> DatabaseHealth:
    """What the database is doing; 503 unless it answers."""
    state, detail = database_status(services.database)
    response.status_code = 200 if state == "ready" else 503
    return DatabaseHealth(status=state, detail=detail)


@router.get("/readyz", responses={503: {"model": HealthOut}})
def get_readiness(services: ServicesDep, response: Response) -> HealthOut:
    """The same; 503 unless the app, the database, inference and the worker are all ready."""
    health = health_of(services)
    response.status_code = 200 if health.status == "ok" else 503
    return health
