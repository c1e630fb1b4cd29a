"""All SQL of the audit log: it adds and reads, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audit.chain import GENESIS, Head, row_hash
from app.audit.tables import AuditRow
from app.db.scope import UNSCOPED


def append(session: Session, row: AuditRow) -> Head:
    """Write the row as the next link, with the caller's transaction, which must hold the write lock."""
    last = head(session)
    row.id = (last.id if last else 0) + 1
    row.previous_hash = last.hash if last else GENESIS
    row.hash = row_hash(_as_stored(session, row))
    session.add(row)
    session.flush()
    return Head(row.id, row.hash)


def _as_stored(session: Session, row: AuditRow) -> dict[str, Any]:
    """The row's values as SQLite will hold them: the hash covers stored bytes, not what is made of them."""
    dialect = session.get_bind().dialect
    stored = {}
    for column in AuditRow.__table__.columns:
        value = getattr(row, column.key)
        process = None if value is None else column.type.dialect_impl(dialect).bind_processor(dialect)
        stored[column.name] = process(value) if process else value
    return stored


def head(session: Session) -> Head | None:
    """The newest link: one chain for all projects."""
    query = select(AuditRow.id, AuditRow.hash).order_by(AuditRow.id.desc()).limit(1)
    found = session.execute(query, execution_options=UNSCOPED).first()
    return Head(found.id, found.hash) if found else None


def holds(session: Session, link: Head) -> bool:
    """Whether that row is there with that hash."""
    query = select(AuditRow.hash).where(AuditRow.id == link.id)
    return session.scalar(query, execution_options=UNSCOPED) == link.hash


def all_stored(session: Session) -> Iterator[Mapping[str, Any]]:
    """Every row as SQLite holds it, by id, read in pieces."""
    rows = session.execute(text("SELECT * FROM audit ORDER BY id"), execution_options={"yield_per": 1_000})
    for row in rows.mappings():
        yield dict(row)


def project_of_action(session: Session, action_id: str) -> str | None:
    """The project that the action belongs to: an event about it belongs there too."""
    query = text("SELECT project_id FROM actions WHERE id = :id")  # whose table this is knows nothing of the log
    project_id: str | None = session.execute(query, {"id": action_id}).scalar_one_or_none()
    return project_id


def newest(session: Session, action_id: str | None, limit: int, before_id: int | None = None) -> list[AuditRow]:
    """The newest rows first, of one action when named."""
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if action_id is not None:
        query = query.where(AuditRow.action_id == action_id)
    if before_id is not None:
        query = query.where(AuditRow.id < before_id)
    return list(session.scalars(query))


def has_event(session: Session, action_id: str, events: Sequence[str]) -> bool:
    """Whether the action has one of these events."""
    query = select(AuditRow.id).where(AuditRow.action_id == action_id, AuditRow.event.in_(events)).limit(1)
    return session.scalar(query) is not None


def newest_request_id(session: Session, action_id: str) -> str:
    """The ``request_id`` of the action's newest event that has one, else empty."""
    request_id = AuditRow.detail["request_id"].as_string()
    query = select(request_id).where(AuditRow.action_id == action_id, request_id.is_not(None))
    return session.scalar(query.order_by(AuditRow.id.desc()).limit(1)) or ""
