"""One request id from the browser through the app to inference, the audit log and the worker."""

from __future__ import annotations

import httpx
import pytest
import structlog
from fastapi.testclient import TestClient

from app import correlation
from app.llm import LlmClient
from app.services import Services

NAMED = {"X-Request-ID": "order-4711"}
BODY = {"type": "scrape_url", "params": {"url": "https://example.com"}}


def asked_inference() -> str | None:
    """What inference is told of the request that is being served."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "ready"})

    client = LlmClient("http://inference.test", "key", "model", transport=httpx.MockTransport(answer))
    client.status()
    client.close()
    return seen[0].headers.get("x-request-id")


@pytest.mark.parametrize(("request_id", "told"), [("", None), ("order-4711", "order-4711")])
def test_inference_is_told_for_which_request_it_works(request_id: str, told: str | None) -> None:
    """And nothing where there is no request."""
    with correlation.serving(request_id):
        assert asked_inference() == told
    assert correlation.request_id() == ""


def test_what_is_done_outside_a_request_names_none(services: Services) -> None:
    """As on the command line."""
    inside = services.within("prj_default")
    action = inside.actions.propose(BODY["type"], BODY["params"], actor="t")  # type: ignore[arg-type]
    assert all("request_id" not in entry.detail for entry in services.audit.entries(action.id))


def test_an_action_keeps_its_request_and_the_worker_goes_on_under_it(client: TestClient, services: Services) -> None:
    """The proposal keeps one id, the approval another; the claim carries the newest, which the worker's events keep."""
    action = client.post("/api/v1/actions", json=BODY, headers=NAMED).json()
    approved = client.post(
        f"/api/v1/actions/{action['id']}/approve",
        json={"digest": action["digest"]},
        headers={"X-Request-ID": "approval-4712"},
    )
    assert approved.status_code == 200, approved.text
    claim = services.execution.claim(action["id"], "worker_1")
    assert claim is not None
    assert claim.request_id == "approval-4712"
    with correlation.serving(claim.request_id):
        services.execution.release(claim)
    kept = {entry.event: entry.detail.get("request_id") for entry in services.audit.entries(action["id"])}
    assert kept["action.proposed"] == "order-4711"
    assert kept["action.approved"] == kept["action.released"] == "approval-4712"
    assert services.audit.verify().is_sound
    assert "request_id" not in structlog.contextvars.get_contextvars()
