"""What Prometheus reads of the app: who may, what it says, and that it names nobody."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app import clock
from app.actions.records import Status
from app.memory.records import AssetStatus
from app.services import Services
from tests.app.actions.test_service import proposed
from tests.app.auth.test_users import ANN, BEN, sign_up
from tests.app.conftest import KEY
from tests.inference.test_dashboard import expressions, metrics_of

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def scraper(anonymous: TestClient, services: Services) -> dict[str, str]:
    """What Prometheus sends: inference's key."""
    return {"Authorization": f"Bearer {services.settings.inference_key_text()}"}


def samples(client: TestClient, headers: dict[str, str]) -> Samples:
    """Every sample of the page by name and labels."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    """Of one sample."""
    return found[f"herald_app_{name}", frozenset(labels.items())]


def test_only_prometheus_and_the_owner_of_the_box_may_read_it(
    anonymous: TestClient, scraper: dict[str, str], services: Services
) -> None:
    """Its figures are of all projects; inference's key opens nothing else."""
    assert anonymous.get("/metrics").status_code == 401
    assert anonymous.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    basic = {"Authorization": scraper["Authorization"].replace("Bearer", "Basic")}
    assert anonymous.get("/metrics", headers=basic).status_code == 401
    owner = {"Authorization": f"Bearer {KEY}"}
    sign_up(anonymous, ANN)  # who comes first owns the box
    stranger = sign_up(anonymous, BEN)
    assert anonymous.get("/metrics", headers=stranger).json()["error"]["code"] == "not_box_owner"
    reader = anonymous.post("/api/v1/auth/keys", json={"name": "r", "scopes": ["read"]}, headers=owner).json()["key"]
    assert anonymous.get("/metrics", headers={"Authorization": f"Bearer {reader}"}).status_code == 403
    assert anonymous.get("/metrics", headers=owner).status_code == 200
    assert anonymous.get("/metrics", headers=scraper).status_code == 200
    for path in ("/api/v1/actions", "/api/v1/metrics", "/metrics/", "/api/v1/auth/me", "/"):
        assert anonymous.get(path, headers=scraper).status_code == 401, path
    assert anonymous.post("/metrics", headers=scraper).status_code in {403, 405}


