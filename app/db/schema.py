"""All tables at one place, for migrations. Imported by the migrations alone: domains import their own tables."""

from __future__ import annotations

import app.accounts.tables
import app.actions.tables
import app.analytics.tables
import app.audit.tables
import app.auth.tables
import app.conversations.tables
import app.generation.tables
import app.media.tables
import app.memory.tables
import app.network.tables
import app.projects.tables
import app.recipes.tables  # noqa: F401 - imported for the metadata
from app.db.engine import Table

metadata = Table.metadata
SHADOW_PREFIXES = ("chunk_texts", "message_texts")
