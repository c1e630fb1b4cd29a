"""Brings the database to the newest form, through the product's own migrations."""

from __future__ import annotations

from pathlib import Path

from scripts.setup.box import Box
from scripts.setup.settings_seen import dotenv_text, environment_settings
from scripts.setup.state import fingerprint

# Run in the environment; prints where the database lies.
_MIGRATE = """
import sys
from app.db.engine import Database
from app.db.migrate import migrate
from app.errors import AppError
from app.settings import load_settings
try:
    settings = load_settings()
    home = settings.home
    settings.api_key_text()  # so that a program can read its key before anybody has used one
    database = Database(home / "herald.db")
    migrate(database)
    database.close()
except AppError as error:
    sys.exit(f"{error.message} {error.hint}")
print(home / "herald.db")
"""


def migrate_database(box: Box) -> None:
    """Create or migrate the database and make the key for programs; nothing to do when both are there and fit."""
    migrations = sorted(path.name for path in (box.root / "app" / "db" / "migrations" / "versions").glob("*.py"))
    inputs = fingerprint(_MIGRATE, migrations, environment_settings(), dotenv_text(box.root))
    kept = box.state.note("database", "path")
    if box.state.is_done("database", inputs) and kept and Path(kept).exists():
        return
    box.progress.begin("Preparing the database")
    box.log("database").unlink(missing_ok=True)
    log = box.call(box.python, "-c", _MIGRATE, log_name="database", what="The database could not be prepared")
    path = log.read_text("utf-8").strip().splitlines()[-1]
    box.state.finish("database", inputs, path=path)
    box.progress.done(f"Database at {path}")
