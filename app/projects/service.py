"""Projects as their members see them."""

from __future__ import annotations

from app.auth.records import Role
from app.db.engine import Database
from app.errors import NotFound
from app.projects import repository
from app.projects.records import Project
from app.projects.tables import MembershipRow, ProjectRow


class ProjectService:
    """Projects and their members. Whoever is not a member is told that there is no such project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, user_id: str) -> list[Project]:
        """The user's projects, the oldest first."""
        with self._database.read() as session:
            return [_project(*found) for found in repository.of_user(session, user_id)]

    def get(self, project_id: str, user_id: str) -> Project:
        """The project with the user's role in it. Raises: NotFound."""
        with self._database.read() as session:
            found = repository.of_member(session, project_id, user_id)
        if found is None:
            raise not_found(project_id)
        return _project(*found)

    def of_object(self, table: str, object_id: str, user_id: str) -> Project | None:
        """The project of a domain's row, when it is one of the user's."""
        with self._database.read() as session:
            project_id = repository.project_of(session, table, object_id)
            found = repository.of_member(session, project_id, user_id) if project_id else None
        return _project(*found) if found else None


def not_found(project_id: str) -> NotFound:
    """The same answer for a project of others and for one that never was."""
    return NotFound(
        f"There is no project {project_id[:60]}.",
        hint="GET /api/v1/projects lists those that you belong to.",
        code="project_not_found",
    )


def _project(row: ProjectRow, membership: MembershipRow) -> Project:
    return Project(row.id, row.name, row.description, Role(membership.role), row.created_at)
