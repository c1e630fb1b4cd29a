"""The one place that keeps projects apart.

A session that belongs to a project (``Database.scoped``) sees and changes rows of that project alone: every ORM SELECT,
UPDATE and DELETE over a ``ProjectScoped`` table gets the condition here, and every new row gets the project's id here.
A session without a project (the worker's sweeps, the command line) sees all rows; what it inserts without saying whose
it is belongs to the default project.

What this cannot see is SQL written as text and Core inserts. Such SQL (the full-text and the vector index) takes the
project from ``scope_of(session)`` and puts it into its own WHERE, and its inserts name the ``project_id``.
Source: SQLAlchemy ``with_loader_criteria``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria

DEFAULT_PROJECT = "prj_default"
"""The project that is there from the first start."""

UNSCOPED = {"herald_unscoped": True}
"""Execution options of the few statements that must see every project's rows, such as who else uses a file."""

_INFO_KEY = "project_id"


class ProjectScoped:
    """Mixin of every table whose rows belong to one project. Deleting the project deletes them."""

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)


class ScopedSession(Session):
    """A session that may belong to one project (``info["project_id"]``)."""


def scope_of(session: Session) -> str | None:
    """The project that the session is limited to; None when it sees every project."""
    project_id: str | None = session.info.get(_INFO_KEY)
    return project_id


def info_for(project_id: str | None) -> dict[str, Any]:
    """What makes a session belong to the project."""
    return {} if project_id is None else {_INFO_KEY: project_id}


def _may_have_none(row: ProjectScoped) -> bool:
    is_nullable: bool = row.__table__.c.project_id.nullable  # type: ignore[attr-defined]  # a Table, see its subclasses
    return is_nullable


@event.listens_for(ScopedSession, "do_orm_execute")
def _limit_to_project(state: ORMExecuteState) -> None:
    project_id = scope_of(state.session)
    is_limited = state.is_select or state.is_update or state.is_delete
    if project_id is None or not is_limited or state.execution_options.get("herald_unscoped"):
        return
    criteria = with_loader_criteria(ProjectScoped, lambda cls: cls.project_id == project_id, include_aliases=True)
    state.statement = state.statement.options(criteria)


@event.listens_for(ScopedSession, "before_flush")
def _place_in_project(session: Session, _context: Any, _instances: Any) -> None:
    project_id = scope_of(session)
    for row in session.new:
        if isinstance(row, ProjectScoped) and row.project_id is None:
            row.project_id = project_id or (None if _may_have_none(row) else DEFAULT_PROJECT)
    if project_id is None:
        return
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, ProjectScoped) and row.project_id != project_id:
            raise AssertionError(f"a session of {project_id} must not touch a row of {row.project_id}")
