"""A project's lists of hosts over HTTP, and on their way into an execution."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from app.services import Services
from automation.host_rules import MAX_HOSTS

URL = "/api/v1/projects/prj_default/network"


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"allowed": ["https://example.com/"]}, "without scheme"),
        ({"denied": ["a.test"] * (MAX_HOSTS + 1)}, f"{MAX_HOSTS} are allowed"),
        ({"own": [""]}, "host name"),
    ],
)
def test_what_is_no_list_of_hosts_is_refused(client: TestClient, lists: dict[str, list[str]], said: str) -> None:
    """The error names what is wrong, and nothing is kept."""
    answer = client.put(URL, json=lists)
    assert answer.status_code == 422
    assert said in answer.text
    assert client.get(URL).json() == {"allowed": [], "denied": [], "own": []}


def test_foreign_projects_are_not_there(client: TestClient) -> None:
    """A project that is not the caller's is 404."""
    assert client.get("/api/v1/projects/prj_none/network").status_code == 404
    assert client.put("/api/v1/projects/prj_none/network", json={}).status_code == 404


def test_lists_are_kept_for_their_project_alone(client: TestClient, services: Services) -> None:
    """They are read back in one spelling, replaced as a whole, noted in the audit log, and of no other project."""
    kept = client.put(URL, json={"denied": ["*.Ads.Example.com", "b.test"], "own": ["acme.test"]}).json()
    assert kept == {"allowed": [], "denied": ["ads.example.com", "b.test"], "own": ["acme.test"]}
    assert client.put(URL, json={"denied": ["b.test"]}).json()["own"] == []
    assert client.get(URL).json() == {"allowed": [], "denied": ["b.test"], "own": []}
    assert services.within("prj_default").network.rules().refusal("x.b.test")
    assert services.within("prj_none").network.rules().refusal("x.b.test") == ""
    assert "network.changed" in client.get("/api/v1/audit").text
