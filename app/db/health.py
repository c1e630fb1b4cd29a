"""Whether the database answers."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Database
from app.errors import AppError


def database_status(database: Database) -> tuple[str, str]:
    """``("ready", "SQLite 3.53.4")`` or ``("failed", why)``; never raises."""
    try:
        with database.read() as session:
            version = session.execute(text("SELECT sqlite_version() FROM alembic_version")).scalar_one()
    except AppError as error:
        return "failed", error.message
    except SQLAlchemyError as error:
        return "failed", type(error).__name__
    return "ready", f"SQLite {version}"
