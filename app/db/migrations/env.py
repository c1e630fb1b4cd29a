"""Alembic's environment: runs on the connection that ``app.db.migrate`` hands over, in its transaction."""

from __future__ import annotations

from typing import Any

from alembic import context

from app.db.schema import SHADOW_PREFIXES, metadata


def include_object(_object: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    """Leave out the full-text and vector tables and their shadow tables: SQLite makes those, not our metadata."""
    return not (type_ == "table" and name is not None and name.startswith(SHADOW_PREFIXES))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=include_object,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
