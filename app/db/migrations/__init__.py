"""Alembic migrations, applied at start by ``app.db.migrate``."""
