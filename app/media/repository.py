"""All SQL of media."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.scope import UNSCOPED
from app.media.tables import MediaRow


def add(session: Session, row: MediaRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def by_hash(session: Session, sha256: str) -> MediaRow | None:
    """The file of that hash, if it was uploaded."""
    return session.scalars(select(MediaRow).where(MediaRow.sha256 == sha256)).one_or_none()


def by_hashes(session: Session, hashes: Sequence[str]) -> dict[str, MediaRow]:
    """Those of the files that were uploaded, by hash."""
    rows = session.scalars(select(MediaRow).where(MediaRow.sha256.in_(hashes))) if hashes else ()
    return {row.sha256: row for row in rows}


def hashes_of(session: Session, project_id: str) -> list[str]:
    """The hash of every file of the project."""
    return list(session.scalars(select(MediaRow.sha256).where(MediaRow.project_id == project_id)))


def used_hashes(session: Session) -> set[str]:
    """The hash of every file of every project: projects share what lies on the disk."""
    return set(session.scalars(select(MediaRow.sha256).distinct(), execution_options=UNSCOPED))


def is_used(session: Session, sha256: str) -> bool:
    """Whether any project has the file."""
    query = select(MediaRow.id).where(MediaRow.sha256 == sha256).limit(1)
    return session.scalars(query, execution_options=UNSCOPED).one_or_none() is not None
