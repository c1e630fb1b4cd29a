"""What was looked up for a message."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("messages", sa.Column("lookups", sa.JSON(), nullable=False, server_default="[]"))
