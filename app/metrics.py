"""``GET /metrics``: what the app and the worker do, in Prometheus' text format. Counts alone: no names, ids or texts.

Routes are labelled by their template, so that ids in paths make no series of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from starlette.types import Scope

from app import clock
from app.actions.records import Status
from app.memory.records import AssetStatus
from app.services import Services

PREFIX = "herald_app_"
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

router = APIRouter(tags=["health"])
disable_created_metrics()  # a second series beside each, which nothing here needs


class AppMetrics:
    """Counts this process's requests, and reads the rest from the database when somebody asks. Thread-safe."""

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{PREFIX}requests",
            "Requests that ended.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            f"{PREFIX}request_seconds",
            "Seconds from a request to the end of its answer.",
            ("method", "route"),
            buckets=DURATION_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Figures(services))

    def observe(self, scope: Scope, status: int, took_s: float) -> None:
        """Count a request that ended; ``status`` is 0 when its client left before an answer began."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", None) or "none"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(took_s)

    def page(self) -> bytes:
        """Everything, as Prometheus reads it. Raises: what the database raises."""
        return generate_latest(self._registry)


class _Figures(Collector):
    """What the database knows, over all projects."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would ask the database for the names otherwise."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        backlog = self._services.execution.backlog()
        yield _by_status("actions", "Actions by status.", backlog.by_status)
        yield _gauge("actions_held", "Approved actions that a stop, a plan, a limit or a rest holds.", backlog.held)
        yield _gauge(
            "queue_age_seconds",
            "Seconds that the oldest approved action that nothing holds has not been taken; 0 when none waits.",
            backlog.oldest_wait_s,
        )
        yield _by_status("assets", "Assets by status.", self._services.ingestion.count_by_status())
        last_seen_at = self._services.execution.worker_state().last_seen_at
        if last_seen_at is not None:
            age_s = max(0.0, (clock.now() - last_seen_at).total_seconds())
            yield _gauge("worker_silence_seconds", "Seconds since the last sign of life of any worker.", age_s)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}{name}", help_text, value)


def _by_status(name: str, help_text: str, counts: Mapping[Status, int] | Mapping[AssetStatus, int]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}{name}", help_text, labels=["status"])
    for status, count in counts.items():
        family.add_metric([status.value], count)
    return family


@router.get("/metrics", response_class=Response)
def get_metrics(request: Request) -> Response:
    """Counters, gauges and histograms for Prometheus."""
    metrics: AppMetrics = request.app.state.metrics
    return Response(metrics.page(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
