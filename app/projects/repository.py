"""All SQL of projects, their members and invitations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from app.projects.tables import InvitationRow, MembershipRow, ProjectRow


def add(session: Session, row: ProjectRow | MembershipRow | InvitationRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def of_user(session: Session, user_id: str) -> list[tuple[ProjectRow, MembershipRow]]:
    """The user's projects with their part in each, the oldest first."""
    query = (
        select(ProjectRow, MembershipRow)
        .join(MembershipRow, MembershipRow.project_id == ProjectRow.id)
        .where(MembershipRow.user_id == user_id)
        .order_by(ProjectRow.created_at, ProjectRow.id)
    )
    return [(project, membership) for project, membership in session.execute(query)]


def of_member(session: Session, project_id: str, user_id: str) -> tuple[ProjectRow, MembershipRow] | None:
    """The project with the user's part in it; None when it is not there or not theirs."""
    query = (
        select(ProjectRow, MembershipRow)
        .join(MembershipRow, MembershipRow.project_id == ProjectRow.id)
        .where(ProjectRow.id == project_id, MembershipRow.user_id == user_id)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


def remove(session: Session, project_id: str) -> None:
    """Delete the project with everything that belongs to it."""
    session.execute(delete(ProjectRow).where(ProjectRow.id == project_id))


def exists(session: Session, project_id: str) -> bool:
    """Whether there is such a project."""
    return session.get(ProjectRow, project_id) is not None


def members(session: Session, project_id: str) -> list[MembershipRow]:
    """Everybody in the project, the oldest first."""
    query = select(MembershipRow).where(MembershipRow.project_id == project_id)
    return list(session.scalars(query.order_by(MembershipRow.created_at, MembershipRow.user_id)))


def member(session: Session, project_id: str, user_id: str) -> MembershipRow | None:
    """The user's part in the project."""
    return session.get(MembershipRow, (project_id, user_id))


def count_with_role(session: Session, project_id: str, role: str) -> int:
    """How many members have that role."""
    query = select(func.count()).where(MembershipRow.project_id == project_id, MembershipRow.role == role)
    return session.scalar(query) or 0


def remove_member(session: Session, row: MembershipRow) -> None:
    """Take the user out of the project."""
    session.delete(row)
    session.flush()


def invitations(session: Session, project_id: str, at: datetime) -> list[InvitationRow]:
    """The project's invitations that can still be used, the newest first."""
    query = select(InvitationRow).where(
        InvitationRow.project_id == project_id, InvitationRow.used_at.is_(None), InvitationRow.expires_at > at
    )
    return list(session.scalars(query.order_by(InvitationRow.created_at.desc(), InvitationRow.id)))


def use_invitation(session: Session, token_hash: str, at: datetime) -> InvitationRow | None:
    """Use the invitation up; None when there is none, or it is used or expired."""
    return session.scalars(
        update(InvitationRow)
        .where(InvitationRow.token_hash == token_hash, InvitationRow.used_at.is_(None), InvitationRow.expires_at > at)
        .values(used_at=at)
        .returning(InvitationRow)
    ).one_or_none()


def remove_invitation(session: Session, project_id: str, invitation_id: str) -> bool:
    """Withdraw the invitation; False when the project has none of that id."""
    query = delete(InvitationRow).where(InvitationRow.project_id == project_id, InvitationRow.id == invitation_id)
    return session.scalar(query.returning(InvitationRow.id)) is not None


def busy_actions(session: Session, project_id: str) -> int:
    """How many of the project's actions are on their way."""
    query = text("SELECT count(*) FROM actions WHERE project_id = :id AND status IN ('approved', 'running', 'sending')")
    return int(session.execute(query, {"id": project_id}).scalar_one())


def project_of(session: Session, table: str, object_id: str) -> str | None:
    """The project of a row of any project's table. ``table`` is a name of ours, never of a request."""
    query = text(f"SELECT project_id FROM {table} WHERE id = :id")  # noqa: S608
    project_id: str | None = session.execute(query, {"id": object_id}).scalar_one_or_none()
    return project_id
