"""``/projects/{project_id}/metrics`` and the same as CSV."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.analytics.csv_export import as_csv
from app.analytics.records import Period
from app.analytics.schemas import MetricsOut
from app.services import ServicesDep

router = APIRouter(prefix="/projects/{project_id}", tags=["analytics"])
PeriodQuery = Annotated[Period, Query(description="How far back, today among its days (UTC).")]


@router.get("/metrics")
def metrics(project_id: str, services: ServicesDep, period: PeriodQuery = Period.MONTH) -> MetricsOut:
    """Calls of the model, tokens, time, approvals, content by platform, and the prompts most used."""
    return MetricsOut.of(services.analytics.metrics(period))


@router.get("/metrics.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
def metrics_csv(project_id: str, services: ServicesDep, period: PeriodQuery = Period.MONTH) -> Response:
    """The same figures as CSV, one row a figure; no cell is a formula."""
    return Response(
        as_csv(services.analytics.metrics(period)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="herald-{period.value}.csv"'},
    )
