"""Recording and reading the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app import clock
from app.audit import repository
from app.audit.tables import AuditRow
from app.db.engine import Database


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event of the log."""

    id: int
    at: datetime
    actor: str
    event: str
    action_id: str | None
    detail: dict[str, Any]


class AuditService:
    """Writes within the transaction of what it records, so that neither can be there without the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        session: Session,
        event: str,
        *,
        actor: str,
        action_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Add one event (``action.approved``) to the caller's transaction. ``detail`` must hold no secret."""
        row = AuditRow(at=clock.now(), actor=actor[:100], event=event, action_id=action_id, detail=detail or {})
        repository.add(session, row)

    def entries(self, action_id: str | None = None, limit: int = 100, before_id: int | None = None) -> list[AuditEntry]:
        """The newest events first."""
        with self._database.read() as session:
            rows = repository.newest(session, action_id, limit, before_id)
            return [AuditEntry(r.id, r.at, r.actor, r.event, r.action_id, r.detail) for r in rows]
