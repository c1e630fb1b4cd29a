"""What each route asks for is written down in one table."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from app.access import PERMISSIONS, TABLES_OF_IDS, authorise
from app.api import DOMAINS
from app.auth import routes as auth


def _routes() -> set[str]:
    routers = [*DOMAINS, auth.router]
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {f"{method} {route.path}" for route in found for method in route.methods}


def test_every_route_has_a_permission_and_every_permission_a_route() -> None:
    """A route that nobody thought about does not come in."""
    assert _routes() == set(PERMISSIONS)


def test_every_id_of_a_path_leads_to_its_project() -> None:
    """Or to a table that says which project it is of."""
    ids = {part.strip("{}") for route in _routes() for part in route.split("/") if part.startswith("{")}
    assert ids - {"filename", "sha256", "project_id", "chunk_id"} == set(TABLES_OF_IDS)  # looked up in the project


def test_a_route_without_a_permission_refuses_everybody(client: TestClient) -> None:
    """Also the owner of the box."""
    app = client.app
    assert isinstance(app, FastAPI)
    app.add_api_route("/forgotten", lambda: "secret", dependencies=[Depends(authorise)])
    answer = client.get("/forgotten")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "route_unknown"
