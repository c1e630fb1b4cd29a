"""The table of projects' lists of hosts."""

from __future__ import annotations

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table
from app.db.scope import ProjectScoped


class NetworkRow(ProjectScoped, Table):
    """One project's lists; a project without a row has empty ones."""

    __tablename__ = "network_rules"
    __table_args__ = (UniqueConstraint("project_id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    allowed: Mapped[list[str]] = mapped_column(JSON)
    denied: Mapped[list[str]] = mapped_column(JSON)
    own: Mapped[list[str]] = mapped_column(JSON)