def test_a_database_that_fails_is_an_error(
    anonymous: TestClient, scraper: dict[str, str], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no page without the figures, which would look like a box with nothing to do."""

    def fail() -> None:
        raise RuntimeError("the disk does not answer")

    monkeypatch.setattr(services.execution, "backlog", fail)
    assert anonymous.get("/metrics", headers=scraper).status_code == 500


def test_requests_are_counted_by_template_and_status(
    client: TestClient, anonymous: TestClient, scraper: dict[str, str]
) -> None:
    """Ids in paths, unknown paths and made-up methods make no series of their own."""
    key = {"Authorization": f"Bearer {KEY}"}
    for number in range(3):
        assert client.get(f"/api/v1/actions/act_{number}", headers=key).status_code == 404
        client.get(f"/no/such/page/{number}", headers=key)
        client.request(f"MADEUP{number}", "/healthz", headers=key)
    client.get("/api/v1/actions", headers=key)
    client.get("/api/v1/actions", headers={"Authorization": "Bearer wrong"})
    found = samples(anonymous, scraper)
    assert value(found, "requests_total", method="GET", route="/actions/{action_id}", status="404") == 3
    assert value(found, "requests_total", method="GET", route="/actions", status="200") == 1
    assert value(found, "requests_total", method="GET", route="none", status="401") == 1
    assert value(found, "requests_total", method="GET", route="none", status="404") == 3
    assert value(found, "request_seconds_count", method="GET", route="/actions/{action_id}") == 3
    assert 0 < value(found, "request_seconds_sum", method="GET", route="/actions/{action_id}") < 600
    methods = {label for name, labels in found if "requests" in name for key_, label in labels if key_ == "method"}
    assert methods == {"GET", "other"}
    again = samples(anonymous, scraper)
    assert value(again, "requests_total", method="GET", route="/metrics", status="200") == 1


def test_an_empty_box_has_noughts(anonymous: TestClient, scraper: dict[str, str]) -> None:
    """Every status is there, so that a graph begins at nothing; a worker that never was is not."""
    found = samples(anonymous, scraper)
    assert {value(found, "actions", status=status) for status in Status} == {0}
    assert {value(found, "assets", status=status) for status in AssetStatus} == {0}
    assert (value(found, "queue_age_seconds"), value(found, "actions_held")) == (0, 0)
    assert not any(name == "herald_app_worker_silence_seconds" for name, _ in found)
    assert found["process_resident_memory_bytes", frozenset()] > 1e6


def test_what_waits_is_told_with_its_age(anonymous: TestClient, scraper: dict[str, str], services: Services) -> None:
    """From the approval or the planned moment on; what is held is counted apart."""
    at = clock.now()
    with time_machine.travel(at, tick=False):
        proposed(services)
        first, second, planned = (proposed(services) for _ in range(3))
        for action in (first, second):
            services.actions.approve(action.id, action.digest, actor="owner")
        later = services.actions.edit(planned.id, None, actor="owner", not_before=at + timedelta(hours=2))
        services.actions.approve(later.id, later.digest, actor="owner")
        services.execution.heartbeat("worker_1")
        assert services.execution.claim(first.id, "worker_1") is not None
        services.memory.upload("hours.txt", b"We open at nine.", "t")
    with time_machine.travel(at + timedelta(seconds=90), tick=False):
        found = samples(anonymous, scraper)
        assert value(found, "actions", status="awaiting_approval") == 1
        assert value(found, "actions", status="approved") == 3
        assert value(found, "assets", status="uploaded") == 1
        assert value(found, "queue_age_seconds") == 90
        assert value(found, "worker_silence_seconds") == 90
    with time_machine.travel(at + timedelta(hours=2, seconds=5), tick=False):
        assert value(samples(anonymous, scraper), "queue_age_seconds") == 7_205
        services.actions.cancel(second.id, actor="owner")
        assert value(samples(anonymous, scraper), "queue_age_seconds") == 5


def test_the_page_names_nobody(anonymous: TestClient, scraper: dict[str, str], services: Services) -> None:
    """No project, person, file, id or key."""
    action = proposed(services)
    asset, _ = services.memory.upload("secret-plan.txt", b"We open at nine.", "t")
    key = {"Authorization": f"Bearer {KEY}"}
    project = anonymous.post("/api/v1/projects", json={"name": "Lindenhof"}, headers=key).json()["id"]
    anonymous.get(f"/api/v1/projects/{project}/assets/{asset.id}", headers=key)
    anonymous.get("/metrics", headers=scraper)
    page = anonymous.get("/metrics", headers=scraper).text
    for secret in (action.id, asset.id, project, "prj_", "Lindenhof", "secret-plan", KEY, scraper["Authorization"][7:]):
        assert secret not in page


def test_what_the_dashboard_asks_of_the_app_is_there(
    anonymous: TestClient, scraper: dict[str, str], services: Services
) -> None:
    """With the labels that it sums by and selects."""
    services.execution.heartbeat("worker_1")
    anonymous.get("/healthz")
    found = samples(anonymous, scraper)
    names = {name for name, _ in found} | {"up"}
    asked = expressions(of_app=True)
    assert len(asked) > 5
    for expression in asked:
        assert metrics_of(expression) <= names, expression
        grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}
        for name in metrics_of(expression) - {"up"}:
            labels = {label for found_name, pairs in found if found_name == name for label, _ in pairs}
            assert grouped <= labels, expression
        selected = re.findall(r'status=~"([^"]*)"', expression)
        assert {status for group in selected for status in group.split("|")} <= set(Status)
