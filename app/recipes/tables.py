"""The table of recipes. No row holds a value that was entered into a form."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table, UtcDateTime
from app.db.scope import ProjectScoped


class RecipeRow(ProjectScoped, Table):
    """One version of the way through one form. ``names`` is the sorted JSON list of what the values were called."""

    __tablename__ = "recipes"
    __table_args__ = (UniqueConstraint("project_id", "origin", "path", "names", "version"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    origin: Mapped[str] = mapped_column(String(500))
    path: Mapped[str] = mapped_column(Text)
    names: Mapped[str] = mapped_column(Text)
    version: Mapped[int]
    state: Mapped[str] = mapped_column(String(20))
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    action_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    uses: Mapped[int] = mapped_column(default=0)
