"""Projects as their members see them, who belongs to them, and invitations."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.audit.service import AuditService
from app.auth.records import Actor, Role, User
from app.auth.users import UserService
from app.db.engine import Database
from app.errors import AppError, Conflict, Forbidden, InvalidInput, NotFound
from app.projects import repository
from app.projects.records import Invitation, Member, Project
from app.projects.tables import InvitationRow, MembershipRow, ProjectRow
from app.text import refuse_control_characters

log = structlog.get_logger(__name__)

INVITATION_LIFETIME = timedelta(days=7)
MAX_PROJECTS = 200
MAX_INVITATIONS = 100

Forget = Callable[[Session, str], Callable[[], None]]
"""Looks up, in the transaction that deletes a project, which files it has; what it returns removes them afterwards."""


class ProjectService:
    """Projects and their members. Whoever is not a member is told that there is no such project."""

    def __init__(self, database: Database, audit: AuditService, users: UserService) -> None:
        self._database = database
        self._audit = audit
        self._users = users
        self.on_delete: list[Forget] = []

    # -- projects

    def create(self, actor: Actor, name: str, description: str = "") -> Project:
        """A new project of which the caller is the owner. Raises: InvalidInput."""
        name, description = checked_name(name), checked_description(description)
        at = clock.now()
        row = ProjectRow(id=f"prj_{uuid.uuid4().hex}", name=name, description=description, created_at=at)
        membership = MembershipRow(project_id=row.id, user_id=actor.user_id, role=Role.OWNER.value, created_at=at)
        with self._database.write() as session:
            if len(repository.of_user(session, actor.user_id)) >= MAX_PROJECTS:
                raise InvalidInput(
                    f"You belong to {MAX_PROJECTS} projects, and that is the limit.", hint="Delete or leave one first."
                )
            repository.add(session, row)
            repository.add(session, membership)
            self._record(session, "project.created", actor, row.id, {"name": name})
        return _project(row, membership)

    def all(self, user_id: str) -> list[Project]:
        """The user's projects, the oldest first."""
        with self._database.read() as session:
            return [_project(*found) for found in repository.of_user(session, user_id)]

    def get(self, project_id: str, user_id: str) -> Project:
        """The project with the user's role in it. Raises: NotFound."""
        with self._database.read() as session:
            return _project(*_found(session, project_id, user_id))

    def require(self, project_id: str) -> None:
        """For the owner of the box, who is a member of none perhaps. Raises: NotFound."""
        with self._database.read() as session:
            if not repository.exists(session, project_id):
                raise not_found(project_id)

    def of_object(self, table: str, object_id: str, user_id: str) -> Project | None:
        """The project of a domain's row, when it is one of the user's."""
        with self._database.read() as session:
            project_id = repository.project_of(session, table, object_id)
            found = repository.of_member(session, project_id, user_id) if project_id else None
        return _project(*found) if found else None

    def edit(self, actor: Actor, project_id: str, name: str | None, description: str | None) -> Project:
        """Change name or description. Raises: NotFound, InvalidInput."""
        with self._database.write() as session:
            row, membership = _found(session, project_id, actor.user_id)
            row.name = row.name if name is None else checked_name(name)
            row.description = row.description if description is None else checked_description(description)
            self._record(session, "project.edited", actor, row.id, {"name": row.name})
            return _project(row, membership)

    def delete(self, actor: Actor, project_id: str) -> None:
        """Delete the project with everything that belongs to it, its files too, but for the log of what was done.

        Raises: NotFound, Conflict while an action of it is on its way.
        """
        with self._database.write() as session:
            row, _ = _found(session, project_id, actor.user_id)
            busy = repository.busy_actions(session, project_id)
            if busy:
                raise Conflict(
                    f"{busy} approved actions of this project have not ended yet.",
                    hint="Wait for them or cancel them first.",
                    code="project_busy",
                )
            self._record(session, "project.deleted", actor, project_id, {"name": row.name})
            removals = [forget(session, project_id) for forget in self.on_delete]
            repository.remove(session, project_id)
        for remove_files in removals:
            try:
                remove_files()
            except (AppError, OSError) as error:  # the worker removes what lies about
                log.warning("project_files_left", project_id=project_id, error=str(error))

    # -- members

    def members(self, project_id: str) -> list[Member]:
        """Everybody in the project, the oldest first."""
        with self._database.read() as session:
            rows = repository.members(session, project_id)
        return [self._member(row) for row in rows]

    def set_role(self, actor: Actor, project_id: str, user_id: str, role: Role) -> Member:
        """Change a member's role. Raises: NotFound, Conflict (the last owner)."""
        with self._database.write() as session:
            row = _found_member(session, project_id, user_id)
            if row.role == Role.OWNER and role is not Role.OWNER:
                _require_another_owner(session, project_id)
            row.role = role.value
            detail = {"user_id": user_id, "role": role.value}
            self._record(session, "project.role_changed", actor, project_id, detail)
        return self._member(row)

    def remove_member(self, actor: Actor, project_id: str, user_id: str) -> None:
        """Take somebody out of the project. Raises: NotFound, Conflict (the last owner)."""
        with self._database.write() as session:
            row = _found_member(session, project_id, user_id)
            if row.role == Role.OWNER:
                _require_another_owner(session, project_id)
            repository.remove_member(session, row)
            self._record(session, "project.member_removed", actor, project_id, {"user_id": user_id})

    # -- invitations

    def invite(self, actor: Actor, project_id: str, role: Role, email: str | None) -> tuple[Invitation, str]:
        """An invitation and its token, which is shown this once. With ``email`` only that person can use it.

        Raises: InvalidInput when too many are open.
        """
        token = secrets.token_urlsafe(32)
        at = clock.now()
        row = InvitationRow(
            id=f"inv_{uuid.uuid4().hex}",
            token_hash=_hash(token),
            project_id=project_id,
            role=role.value,
            email=email,
            created_at=at,
            expires_at=at + INVITATION_LIFETIME,
        )
        with self._database.write() as session:
            if len(repository.invitations(session, project_id, at)) >= MAX_INVITATIONS:
                raise InvalidInput(
                    f"{MAX_INVITATIONS} invitations are open, and that is the limit.", hint="Withdraw some first."
                )
            repository.add(session, row)
            detail = {"invitation_id": row.id, "role": role.value}
            self._record(session, "project.invited", actor, project_id, detail)
        return _invitation(row), token

    def invitations(self, project_id: str) -> list[Invitation]:
        """Those that can still be used, the newest first."""
        with self._database.read() as session:
            return [_invitation(row) for row in repository.invitations(session, project_id, clock.now())]

    def withdraw(self, actor: Actor, project_id: str, invitation_id: str) -> None:
        """Make the invitation worthless. Raises: NotFound."""
        with self._database.write() as session:
            if not repository.remove_invitation(session, project_id, invitation_id):
                raise NotFound(f"There is no open invitation {invitation_id[:60]} in this project.")
            self._record(session, "project.invitation_withdrawn", actor, project_id, {"invitation_id": invitation_id})

    def acceptance_of(self, token: str) -> Callable[[Session, User], None]:
        """What makes a user a member by this token, within the caller's transaction.

        It raises: InvalidInput when the invitation is unknown, used, expired or for somebody else.
        """

        def accept(session: Session, user: User) -> None:
            row = repository.use_invitation(session, _hash(token), clock.now())
            if row is None:
                raise InvalidInput(
                    "This invitation is unknown, used already or older than a week.",
                    hint="Ask for a new one.",
                    code="invitation_invalid",
                )
            if row.email is not None and row.email != user.email:
                raise Forbidden("This invitation is for another mail address.", code="invitation_for_another")
            known = repository.member(session, row.project_id, user.id)
            if known is not None:
                raise Conflict("You belong to this project already.", code="member_already")
            membership = MembershipRow(
                project_id=row.project_id, user_id=user.id, role=row.role, created_at=clock.now()
            )
            repository.add(session, membership)
            detail = {"user_id": user.id, "project_id": row.project_id, "role": row.role}
            self._audit.record(session, "project.joined", actor=user.name, project_id=row.project_id, detail=detail)

        return accept

    def accept(self, actor: Actor, token: str) -> list[Project]:
        """Join by an invitation; returns the user's projects. Raises: InvalidInput, Conflict, Forbidden."""
        user = self._users.get(actor.user_id)
        with self._database.write() as session:
            self.acceptance_of(token)(session, user)
        return self.all(actor.user_id)

    def _member(self, row: MembershipRow) -> Member:
        user = self._users.get(row.user_id)
        return Member(user.id, user.name, user.email, Role(row.role), row.created_at)

    def _record(self, session: Session, event: str, actor: Actor, project_id: str, detail: dict[str, str]) -> None:
        self._audit.record(session, event, actor=str(actor), project_id=project_id, detail=detail)


