"""Briefs with their variants, voices, the model's calls, and a full-text index of what was said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Trigrams find any part of a word in any script, as the search of conversations always did.
MESSAGE_INDEX = (
    """CREATE VIRTUAL TABLE message_texts USING fts5(
         content, content='messages', content_rowid='position', tokenize='trigram remove_diacritics 1')""",
    """CREATE TRIGGER messages_index AFTER INSERT ON messages
       BEGIN INSERT INTO message_texts (rowid, content) VALUES (NEW.position, NEW.content); END""",
    """CREATE TRIGGER messages_unindex AFTER DELETE ON messages
       BEGIN
         INSERT INTO message_texts (message_texts, rowid, content) VALUES ('delete', OLD.position, OLD.content);
       END""",
    """CREATE TRIGGER messages_reindex AFTER UPDATE OF content ON messages
       BEGIN
         INSERT INTO message_texts (message_texts, rowid, content) VALUES ('delete', OLD.position, OLD.content);
         INSERT INTO message_texts (rowid, content) VALUES (NEW.position, NEW.content);
       END""",
    "INSERT INTO message_texts (message_texts) VALUES ('rebuild')",
)


def upgrade() -> None:
    """Apply."""
    _make_generation()
    _make_calls()
    for statement in MESSAGE_INDEX:
        op.execute(statement)


def _make_generation() -> None:
    op.create_table(
        "voices",
        sa.Column("id", sa.String(40), nullable=False),
        *_project("voices"),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("banned_words", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_voices"),
        sa.UniqueConstraint("project_id", name="uq_voices_project_id"),
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.String(40), nullable=False),
        *_project("generations"),
        sa.Column("brief", sa.Text(), nullable=False),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generations"),
    )
    op.create_index("ix_generations_created_at", "generations", ["created_at"])
    op.create_table(
        "variants",
        sa.Column("id", sa.String(40), nullable=False),
        *_project("variants"),
        *_reference("variants", "generation_id", "generations"),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action_id", sa.String(40), nullable=True),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_variants"),
    )
    op.create_index("ix_variants_generation_id", "variants", ["generation_id"])
    op.create_table(
        "variant_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        *_project("variant_versions"),
        *_reference("variant_versions", "variant_id", "variants"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(20), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_variant_versions"),
    )
    op.create_index("ix_variant_versions_variant_id_number", "variant_versions", ["variant_id", "number"], unique=True)
    for table in ("voices", "generations", "variants", "variant_versions"):
        op.create_index(f"ix_{table}_project_id", table, ["project_id"])


def _make_calls() -> None:
    op.create_table(
        "model_calls",
        sa.Column("id", sa.Integer(), nullable=False),
        *_project("model_calls"),
        sa.Column("request_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("prompt", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(60), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_calls"),
    )
    op.create_index("ix_model_calls_project_id", "model_calls", ["project_id"])
    op.create_index("ix_model_calls_project_id_created_at", "model_calls", ["project_id", "created_at"])


def _project(table: str) -> tuple[SchemaItem, ...]:
    return _reference(table, "project_id", "projects")


def _reference(table: str, column: str, other: str) -> tuple[SchemaItem, ...]:
    return (
        sa.Column(column, sa.String(40), nullable=False),
        sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}", ondelete="CASCADE"),
    )
