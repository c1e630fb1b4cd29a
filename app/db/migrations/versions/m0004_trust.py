"""The audit chain and recipes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


# As the first migration made it: ALTER TABLE keeps it, a rebuilt table (batch mode) would have lost it.
REFUSES_UPDATE = """CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"""


def upgrade() -> None:
    """Apply."""
    _chain_audit()
    _make_recipes()
    _make_network_rules()


def _chain_audit() -> None:
    for name in ("previous_hash", "hash"):
        op.add_column("audit", sa.Column(name, sa.String(length=64), nullable=False, server_default=""))
    op.execute("DROP TRIGGER audit_refuses_update")
    connection = op.get_bind()
    last = "0" * 64
    for row in connection.execute(sa.text("SELECT * FROM audit ORDER BY id")).mappings().all():
        stored = dict(row) | {"previous_hash": last}
        last = _row_hash(stored)
        connection.execute(
            sa.text("UPDATE audit SET previous_hash = :previous, hash = :hash WHERE id = :id"),
            {"previous": stored["previous_hash"], "hash": last, "id": row["id"]},
        )
    op.execute(REFUSES_UPDATE)


def _make_recipes() -> None:
    op.create_table(
        "recipes",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("origin", sa.String(length=500), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_recipes_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipes")),
        sa.UniqueConstraint(
            "project_id",
            "origin",
            "path",
            "names",
            "version",
            name=op.f("uq_recipes_project_id_origin_path_names_version"),
        ),
    )
    op.create_index(op.f("ix_recipes_project_id"), "recipes", ["project_id"])


def _make_network_rules() -> None:
    op.create_table(
        "network_rules",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("allowed", sa.JSON(), nullable=False),
        sa.Column("denied", sa.JSON(), nullable=False),
        sa.Column("own", sa.JSON(), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_network_rules_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_rules")),
        sa.UniqueConstraint("project_id", name=op.f("uq_network_rules_project_id")),
    )
    op.create_index(op.f("ix_network_rules_project_id"), "network_rules", ["project_id"])


def _row_hash(stored: dict[str, Any]) -> str:
    """As ``app.audit.chain`` had it: a migration keeps doing what it did, whatever becomes of the code."""
    covered = {name: value for name, value in stored.items() if name != "hash" and value is not None}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
