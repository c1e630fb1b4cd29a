"""All SQL of the audit log: it adds and reads, nothing else."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit.tables import AuditRow


def add(session: Session, row: AuditRow) -> None:
    """Write the row with the caller's transaction."""
    session.add(row)
    session.flush()


def newest(session: Session, action_id: str | None, limit: int, before_id: int | None = None) -> list[AuditRow]:
    """The newest rows first, of one action when named."""
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if action_id is not None:
        query = query.where(AuditRow.action_id == action_id)
    if before_id is not None:
        query = query.where(AuditRow.id < before_id)
    return list(session.scalars(query))
