"""Tables of conversations and messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table, UtcDateTime
from app.db.scope import ProjectScoped


class ConversationRow(ProjectScoped, Table):
    """One conversation; its title is the beginning of its first message."""

    __tablename__ = "conversations"
    __table_args__ = (Index(None, "updated_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MessageRow(ProjectScoped, Table):
    """One message; ``position`` orders all messages of the box."""

    __tablename__ = "messages"
    __table_args__ = (Index(None, "conversation_id", "position"), {"sqlite_autoincrement": True})

    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    sources: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    is_tainted: Mapped[bool] = mapped_column(default=False)
    lookups: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    action_id: Mapped[str | None] = mapped_column(String(40))
    drafted: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
