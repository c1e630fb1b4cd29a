"""Tables of memory. Beside them the migrations make ``chunk_texts`` (FTS5), whose row ids are chunk ids; triggers keep
it and ``chunk_vectors`` in step when chunks are removed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table, UtcDateTime
from app.db.scope import ProjectScoped


class AssetRow(ProjectScoped, Table):
    """One uploaded file of a project, known by the SHA-256 of its content, and its way into memory."""

    __tablename__ = "assets"
    __table_args__ = (UniqueConstraint("project_id", "sha256"), Index(None, "status"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    filename: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int]
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    status: Mapped[str] = mapped_column(String(20))
    page_count: Mapped[int] = mapped_column(default=0)
    chunk_count: Mapped[int] = mapped_column(default=0)
    chunks_done: Mapped[int] = mapped_column(default=0)
    chunks_total: Mapped[int] = mapped_column(default=0)
    embedding_model: Mapped[str] = mapped_column(String(200), default="")
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str | None] = mapped_column(String(100), default=None)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ingested_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class ChunkRow(Table):
    """A piece of an asset and its place there ("page 3", "Opening hours").

    The id is the project's number (``MemoryIndexRow``) times 2³² plus a count, so that one project's chunks are a range
    of ids: the full-text index skips to a range at once, while any other condition is looked up for each match.
    """

    __tablename__ = "chunks"
    __table_args__ = (Index(None, "asset_id", "ordinal"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    asset_id: Mapped[str] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    place: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)


class StagedChunkRow(Table):
    """A chunk that is embedded already, of an ingestion that is not finished; nobody finds it yet."""

    __tablename__ = "staged_chunks"

    asset_id: Mapped[str] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)
    embedding: Mapped[bytes] = mapped_column(LargeBinary)


class ChunkVectorRow(Table):
    """A chunk's vector: 384 float32, of length 1, as sqlite-vec reads them."""

    __tablename__ = "chunk_vectors"

    chunk_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    embedding: Mapped[bytes] = mapped_column(LargeBinary)


class VectorBlockRow(Table):
    """The signs of the vectors of consecutive chunks of one asset, 48 bytes each, for a search's first pass."""

    __tablename__ = "vector_blocks"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - a block is known by its id for good (VectorIndex)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    asset_id: Mapped[str] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), index=True)
    first_chunk_id: Mapped[int]
    count: Mapped[int]
    signs: Mapped[bytes] = mapped_column(LargeBinary)


class MemoryIndexRow(Table):
    """One project's place in the indexes: its number, its next chunk, and a count that every change raises."""

    __tablename__ = "memory_indexes"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's form; a number is never given twice

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), unique=True)
    next_chunk: Mapped[int]
    generation: Mapped[int]
