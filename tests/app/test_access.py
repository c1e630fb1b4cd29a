"""Every route × every role × own, foreign and absent ids, generated from the one table of permissions."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import JSON, String, Table, insert
from sqlalchemy.types import TypeEngine

from app import clock, metrics
from app.access import PERMISSIONS, TABLES_OF_IDS, authorise
from app.accounts.service import NewAccount
from app.api import DOMAINS
from app.auth import routes as pages
from app.auth.records import Permission, Role
from app.db.engine import UtcDateTime
from app.db.schema import metadata
from app.services import Services
from tests.app.auth.test_users import ANN, sign_up

REFUSALS = {
    "role_too_low",
    "scope_missing",
    "not_box_owner",
    "not_authenticated",
    "project_not_found",
    "no_project",
    "route_unknown",
}
WITHOUT_PREFIX = {
    f"{method} {path}" for path in ("/signin", "/signup", "/forgot", "/reset", "/signout") for method in ("GET", "POST")
} | {"GET /metrics"}
IN_PROJECT = {Permission.READ, Permission.WRITE, Permission.APPROVE, Permission.MANAGE}
ENDS_MEMBERSHIP = {"DELETE /projects/{project_id}", "POST /projects/{project_id}/leave"}
NOT_LOOKED_UP = {"project_id", "filename", "sha256", "chunk_id", "user_id", "invitation_id", "key_id"}
"""Ids that stand below a project's own, or belong to the caller alone."""


@dataclass(frozen=True)
class People:
    """The headers of each role in one project, of a stranger with a project of their own, and both projects' ids."""

    headers: dict[str, dict[str, str]]
    ours: str
    theirs: str


def _account(inside: Services) -> str:
    handle = f"h{uuid.uuid4().hex[:8]}"
    return inside.accounts.create(NewAccount("x", handle, handle, "https://x.com", "secret"), "t").id


MAKERS: dict[str, Callable[[Services], str]] = {
    "action_id": lambda inside: inside.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t").id,
    "conversation_id": lambda inside: inside.conversations.create("Hello").id,
    "account_id": _account,
    "user_id": lambda _inside: "usr_absent",
    "invitation_id": lambda _inside: "inv_absent",
    "key_id": lambda _inside: "key_absent",
    "filename": lambda _inside: "absent.png",
    "sha256": lambda _inside: "0" * 64,
    "chunk_id": lambda _inside: "999999",
}
"""How to make one of each thing that a path names; of what has no line here, a plain row is made."""


def _make(name: str, inside: Services) -> str:
    if name in MAKERS:
        return MAKERS[name](inside)
    return str(_plain_row(metadata.tables[TABLES_OF_IDS[name]], inside))


def _plain_row(table: Table, inside: Services) -> object:
    """Insert a row of the project with something in every column that needs it; returns its id."""
    values: dict[str, object] = {}
    for column in table.columns:
        if column.name == "project_id":
            values[column.name] = inside.database.project_id
        elif column.foreign_keys:
            values[column.name] = _plain_row(next(iter(column.foreign_keys)).column.table, inside)
        elif column.primary_key or not column.nullable:
            values[column.name] = WORDS.get(f"{table.name}.{column.name}") or _something(column.type)
    with inside.database.write() as session:
        session.execute(insert(table).values(values))
    return values["id"]


MAY_BE_ABSENT = {"user_id", "invitation_id", "filename", "sha256", "chunk_id"}
"""Ids that the test makes nothing for: a 404 of the route itself."""

WORDS = {"variants.kind": "short_form", "generations.platform": "x", "assets.status": "ingested"}
"""Columns that take certain words alone."""


def _something(kind: TypeEngine[object]) -> object:
    if isinstance(kind, UtcDateTime):
        return clock.now()
    if isinstance(kind, JSON):
        return {}
    return uuid.uuid4().hex if isinstance(kind, String) else 1


