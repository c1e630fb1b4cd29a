"""All SQL of media."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

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
