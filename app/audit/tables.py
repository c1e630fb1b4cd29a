"""The audit table. SQL triggers (see the migrations) refuse to change or remove a row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table, UtcDateTime
from app.db.scope import ProjectScoped


class AuditRow(ProjectScoped, Table):
    """One event. ``detail`` never holds a secret; ``hash`` chains the row to the one before it (see ``chain``).

    What concerns the box (signing in) has no project. No foreign key: what was done stays on record when its project
    is gone.
    """

    __tablename__ = "audit"
    __table_args__ = (Index(None, "action_id", "id"), Index(None, "project_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(100))
    event: Mapped[str] = mapped_column(String(100))
    action_id: Mapped[str | None] = mapped_column(String(40))
    project_id: Mapped[str | None] = mapped_column(String(40))  # type: ignore[assignment]  # see above
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
