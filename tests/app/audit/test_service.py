"""The audit log can only grow."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.services import Services


@pytest.fixture
def recorded(services: Services) -> Services:
    """A log with one entry."""
    with services.database.write() as session:
        services.audit.record(session, "test.happened", actor="t", action_id="act_1", detail={"a": "ü"})
    return services


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
        "INSERT OR REPLACE INTO audit (id, at, actor, event, detail) VALUES (1, '2026-01-01', 'x', 'x', '{}')",
        "INSERT INTO audit (id, at, actor, event, detail) VALUES (1, '2026-01-01', 'x', 'x', '{}')"
        " ON CONFLICT (id) DO UPDATE SET actor = 'x'",
        "UPDATE OR IGNORE audit SET id = 99",
    ],
)
def test_no_statement_changes_or_removes_an_entry(recorded: Services, statement: str) -> None:
    """SQLite itself refuses."""
    with pytest.raises(IntegrityError, match="append-only"), recorded.database.write() as session:
        session.execute(text(statement))
    (entry,) = recorded.audit.entries()
    assert (entry.actor, entry.event, entry.detail) == ("t", "test.happened", {"a": "ü"})


def test_no_route_writes_the_log(client: TestClient) -> None:
    """It can only be read."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, "/api/v1/audit").status_code == 405


def test_a_record_is_taken_back_with_its_cause(services: Services) -> None:
    """Both are in one transaction."""

    def fail() -> None:
        with services.database.write() as session:
            services.audit.record(session, "test.happened", actor="t")
            raise RuntimeError("the cause failed")

    with pytest.raises(RuntimeError):
        fail()
    assert services.audit.entries() == []


def test_entries_come_newest_first_by_action_and_in_pages(client: TestClient, services: Services) -> None:
    """With a limit and a place to go on from."""
    with services.database.write() as session:
        for number in range(5):
            services.audit.record(session, f"e{number}", actor="t", action_id=f"act_{number % 2}")
    page = client.get("/api/v1/audit", params={"limit": 2}).json()["entries"]
    assert [e["event"] for e in page] == ["e4", "e3"]
    rest = client.get("/api/v1/audit", params={"before_id": page[-1]["id"]}).json()["entries"]
    assert [e["event"] for e in rest] == ["e2", "e1", "e0"]
    assert len(client.get("/api/v1/audit", params={"action_id": "act_1"}).json()["entries"]) == 2
    assert client.get("/api/v1/audit", params={"limit": 0}).status_code == 422
