"""The text that the model wrote for a proposed post: what its approval teaches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("messages", sa.Column("drafted", sa.Text(), nullable=False, server_default=""))
