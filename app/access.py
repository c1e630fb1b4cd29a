"""What each route asks for, and the one place that grants it: the permission, and the services of the right project.

``authorise`` runs before every route. It finds the project that the request is about (named in the path, the query or
the body, else the project of the object that the path names, else the caller's own default), checks the caller's role
and hands the route services that see this project alone. A route that ``PERMISSIONS`` does not know is refused.
"""

from __future__ import annotations

import json
from typing import Any

from anyio import to_thread
from starlette.requests import Request

from app.auth.records import Actor, Permission
from app.auth.service import PROJECT_COOKIE
from app.errors import Forbidden, InvalidInput, NotFound
from app.projects.records import Project
from app.services import Services, actor_of
from app.text import refuse_control_characters

OPEN, SIGNED_IN, SELF, BOX = Permission.OPEN, Permission.SIGNED_IN, Permission.SELF, Permission.BOX
READ, WRITE, APPROVE, MANAGE = Permission.READ, Permission.WRITE, Permission.APPROVE, Permission.MANAGE

PERMISSIONS: dict[str, Permission] = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /healthz/db": OPEN,
    "GET /metrics": BOX,
    "GET /signin": OPEN,
    "POST /signin": OPEN,
    "GET /signup": OPEN,
    "POST /signup": OPEN,
    "GET /forgot": OPEN,
    "POST /forgot": OPEN,
    "GET /reset": OPEN,
    "POST /reset": OPEN,
    "GET /signout": SIGNED_IN,
    "POST /signout": SIGNED_IN,
    "POST /auth/signup": OPEN,
    "POST /auth/login": OPEN,
    "POST /auth/forgot": OPEN,
    "POST /auth/reset": OPEN,
    "POST /auth/logout": SIGNED_IN,
    "GET /auth/me": SIGNED_IN,
    "GET /auth/keys": SELF,
    "POST /auth/keys": SELF,
    "POST /auth/keys/{key_id}/rotate": SELF,
    "DELETE /auth/keys/{key_id}": SELF,
    "POST /projects": SELF,
    "GET /projects": SIGNED_IN,
    "GET /projects/{project_id}": READ,
    "PATCH /projects/{project_id}": MANAGE,
    "DELETE /projects/{project_id}": MANAGE,
    "POST /projects/{project_id}/open": READ,
    "POST /projects/{project_id}/leave": READ,
    "GET /projects/{project_id}/members": READ,
    "PATCH /projects/{project_id}/members/{user_id}": MANAGE,
    "DELETE /projects/{project_id}/members/{user_id}": MANAGE,
    "POST /projects/{project_id}/invitations": MANAGE,
    "GET /projects/{project_id}/invitations": MANAGE,
    "DELETE /projects/{project_id}/invitations/{invitation_id}": MANAGE,
    "POST /invitations/accept": SELF,
    "POST /chat": WRITE,
    "GET /action-types": SIGNED_IN,
    "POST /actions": WRITE,
    "GET /actions": READ,
    "GET /actions/{action_id}": READ,
    "PATCH /actions/{action_id}": WRITE,
    "POST /actions/{action_id}/approve": APPROVE,
    "POST /actions/{action_id}/reject": APPROVE,
    "POST /actions/{action_id}/cancel": WRITE,
    "POST /actions/{action_id}/settle": APPROVE,
    "GET /action-stop": SIGNED_IN,
    "POST /action-stop": BOX,
    "DELETE /action-stop": BOX,
    "GET /action-limits": READ,
    "POST /action-limits": MANAGE,
    "DELETE /action-limits/{limit_id}": MANAGE,
    "GET /action-sites": SIGNED_IN,
    "GET /approval-policies": READ,
    "POST /approval-policies": MANAGE,
    "DELETE /approval-policies/{policy_id}": MANAGE,
    "POST /media": WRITE,
    "GET /media/{sha256}": READ,
    "GET /actions/{action_id}/evidence/{filename}": READ,
    "GET /conversations": READ,
    "GET /conversations/{conversation_id}": READ,
    "DELETE /conversations/{conversation_id}": WRITE,
    "POST /memory/documents": WRITE,
    "GET /memory/documents": READ,
    "DELETE /memory/documents/{document_id}": WRITE,
    "GET /memory/search": READ,
    "POST /projects/{project_id}/assets": WRITE,
    "GET /projects/{project_id}/assets": READ,
    "GET /projects/{project_id}/assets/{asset_id}": READ,
    "PATCH /projects/{project_id}/assets/{asset_id}": WRITE,
    "DELETE /projects/{project_id}/assets/{asset_id}": WRITE,
    "POST /projects/{project_id}/assets/{asset_id}/ingest": WRITE,
    "GET /projects/{project_id}/assets/{asset_id}/content": READ,
    "GET /projects/{project_id}/assets/{asset_id}/passages/{chunk_id}": READ,
    "GET /accounts": READ,
    "POST /accounts": MANAGE,
    "DELETE /accounts/{account_id}": MANAGE,
    "GET /accounts/{account_id}/login": MANAGE,
    "GET /accounts/{account_id}/login/stream": MANAGE,
    "POST /accounts/{account_id}/login/inputs": MANAGE,
    "GET /audit": READ,
    "GET /recipes": READ,
    "GET /projects/{project_id}/network": READ,
    "PUT /projects/{project_id}/network": MANAGE,
    "DELETE /recipes/{recipe_id}": WRITE,
    "POST /assistant/query": READ,
    "POST /generate": WRITE,
    "GET /generations": READ,
    "GET /generations/{generation_id}": READ,
    "PATCH /variants/{variant_id}": WRITE,
    "GET /variants/{variant_id}/versions": READ,
    "POST /variants/{variant_id}/regenerate": WRITE,
    "POST /variants/{variant_id}/propose": WRITE,
    "GET /voice": READ,
    "PUT /voice": WRITE,
    "GET /projects/{project_id}/metrics": READ,
    "GET /projects/{project_id}/metrics.csv": READ,
}
"""What each route asks for, by its path without ``/api/v1``. A new route gets its line here; a test fails without."""

