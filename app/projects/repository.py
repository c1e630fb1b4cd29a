"""All SQL of projects and their members."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.projects.tables import MembershipRow, ProjectRow


def add(session: Session, row: ProjectRow | MembershipRow) -> None:
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


def project_of(session: Session, table: str, object_id: str) -> str | None:
    """The project of a row of any project's table. ``table`` is a name of ours, never of a request."""
    query = text(f"SELECT project_id FROM {table} WHERE id = :id")  # noqa: S608
    project_id: str | None = session.execute(query, {"id": object_id}).scalar_one_or_none()
    return project_id
