"""``/projects`` and ``/invitations``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.auth.records import Permission, Role
from app.auth.schemas import Email
from app.auth.service import PROJECT_COOKIE, SESSION_LIFETIME
from app.auth.users import checked_email
from app.errors import Forbidden
from app.services import CallerDep, ServicesDep

router = APIRouter(tags=["projects"])


class ProjectIn(BaseModel):
    """A new project."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    description: Annotated[str, Field(max_length=1_000)] = ""


class ProjectEdit(BaseModel):
    """What of a project changes."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    description: Annotated[str | None, Field(max_length=1_000)] = None


class ProjectOut(BaseModel):
    """A project with the caller's role in it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    description: str
    role: Role
    created_at: datetime


class ProjectsOut(BaseModel):
    """The caller's projects, the oldest first."""

    projects: list[ProjectOut]


class MemberOut(BaseModel):
    """A member of a project."""

    model_config = ConfigDict(from_attributes=True)

    user_id: str
    name: str
    email: str | None
    role: Role
    created_at: datetime


class MembersOut(BaseModel):
    """Everybody in a project."""

    members: list[MemberOut]


class RoleIn(BaseModel):
    """A member's new role."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class InvitationIn(BaseModel):
    """Whom to invite as what. Without ``email`` whoever has the link can use it, once."""

    model_config = ConfigDict(extra="forbid")

    role: Role = Role.EDITOR
    email: Email | None = None


class InvitationOut(BaseModel):
    """An invitation that can still be used."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    role: Role
    email: str | None
    created_at: datetime
    expires_at: datetime


class NewInvitationOut(InvitationOut):
    """An invitation with its token and link, which are shown this once."""

    token: str
    url: str


class InvitationsOut(BaseModel):
    """A project's open invitations."""

    invitations: list[InvitationOut]


class AcceptIn(BaseModel):
    """The token of an invitation."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=200)]


@router.post("/projects", status_code=201)
def create_project(body: ProjectIn, services: ServicesDep, actor: CallerDep) -> ProjectOut:
    """Make a project; the caller is its owner."""
    return ProjectOut.model_validate(services.projects.create(actor, body.name, body.description))


@router.get("/projects")
def list_projects(services: ServicesDep, actor: CallerDep) -> ProjectsOut:
    """The projects that the caller belongs to."""
    return ProjectsOut(projects=[ProjectOut.model_validate(p) for p in services.projects.all(actor.user_id)])


@router.get("/projects/{project_id}")
def get_project(project_id: str, services: ServicesDep, actor: CallerDep) -> ProjectOut:
    """One project."""
    return ProjectOut.model_validate(services.projects.get(project_id, actor.user_id))


@router.patch("/projects/{project_id}")
def edit_project(project_id: str, body: ProjectEdit, services: ServicesDep, actor: CallerDep) -> ProjectOut:
    """Rename or describe a project."""
    return ProjectOut.model_validate(services.projects.edit(actor, project_id, body.name, body.description))


@router.delete("/projects/{project_id}", status_code=204)
def delete_project(project_id: str, services: ServicesDep, actor: CallerDep) -> None:
    """Delete a project with everything in it; the log of what was done stays with the box."""
    services.projects.delete(actor, project_id)


@router.post("/projects/{project_id}/open", status_code=204)
def open_project(project_id: str, request: Request) -> Response:
    """Have this browser work in the project from now on: what names no project is about this one."""
    response = Response(status_code=204)
    response.set_cookie(
        PROJECT_COOKIE,
        project_id,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/projects/{project_id}/leave", status_code=204)
def leave_project(project_id: str, services: ServicesDep, actor: CallerDep) -> None:
    """Leave a project; its last owner cannot."""
    if not actor.may_use(Permission.SELF):
        raise Forbidden("An API key with limited scopes cannot leave a project.", code="scope_missing")
    services.projects.remove_member(actor, project_id, actor.user_id)


@router.get("/projects/{project_id}/members")
def list_members(project_id: str, services: ServicesDep) -> MembersOut:
    """Who belongs to a project."""
    return MembersOut(members=[MemberOut.model_validate(m) for m in services.projects.members(project_id)])


@router.patch("/projects/{project_id}/members/{user_id}")
def set_role(project_id: str, user_id: str, body: RoleIn, services: ServicesDep, actor: CallerDep) -> MemberOut:
    """Change a member's role."""
    return MemberOut.model_validate(services.projects.set_role(actor, project_id, user_id, body.role))


@router.delete("/projects/{project_id}/members/{user_id}", status_code=204)
def remove_member(project_id: str, user_id: str, services: ServicesDep, actor: CallerDep) -> None:
    """Take somebody out of a project."""
    services.projects.remove_member(actor, project_id, user_id)


@router.post("/projects/{project_id}/invitations", status_code=201)
def invite(
    project_id: str, body: InvitationIn, services: ServicesDep, actor: CallerDep, request: Request
) -> NewInvitationOut:
    """Make a link that lets one person join, within a week."""
    email = checked_email(body.email) if body.email else None
    invitation, token = services.projects.invite(actor, project_id, body.role, email)
    url = f"{str(request.base_url).rstrip('/')}/signup?invitation={quote(token)}"
    return NewInvitationOut(**InvitationOut.model_validate(invitation).model_dump(), token=token, url=url)


@router.get("/projects/{project_id}/invitations")
def list_invitations(project_id: str, services: ServicesDep) -> InvitationsOut:
    """The invitations that can still be used."""
    found = services.projects.invitations(project_id)
    return InvitationsOut(invitations=[InvitationOut.model_validate(i) for i in found])


@router.delete("/projects/{project_id}/invitations/{invitation_id}", status_code=204)
def withdraw_invitation(project_id: str, invitation_id: str, services: ServicesDep, actor: CallerDep) -> None:
    """Withdraw an invitation."""
    services.projects.withdraw(actor, project_id, invitation_id)


@router.post("/invitations/accept")
def accept_invitation(body: AcceptIn, services: ServicesDep, actor: CallerDep) -> ProjectsOut:
    """Join a project by an invitation."""
    return ProjectsOut(projects=[ProjectOut.model_validate(p) for p in services.projects.accept(actor, body.token)])