WHOLE_BOX = frozenset({"GET /audit"})
"""Routes that show the owner of the box everything as long as no project is named."""

TABLES_OF_IDS = {
    "action_id": "actions",
    "conversation_id": "conversations",
    "document_id": "assets",
    "asset_id": "assets",
    "account_id": "accounts",
    "recipe_id": "recipes",
    "limit_id": "action_limits",
    "policy_id": "approval_policies",
    "generation_id": "generations",
    "variant_id": "variants",
}
"""Which table a path's id (or a body's ``conversation_id``) is looked up in, to find its project."""

IN_NO_PROJECT = "prj_none"
"""No row belongs here: a caller without any project finds nothing, whatever they ask for by id."""


async def authorise(request: Request) -> None:
    """Grant or refuse the request; sets ``request.state.services`` to those of its project.

    Raises: Forbidden, NotFound (a project of others is not there), InvalidInput (two projects are named, or an id with
    characters that no text may have).
    """
    route = f"{request.method} {request.scope['route'].path}"
    permission = PERMISSIONS.get(route)
    if permission is None:
        raise Forbidden("This route has no permission assigned, so nobody may use it.", code="route_unknown")
    box: Services = request.app.state.services
    if permission is OPEN:
        request.state.services = box
        return
    actor: Actor = actor_of(request)
    if not actor.may_use(permission):
        raise Forbidden(
            f"This API key may not do this: it lacks the scope {permission.value!r}.",
            hint="Make a key that has it, in Settings or with POST /api/v1/auth/keys.",
            code="scope_missing",
        )
    if permission is BOX and not actor.is_box_owner:
        raise Forbidden("Only the owner of the box may do this.", code="not_box_owner")
    if permission in {SIGNED_IN, SELF, BOX}:
        request.state.services = box
        return
    named = await _named_ids(request)
    if route in WHOLE_BOX and actor.is_box_owner and "project_id" not in named:
        request.state.services = box
        return
    project = await to_thread.run_sync(_project_of, box, actor, named)
    if project is None:
        request.state.services = box.within(IN_NO_PROJECT)
        return
    if not project.role.can(permission):
        raise Forbidden(
            f"You are {project.role.value} of project {project.name!r}; this needs the right to {permission.value}.",
            hint="An owner of the project can change your role.",
            code="role_too_low",
        )
    request.state.project = project
    request.state.services = box.within(project.id)


def _project_of(box: Services, actor: Actor, named: dict[str, str]) -> Project | None:
    """The project that the request is about; None when an object is named and the caller has no project at all."""
    if "project_id" in named:
        return box.projects.get(named["project_id"], actor.user_id)
    objects = {key: value for key, value in named.items() if key in TABLES_OF_IDS}
    for key, object_id in objects.items():
        project = box.projects.of_object(TABLES_OF_IDS[key], object_id, actor.user_id)
        if project is not None:
            return project
    chosen = _default_of(box.projects.all(actor.user_id), named.get("chosen"))
    if chosen is None and not objects:
        raise NotFound(
            "You belong to no project yet.",
            hint="Make one with POST /api/v1/projects, or ask the owner of one to invite you.",
            code="no_project",
        )
    return chosen


def _default_of(projects: list[Project], chosen: str | None) -> Project | None:
    """The project that the browser has open, else the oldest that the user owns, else the oldest."""
    ranked = sorted(projects, key=lambda p: (p.id != chosen, not p.role.can(MANAGE)))
    return ranked[0] if ranked else None


async def _named_ids(request: Request) -> dict[str, str]:
    """The ids in path, query and body that say which project is meant."""
    named: dict[str, str] = {k: str(v) for k, v in request.path_params.items()}
    for place in (request.query_params, await _body_fields(request)):
        for key in ("project_id", "conversation_id"):
            value = place.get(key)
            if not isinstance(value, str) or not value:
                continue
            refuse_control_characters(value, key)  # half a surrogate pair cannot even be looked up
            if named.setdefault(key, value) != value:
                raise InvalidInput(
                    f"The request names two values of {key}: {named[key][:60]!r} and {value[:60]!r}.",
                    hint="Name it once.",
                )
    if "authorization" not in request.headers and request.cookies.get(PROJECT_COOKIE):
        named["chosen"] = request.cookies[PROJECT_COOKIE]
    return named


async def _body_fields(request: Request) -> dict[str, Any]:
    """The body's top-level fields. Starlette keeps what was read, so the route reads the same body again."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        return dict(await request.form())
    if not media_type.endswith("json"):
        return {}
    try:
        body = json.loads(await request.body() or b"null")
    except (ValueError, RecursionError):
        return {}  # the route says what is wrong with it
    return body if isinstance(body, dict) else {}
