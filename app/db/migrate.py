"""Bringing the database up to date at start, safely when several processes start at once."""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from app.db.engine import Database, DatabaseUnusable, translated_errors

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
_thread_lock = threading.Lock()  # alembic keeps its context in a module; flock alone does not part two threads


def migrate(database: Database) -> None:
    """Apply the migrations that are missing, all in one transaction.

    Raises: DatabaseUnusable when a newer Herald made the database; StorageFull, DatabaseBusy.
    """
    with _one_at_a_time(database.path), translated_errors():
        script = ScriptDirectory(str(MIGRATIONS))
        with database.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            connection.rollback()
        if current == script.get_current_head():
            return
        if current is not None and current not in {r.revision for r in script.walk_revisions()}:
            raise DatabaseUnusable(
                f"The database {database.path} was made by a newer Herald (its version {current} is unknown here).",
                hint="Update Herald, or set HERALD_HOME to another folder.",
            )
        log.info("migrating %s from %s to %s", database.path, current or "nothing", script.get_current_head())
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with _without_foreign_keys(database) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def _without_foreign_keys(database: Database) -> Iterator[Connection]:
    """One transaction in which a table can be made anew: dropping the old one must not cascade into its children.

    Every reference is checked before the commit. Source: sqlite.org/lang_altertable.html, "Making other kinds of
    table schema changes".
    """
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = OFF")  # has no effect within a transaction
        try:
            with connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    raise DatabaseUnusable(
                        f"The migration would leave {len(broken)} references that lead nowhere, "
                        f"the first in the table {broken[0][0]}.",
                        hint="Nothing was changed. Restore herald.db from a backup, or report this.",
                    )
        finally:
            driver.execute("PRAGMA foreign_keys = ON")


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    lock_path = path.with_name("run") / f"{path.stem}.migrate.lock"
    try:
        lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_path.open("w")
    except OSError as error:
        raise DatabaseUnusable(
            f"The data folder {path.parent} cannot be written: {error.strerror or error}.",
            hint="Set HERALD_HOME to a folder that you may write.",
        ) from error
    with _thread_lock, lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
