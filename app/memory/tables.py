"""Tables of memory. Beside them the migrations make ``chunk_texts`` (FTS5) and ``chunk_vectors`` (vec0), whose row ids
are chunk ids; triggers keep both in step when chunks are removed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table, UtcDateTime
from app.db.scope import ProjectScoped


class DocumentRow(ProjectScoped, Table):
    """One document, identified in its project by the SHA-256 of its content."""

    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("project_id", "sha256"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    filename: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int]
    chunk_count: Mapped[int]
    embedding_model: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ChunkRow(Table):
    """A passage of a document and its place there ("page 3", "Opening hours")."""

    __tablename__ = "chunks"
    __table_args__ = (Index(None, "document_id", "ordinal"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    place: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)
