"""Tables of accounts. Secrets are Fernet tokens (see ``vault``), never plain."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table, UtcDateTime
from app.db.scope import ProjectScoped


class AccountRow(ProjectScoped, Table):
    """One account on one platform."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("project_id", "platform", "handle"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    platform: Mapped[str] = mapped_column(String(40))
    handle: Mapped[str] = mapped_column(String(100))
    base_url: Mapped[str] = mapped_column(String(500))
    login_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    session_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