@pytest.fixture
def people(anonymous: TestClient) -> People:
    """Ann owns a project with three others in it; Eve has one of her own."""
    headers = {"owner": sign_up(anonymous, ANN)}
    ours = _project(anonymous, headers["owner"])
    for role in (Role.APPROVER, Role.EDITOR, Role.VIEWER):
        path = f"/api/v1/projects/{ours}/invitations"
        token = anonymous.post(path, json={"role": role}, headers=headers["owner"]).json()["token"]
        headers[role] = sign_up(anonymous, ANN | {"email": f"{role}@example.com"}, invitation=token)
    headers["stranger"] = sign_up(anonymous, ANN | {"email": "eve@example.com"})
    return People(headers, ours, _project(anonymous, headers["stranger"]))


def _project(client: TestClient, headers: dict[str, str]) -> str:
    return str(client.post("/api/v1/projects", json={"name": "P"}, headers=headers).json()["id"])


def _routes() -> set[str]:
    routers = [*DOMAINS, metrics.router, pages.router]
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {f"{method} {route.path}" for route in found for method in route.methods}


def _ids_of(route: str) -> list[str]:
    return re.findall(r"{(\w+)}", route)


def _ask(
    client: TestClient, route: str, ids: dict[str, str], headers: dict[str, str], project: str = ""
) -> tuple[int, str]:
    """Ask with an empty body, which is refused only after the permission was granted. Status and error code."""
    method, path = route.split(" ")
    prefix = "" if route in WITHOUT_PREFIX else "/api/v1"
    named = {"project_id": project} if project and "{project_id}" not in path else {}
    body = {"json": {}} if method in {"POST", "PATCH", "PUT"} and prefix else {}
    answer = client.request(method, prefix + path.format(**ids), params=named, headers=headers, **body)  # type: ignore[arg-type]
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    error = answer.json().get("error") if is_json and answer.status_code >= 400 else None
    return answer.status_code, error["code"] if error else ""


def test_every_route_has_a_permission_and_every_permission_a_route() -> None:
    """A route that nobody thought about does not come in."""
    assert _routes() == set(PERMISSIONS)


def test_every_id_of_a_path_leads_to_its_project() -> None:
    """Or to a table that says which project it is of."""
    ids = {name for route in _routes() for name in _ids_of(route)}
    assert ids - NOT_LOOKED_UP == set(TABLES_OF_IDS)


def test_a_route_without_a_permission_refuses_everybody(client: TestClient) -> None:
    """Also the owner of the box."""
    app = client.app
    assert isinstance(app, FastAPI)
    app.add_api_route("/forgotten", lambda: "secret", dependencies=[Depends(authorise)])
    answer = client.get("/forgotten")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "route_unknown"


def test_nobody_gets_past_what_is_not_open(anonymous: TestClient) -> None:
    """Whatever the path names."""
    for route, permission in PERMISSIONS.items():
        if permission is not Permission.OPEN:
            status, _ = _ask(anonymous, route, dict.fromkeys(_ids_of(route), "x"), {})
            assert status == 401, route


@pytest.mark.slow
def test_each_role_may_do_what_the_table_says_and_no_more(
    anonymous: TestClient, services: Services, people: People
) -> None:
    """On things of their own project."""
    inside = services.within(people.ours)
    for route, permission in PERMISSIONS.items():
        if permission not in IN_PROJECT or route in ENDS_MEMBERSHIP:
            continue
        for role in Role:
            ids = {name: people.ours if name == "project_id" else _make(name, inside) for name in _ids_of(route)}
            status, code = _ask(anonymous, route, ids, people.headers[role], people.ours)
            if role.can(permission):
                assert code not in REFUSALS, (route, role, status, code)
                assert status != 404 or set(ids) & MAY_BE_ABSENT, (
                    route,
                    role,
                    code,
                )
                assert status != 500, (route, role, status)
            else:
                assert (status, code) == (403, "role_too_low"), (route, role, status)


