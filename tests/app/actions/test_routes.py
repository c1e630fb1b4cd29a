"""The actions API: shapes, status codes, evidence files."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from app.services import Services
from automation.actions.base import ActionResult, Evidence

SCRAPE = {"type": "scrape_url", "params": {"url": "https://example.com/prices"}}


def proposed(client: TestClient) -> dict[str, object]:
    answer = client.post("/api/v1/actions", json=SCRAPE)
    assert answer.status_code == 201
    return answer.json()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_input"),
        ({"type": "scrape_url"}, 422, "invalid_input"),
        ({"type": "scrape_url", "params": {}, "status": "approved"}, 422, "invalid_input"),
        ({"type": "nope", "params": {}}, 422, "unknown_action_type"),
        ({"type": "scrape_url", "params": {"url": ""}}, 422, "invalid_params"),
        ({"type": "scrape_url", "params": []}, 422, "invalid_input"),
        ([], 422, "invalid_input"),
    ],
)
def test_a_bad_proposal_is_refused(client: TestClient, body: object, status: int, code: str) -> None:
    """In the one shape of errors."""
    answer = client.post("/api/v1/actions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()["error"]) == {"code", "message", "hint"}


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "A" * 64, None, 5])
def test_a_malformed_digest_is_refused(client: TestClient, digest: object) -> None:
    """Before anything is looked up."""
    answer = client.post(f"/api/v1/actions/{proposed(client)['id']}/approve", json={"digest": digest})
    assert answer.status_code == 422


def test_approving_needs_the_digest(client: TestClient) -> None:
    """An empty body approves nothing; a wrong digest answers 409, a second approval too, an unknown action 404."""
    action = proposed(client)
    url = f"/api/v1/actions/{action['id']}/approve"
    assert client.post(url).status_code == 422
    wrong = client.post(url, json={"digest": "0" * 64})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (409, "digest_mismatch")
    assert client.post(url, json={"digest": action["digest"]}).json()["status"] == "approved"
    again = client.post(url, json={"digest": action["digest"]})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_decided")
    assert client.post("/api/v1/actions/act_x/approve", json={"digest": "0" * 64}).status_code == 404


def test_an_action_has_the_documented_shape(client: TestClient) -> None:
    """Every field is there from the beginning."""
    action = proposed(client)
    assert set(action) == {
        "id", "type", "title", "params", "digest", "status", "risk", "preview", "progress", "result", "error",
        "evidence", "conversation_id", "project_id", "created_at", "decided_at", "finished_at", "expires_at",
        "not_before", "target", "intent_id", "account",
        "proposed_by", "is_tainted", "is_running", "held", "approvals", "people_needed",
    }  # fmt: skip
    assert action["status"] == "awaiting_approval"
    assert action["risk"] == "read"
    assert action["preview"]
    assert all(set(line) == {"label", "value", "note", "problem"} for line in action["preview"])  # type: ignore[attr-defined]
    assert client.get(f"/api/v1/actions/{action['id']}").json() == action


def test_actions_are_rejected_edited_and_listed(client: TestClient) -> None:
    """With and without a reason; an unknown status is refused with those that exist."""
    first, second = proposed(client), proposed(client)
    edited = client.patch(f"/api/v1/actions/{second['id']}", json={"params": {"url": "https://b.example"}}).json()
    assert edited["digest"] != second["digest"]
    assert client.post(f"/api/v1/actions/{first['id']}/reject").json()["status"] == "rejected"
    reason = {"reason": "no"}
    assert client.post(f"/api/v1/actions/{second['id']}/reject", json=reason).json()["status"] == "rejected"
    assert client.patch(f"/api/v1/actions/{second['id']}", json={"params": {"url": "c.example"}}).status_code == 409
    listed = client.get("/api/v1/actions", params={"status": "rejected"}).json()["actions"]
    assert [a["id"] for a in listed] == [second["id"], first["id"]]
    refused = client.get("/api/v1/actions", params={"status": "done"})
    assert refused.status_code == 422
    assert "awaiting_approval" in refused.json()["error"]["message"]


def test_action_types_are_described(client: TestClient) -> None:
    """With the JSON schema of their params."""
    types = client.get("/api/v1/action-types").json()["action_types"]
    assert {t["name"] for t in types} >= {"scrape_url", "fill_form", "post_social"}
    scrape = next(t for t in types if t["name"] == "scrape_url")
    assert scrape["params_schema"]["required"] == ["url"]


@pytest.fixture
def evidenced(client: TestClient, services: Services) -> str:
    """The evidence address of an action that left a picture, a text, an odd file, and did not list a secret one."""
    action = proposed(client)
    client.post(f"/api/v1/actions/{action['id']}/approve", json={"digest": action["digest"]})
    services.execution.heartbeat("w")
    claim = services.execution.claim(str(action["id"]), "w")
    assert claim is not None
    folder = services.execution.new_evidence_dir(claim)
    names = ("page.png", "page.txt", "page.html", "loop.png")
    (folder / "page.png").write_bytes(b"\x89PNG")
    (folder / "page.txt").write_text("Ö")
    (folder / "page.html").write_text("<script>alert(1)</script>")
    (folder / "unlisted.png").write_bytes(b"secret")
    (folder.parent / "outside.png").write_bytes(b"secret")
    (folder / "loop.png").symlink_to(folder.parent / "outside.png")
    evidence = tuple(Evidence("screenshot", n, filename=n) for n in (*names, "../outside.png"))
    final = Evidence("url", "Final address", url="https://example.com/prices")
    services.execution.finish_success(claim, ActionResult("Read", {}, (*evidence, final)))
    urls = [e["url"] for e in client.get(f"/api/v1/actions/{action['id']}").json()["evidence"]]
    assert urls[0] == f"/api/v1/actions/{action['id']}/evidence/page.png"
    assert urls[-1] == "https://example.com/prices"
    return f"/api/v1/actions/{action['id']}/evidence"


@pytest.mark.parametrize(
    "name",
    ["unlisted.png", "missing.png", "loop.png", "..%2Foutside.png", "%2e%2e%2foutside.png", "../outside.png", "a%00b"],
)
def test_only_listed_files_inside_the_folder_are_given_out(client: TestClient, evidenced: str, name: str) -> None:
    """Whatever the name says, and also when the action itself lists a way out."""
    answer = client.get(f"{evidenced}/{name}")
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_evidence_needs_a_key(anonymous: TestClient, evidenced: str) -> None:
    """Screenshots show private pages."""
    del anonymous.headers["Authorization"]
    assert anonymous.get(f"{evidenced}/page.png").status_code == 401


def test_evidence_comes_with_a_harmless_type(client: TestClient, evidenced: str) -> None:
    """Pictures and text are shown; anything that could run is a download."""
    png, txt, html = (client.get(f"{evidenced}/page.{kind}") for kind in ("png", "txt", "html"))
    assert png.headers["content-type"] == "image/png"
    assert txt.headers["content-type"] == "text/plain; charset=utf-8"
    assert html.headers["content-type"] == "application/octet-stream"
    assert html.headers["content-disposition"].startswith("attachment")
    for answer in (png, txt, html):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
