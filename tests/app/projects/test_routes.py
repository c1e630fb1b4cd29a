"""Opening a project in a browser and leaving one, over HTTP."""

from __future__ import annotations

from fastapi.testclient import TestClient

from app.services import Services
from tests.app.auth.test_users import ANN, BEN, sign_up

PROJECTS = "/api/v1/projects"


def made(client: TestClient, name: str, headers: dict[str, str]) -> str:
    """A new project's id."""
    return str(client.post(PROJECTS, json={"name": name}, headers=headers).json()["id"])


def sign_in(client: TestClient, services: Services) -> None:
    """Open a browser session as the owner of the box."""
    token = services.auth.create_signin_link("").partition("token=")[2]
    assert client.get("/signin", params={"token": token}).status_code == 303


def test_a_foreign_project_cannot_be_opened(anonymous: TestClient, services: Services) -> None:
    """It is not there, and no cookie is set."""
    sign_up(anonymous, ANN)
    theirs = made(anonymous, "Theirs", sign_up(anonymous, BEN))
    sign_in(anonymous, services)
    answer = anonymous.post(f"{PROJECTS}/{theirs}/open")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "project_not_found")
    assert "herald_project" not in anonymous.cookies


def test_another_site_cannot_open_a_project(anonymous: TestClient, services: Services) -> None:
    """What a browser sends from elsewhere is refused."""
    sign_in(anonymous, services)
    answer = anonymous.post(f"{PROJECTS}/prj_default/open", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site")


def test_what_names_no_project_is_about_the_open_one(anonymous: TestClient, services: Services) -> None:
    """From the opening on until the browser signs out."""
    sign_in(anonymous, services)
    second = made(anonymous, "Second", {})
    files = {"file": ("a.txt", b"It opens at nine.")}
    opened = anonymous.post(f"{PROJECTS}/{second}/open")
    assert opened.status_code == 204
    assert "httponly" in opened.headers["set-cookie"].lower()
    added = anonymous.post("/api/v1/memory/documents", files=files)
    assert added.json()["project_id"] == second
    assert anonymous.post(f"{PROJECTS}/prj_default/open").status_code == 204
    assert anonymous.get("/api/v1/memory/documents").json()["documents"] == []
    anonymous.post("/signout")
    assert "herald_project" not in anonymous.cookies


def test_a_project_is_left_but_not_by_its_last_owner(anonymous: TestClient) -> None:
    """A viewer may go, which needs no right; then the project is not there for them."""
    ann = sign_up(anonymous, ANN)
    ours = made(anonymous, "Ours", ann)
    last = anonymous.post(f"{PROJECTS}/{ours}/leave", headers=ann)
    assert (last.status_code, last.json()["error"]["code"]) == (409, "last_owner")
    invitation = anonymous.post(f"{PROJECTS}/{ours}/invitations", json={"role": "viewer"}, headers=ann).json()
    ben = sign_up(anonymous, BEN, invitation=invitation["token"])
    assert anonymous.post(f"{PROJECTS}/{ours}/leave", headers=ben).status_code == 204
    assert anonymous.get(f"{PROJECTS}/{ours}", headers=ben).status_code == 404


def test_a_limited_key_cannot_leave_for_its_user(anonymous: TestClient) -> None:
    """Leaving is what a person does."""
    ann = sign_up(anonymous, ANN)
    ours = made(anonymous, "Ours", ann)
    key = anonymous.post("/api/v1/auth/keys", json={"name": "k", "scopes": ["read"]}, headers=ann).json()["key"]
    answer = anonymous.post(f"{PROJECTS}/{ours}/leave", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")
