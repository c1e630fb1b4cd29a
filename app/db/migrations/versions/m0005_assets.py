"""Assets and their passages. What was in memory goes on as assets that wait to be taken in again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = (
    """CREATE VIRTUAL TABLE chunk_texts USING fts5(
         text, content='chunks', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER chunks_index AFTER INSERT ON chunks
       BEGIN INSERT INTO chunk_texts (rowid, text) VALUES (NEW.id, NEW.text); END""",
    """CREATE TRIGGER chunks_unindex AFTER DELETE ON chunks
       BEGIN
         INSERT INTO chunk_texts (chunk_texts, rowid, text) VALUES ('delete', OLD.id, OLD.text);
         DELETE FROM chunk_vectors WHERE chunk_id = OLD.id;
       END""",
    """CREATE TRIGGER chunks_refuse_update BEFORE UPDATE ON chunks
       BEGIN SELECT RAISE(ABORT, 'chunks are replaced, not changed'); END""",
    """CREATE TRIGGER vector_blocks_added AFTER INSERT ON vector_blocks
       BEGIN UPDATE memory_indexes SET generation = generation + 1 WHERE project_id = NEW.project_id; END""",
    """CREATE TRIGGER vector_blocks_removed AFTER DELETE ON vector_blocks
       BEGIN UPDATE memory_indexes SET generation = generation + 1 WHERE project_id = OLD.project_id; END""",
)


def upgrade() -> None:
    """Apply."""
    for trigger in ("chunks_index", "chunks_unindex", "chunks_refuse_update"):
        op.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for table in ("chunk_texts", "chunk_vectors", "chunks"):
        op.execute(f"DROP TABLE {table}")
    _make_assets()
    _make_chunks()
    _make_vectors()
    for statement in INDEXES:
        op.execute(statement)
    op.execute(
        """INSERT INTO assets (id, project_id, filename, sha256, media_type, size_bytes, tags, status, page_count,
             chunk_count, chunks_done, chunks_total, embedding_model, attempts, created_at)
           SELECT id, project_id, filename, sha256, media_type, size_bytes, '[]', 'uploaded', 0, 0, 0, 0, '', 0,
             created_at
           FROM documents"""
    )
    op.drop_table("documents")


def _make_assets() -> None:
    op.create_table(
        "assets",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("page_count", sa.Integer(), nullable=False),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("chunks_done", sa.Integer(), nullable=False),
        sa.Column("chunks_total", sa.Integer(), nullable=False),
        sa.Column("embedding_model", sa.String(200), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(100), nullable=True),
        sa.Column("claimed_until", sa.DateTime(), nullable=True),
        sa.Column("retry_at", sa.DateTime(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ingested_at", sa.DateTime(), nullable=True),
        _reference("assets", "project_id", "projects"),
        sa.PrimaryKeyConstraint("id", name="pk_assets"),
        sa.UniqueConstraint("project_id", "sha256", name="uq_assets_project_id_sha256"),
    )
    for column in ("project_id", "status", "sha256"):
        op.create_index(f"ix_assets_{column}", "assets", [column])


def _make_chunks() -> None:
    op.create_table(
        "chunks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _reference("chunks", "asset_id", "assets"),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chunks"),
    )
    op.create_index("ix_chunks_asset_id_ordinal", "chunks", ["asset_id", "ordinal"])
    op.create_table(
        "staged_chunks",
        _reference("staged_chunks", "asset_id", "assets"),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "ordinal", name="pk_staged_chunks"),
    )


def _make_vectors() -> None:
    op.create_table(
        "chunk_vectors",
        sa.Column("chunk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name="pk_chunk_vectors"),
    )
    op.create_table(
        "vector_blocks",
        sa.Column("id", sa.Integer(), nullable=False),
        _reference("vector_blocks", "project_id", "projects"),
        _reference("vector_blocks", "asset_id", "assets"),
        sa.Column("first_chunk_id", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("signs", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vector_blocks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_vector_blocks_project_id", "vector_blocks", ["project_id"])
    op.create_index("ix_vector_blocks_asset_id", "vector_blocks", ["asset_id"])
    op.create_table(
        "memory_indexes",
        sa.Column("number", sa.Integer(), nullable=False),
        _reference("memory_indexes", "project_id", "projects"),
        sa.Column("next_chunk", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_memory_indexes"),
        sa.UniqueConstraint("project_id", name="uq_memory_indexes_project_id"),
        sqlite_autoincrement=True,
    )


def _reference(table: str, column: str, to: str) -> sa.Column[str]:
    key = sa.ForeignKey(f"{to}.id", name=f"fk_{table}_{column}_{to}", ondelete="CASCADE")
    return sa.Column(column, sa.String(40), key, nullable=False)