def checked_name(name: str) -> str:
    """A project's name. Raises: InvalidInput."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100:
        raise InvalidInput(f"The project's name has {len(name)} characters; 1 to 100 are allowed.")
    refuse_control_characters(name, "The project's name")
    return name


def checked_description(description: str) -> str:
    """A project's description. Raises: InvalidInput."""
    if len(description) > 1_000:
        raise InvalidInput(f"The description has {len(description):,} characters; at most 1,000 are allowed.")
    refuse_control_characters(description, "The description")
    return description


def not_found(project_id: str) -> NotFound:
    """The same answer for a project of others and for one that never was."""
    return NotFound(
        f"There is no project {project_id[:60]}.",
        hint="GET /api/v1/projects lists those that you belong to.",
        code="project_not_found",
    )


def _found(session: Session, project_id: str, user_id: str) -> tuple[ProjectRow, MembershipRow]:
    found = repository.of_member(session, project_id, user_id)
    if found is None:
        raise not_found(project_id)
    return found


def _found_member(session: Session, project_id: str, user_id: str) -> MembershipRow:
    row = repository.member(session, project_id, user_id)
    if row is None:
        raise NotFound(
            f"Nobody of the id {user_id[:60]} belongs to this project.",
            hint="GET /api/v1/projects/{id}/members lists who does.",
        )
    return row


def _require_another_owner(session: Session, project_id: str) -> None:
    if repository.count_with_role(session, project_id, Role.OWNER.value) < 2:
        raise Conflict(
            "This is the project's last owner.", hint="Make somebody else an owner first.", code="last_owner"
        )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()


def _project(row: ProjectRow, membership: MembershipRow) -> Project:
    return Project(row.id, row.name, row.description, Role(membership.role), row.created_at)


def _invitation(row: InvitationRow) -> Invitation:
    return Invitation(row.id, Role(row.role), row.email, row.created_at, row.expires_at)