@pytest.mark.slow
def test_what_is_foreign_looks_like_what_is_not_there(
    anonymous: TestClient, services: Services, people: People
) -> None:
    """The same status and the same words, for everybody; and nothing happens to it."""
    inside = services.within(people.theirs)
    for route, permission in PERMISSIONS.items():
        if permission not in IN_PROJECT or not _ids_of(route):
            continue
        foreign = {name: people.theirs if name == "project_id" else _make(name, inside) for name in _ids_of(route)}
        absent = {name: f"{value[:4]}{'0' * (len(value) - 4)}" for name, value in foreign.items()}
        for who in Role:
            asked = [_words(anonymous, route, ids, people.headers[who]) for ids in (foreign, absent)]
            assert asked[0] == asked[1], (route, who)
            assert asked[0][0] == 404 or not Role(who).can(permission), (route, who, asked[0])


BODIES = {
    "PATCH /actions/{action_id}": {"params": {}},
    "POST /actions/{action_id}/approve": {"digest": "0" * 64},
    "POST /actions/{action_id}/settle": {"outcome": "failed", "note": "I looked."},
    "PATCH /projects/{project_id}/members/{user_id}": {"role": "viewer"},
    "PATCH /variants/{variant_id}": {"text": "Hello"},
    "POST /accounts/{account_id}/login/inputs": {"inputs": [{"kind": "key", "key": "a"}]},
}
"""Acceptable bodies, so that only the id is wrong; other routes take an empty one or none."""


def _words(client: TestClient, route: str, ids: dict[str, str], headers: dict[str, str]) -> tuple[int, str]:
    method, path = route.split(" ")
    body = {} if method == "GET" else {"json": BODIES.get(route, {})}
    answer = client.request(method, "/api/v1" + path.format(**ids), headers=headers, **body)  # type: ignore[arg-type]
    text = answer.text
    for name, value in ids.items():
        text = text.replace(value, name)
    return answer.status_code, text


def test_a_project_that_is_named_counts_whatever_else_is_named(
    anonymous: TestClient, services: Services, people: People
) -> None:
    """In the query, the body or a form; two names are refused, a foreign one is not there."""
    owner = people.headers["owner"]
    body = {"type": "scrape_url", "params": {"url": "https://example.com"}}
    made = anonymous.post("/api/v1/actions", json=body | {"project_id": people.ours}, headers=owner)
    assert made.status_code == 201
    assert services.within(people.ours).actions.get(made.json()["id"])
    foreign = anonymous.post("/api/v1/actions", json=body | {"project_id": people.theirs}, headers=owner)
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (404, "project_not_found")
    files = {"file": ("a.txt", b"It opens at nine.")}
    form = anonymous.post("/api/v1/memory/documents", files=files, data={"project_id": people.ours}, headers=owner)
    assert form.status_code == 201
    listed = anonymous.get("/api/v1/memory/documents", params={"project_id": people.ours}, headers=owner).json()
    assert len(listed["documents"]) == 1
    assert anonymous.get("/api/v1/memory/documents", headers=owner).json()["documents"] == []
    query = {"project_id": people.theirs}
    assert anonymous.get("/api/v1/memory/documents", params=query, headers=owner).status_code == 404
    both = anonymous.post("/api/v1/actions", json=body | {"project_id": people.ours}, params=query, headers=owner)
    assert both.status_code == 422
    found = anonymous.get(f"/api/v1/actions/{made.json()['id']}", headers=owner)
    assert found.status_code == 200  # by its id alone, though it is not in the default project
    assert anonymous.get(f"/api/v1/actions/{made.json()['id']}", params=query, headers=owner).status_code == 404


@pytest.mark.parametrize("key", ["project_id", "conversation_id"])
@pytest.mark.parametrize("escaped", ["\\ud800", "prj_\\u0000"])
def test_an_id_that_no_text_can_be_is_refused(client: TestClient, key: str, escaped: str) -> None:
    """Half a surrogate pair cannot be looked up in the database, so it is refused before."""
    answer = client.post(
        "/api/v1/chat",
        content=f'{{"message": "Hello", "{key}": "{escaped}"}}',
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "text_unacceptable")
    assert key in answer.json()["error"]["message"]
