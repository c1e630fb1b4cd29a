"""Intents, approvals, policies, limits and the stop of actions; media.

Columns are added one by one and the table is never copied: a copy would cascade into the rows that refer to it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Digests cover more than before, so that what waited must be proposed again; what had begun is for a person to settle.
OLD_ROWS = (
    "UPDATE actions SET status = 'unconfirmed' WHERE status = 'running' AND irreversible_at IS NOT NULL",
    """UPDATE actions SET status = 'expired', finished_at = CURRENT_TIMESTAMP || '.000000'
       WHERE status IN ('awaiting_approval', 'approved', 'running')""",
)


def _project(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_project_id_projects"
    return sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "action_limits",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=300), nullable=False),
        sa.Column("account", sa.String(length=150), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_action_limits_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action_limits")),
    )
    op.create_table(
        "action_sites",
        sa.Column("target", sa.String(length=300), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rests", sa.Integer(), nullable=False),
        sa.Column("rest_timer", sa.String(length=80), nullable=True),
        sa.Column("rest_until", sa.DateTime(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("probe_action_id", sa.String(length=40), nullable=True),
        sa.Column("probe_timer", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_action_sites")),
    )
    op.create_table(
        "action_stops",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("stopped_by", sa.String(length=100), nullable=False),
        sa.Column("stopped_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action_stops")),
    )
    op.create_table(
        "action_uses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=300), nullable=False),
        sa.Column("account", sa.String(length=150), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("boot", sa.String(length=40), nullable=False),
        sa.Column("uptime_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action_uses")),
    )
    op.create_index(op.f("ix_action_uses_at"), "action_uses", ["at"], unique=False)
    op.create_table(
        "approval_policies",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("account", sa.String(length=150), nullable=False),
        sa.Column("risk", sa.String(length=20), nullable=False),
        sa.Column("amount_above_minor", sa.Integer(), nullable=True),
        sa.Column("approvers", sa.JSON(), nullable=False),
        sa.Column("people_needed", sa.Integer(), nullable=False),
        sa.Column("is_auto", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_approval_policies_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_policies")),
    )
    op.create_table(
        "media",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("project_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_media_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("project_id", "sha256", name=op.f("uq_media_project_id_sha256")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("approver_id", sa.String(length=100), nullable=False),
        sa.Column("approver", sa.String(length=100), nullable=False),
        sa.Column("policy_id", sa.String(length=40), nullable=True),
        sa.Column("people_needed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.Column("voided_at", sa.DateTime(), nullable=True),
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_id"], ["actions.id"], name=op.f("fk_approvals_action_id_actions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_action_id"), "approvals", ["action_id"], unique=False)
    op.add_column("actions", sa.Column("target", sa.String(length=300), server_default="", nullable=False))
    op.add_column("actions", sa.Column("intent_id", sa.String(length=40), server_default="", nullable=False))
    op.add_column("actions", sa.Column("proposed_by", sa.String(length=100), server_default="", nullable=False))
    op.add_column("actions", sa.Column("is_tainted", sa.Boolean(), server_default="0", nullable=False))
    op.add_column("actions", sa.Column("not_before", sa.DateTime(), nullable=True))
    op.add_column("actions", sa.Column("due_timer", sa.String(length=80), nullable=True))
    op.add_column("actions", sa.Column("fence", sa.Integer(), server_default="0", nullable=False))
    op.add_column("actions", sa.Column("lease", sa.String(length=80), nullable=True))
    op.add_column("actions", sa.Column("deaths", sa.Integer(), server_default="0", nullable=False))
    op.add_column("actions", sa.Column("retries", sa.Integer(), server_default="0", nullable=False))
    op.add_column("actions", sa.Column("retry_timer", sa.String(length=80), nullable=True))
    op.add_column("actions", sa.Column("looks", sa.Integer(), server_default="0", nullable=False))
    op.add_column("actions", sa.Column("look_timer", sa.String(length=80), nullable=True))
    op.add_column("actions", sa.Column("held_reason", sa.String(length=500), server_default="", nullable=False))
    op.add_column("actions", sa.Column("held_until", sa.DateTime(), nullable=True))
    op.create_index(op.f("ix_actions_worker_id"), "actions", ["worker_id"], unique=False)
    for table in ("action_limits", "approval_policies", "media"):
        op.create_index(f"ix_{table}_project_id", table, ["project_id"])
    for statement in OLD_ROWS:
        op.execute(statement)
