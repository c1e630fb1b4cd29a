"""SQLite as Herald uses it: the bundled library of pysqlite3, WAL, one writer at a time, sqlite-vec loaded."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pysqlite3.dbapi2 as sqlite
import sqlite_vec
from sqlalchemy import DateTime, Dialect, Engine, MetaData, create_engine, event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from app.db.scope import ScopedSession, info_for
from app.errors import AppError, Unavailable

OLDEST_SQLITE = (3, 51, 3)  # older ones can corrupt the file when the WAL is reset
BUSY_TIMEOUT_MS = 10_000
MAPPED_BYTES = 8 << 30  # read where the system's cache has it: a search of memory reads hundreds of scattered pages
_AFTER_COMMIT = "after_commit"


class DatabaseUnusable(AppError):
    """The database cannot be opened at all."""

    code = "database_unusable"


class StorageFull(Unavailable):
    """Nothing more can be written to the disk."""

    code = "storage_full"


class DatabaseBusy(Unavailable):
    """Another process held the write lock for too long."""

    code = "database_busy"


class Table(DeclarativeBase):
    """Base of every table; constraints have stable names, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: UTC-aware in Python, naive UTC in the database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody knows which moment they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must be UTC-aware")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time its zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


class Database:
    """One SQLite file. Thread-safe; every thread gets its own connection.

    Raises: DatabaseUnusable when SQLite is too old or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if sqlite.sqlite_version_info < OLDEST_SQLITE:
            raise DatabaseUnusable(
                f"SQLite {sqlite.sqlite_version} is too old; at least {'.'.join(map(str, OLDEST_SQLITE))} is needed.",
                hint="Run ./scripts/up again: it installs pysqlite3, which bundles a newer one.",
            )
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnusable(
                f"The data folder {path.parent} cannot be made: {error.strerror or error}.",
                hint="Set HERALD_HOME to a folder that you may write.",
            ) from error
        self.engine = _engine_for(path)
        self.project_id: str | None = None
        self._read = self._sessions("DEFERRED")
        self._write = self._sessions("IMMEDIATE")

    def _sessions(self, begin: str) -> sessionmaker[ScopedSession]:
        engine = self.engine.execution_options(herald_begin=begin)
        return sessionmaker(engine, class_=ScopedSession, expire_on_commit=False)

    def scoped(self, project_id: str) -> Self:
        """The same file, seen from one project: every session is limited to its rows (see ``app.db.scope``)."""
        view = copy.copy(self)
        view.project_id = project_id
        return view

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent snapshot. What is changed in it is thrown away."""
        with translated_errors(), self._read(info=info_for(self.project_id)) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that holds the write lock from its start, so that what it reads stays true until it commits.

        Keep it short: no model, browser or network call inside.

        Raises: StorageFull, DatabaseBusy.
        """
        with translated_errors(), self._write(info=info_for(self.project_id)) as session:
            with session.begin():
                session.connection()  # takes the lock now, not at the first statement
                yield session
            for call in session.info.pop(_AFTER_COMMIT, {}).values():
                call()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def after_commit(session: Session, name: str, call: Callable[[], None]) -> None:
    """Have ``call`` run once the session's ``write`` has committed; never when it is rolled back.

    A later call of the same name replaces the earlier one. It must not raise: what was written is committed.
    """
    session.info.setdefault(_AFTER_COMMIT, {})[name] = call


def _engine_for(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        module=sqlite,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
        pool_size=8,
        max_overflow=32,
        json_serializer=lambda value: json.dumps(value, ensure_ascii=False),
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling is off: it begins late and commits around DDL. _begin says BEGIN itself.
    connection.isolation_level = None
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"mmap_size = {MAPPED_BYTES}",
        "recursive_triggers = ON",  # or INSERT OR REPLACE would delete past an append-only trigger
        "trusted_schema = ON",  # triggers keep the full-text index in step
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("herald_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def translated_errors() -> Iterator[None]:
    """SQLite's errors that a user can do something about, as errors that say what."""
    try:
        yield
    except DatabaseError as error:
        text = str(error.orig)
        if "disk is full" in text or "disk I/O error" in text:
            raise StorageFull(
                f"Nothing could be saved: {text}.",
                hint="Free some space on the disk that holds HERALD_HOME, then try again.",
            ) from error
        if "locked" in text or "busy" in text:
            raise DatabaseBusy(
                f"The database was busy for more than {BUSY_TIMEOUT_MS // 1000} s.",
                hint="Try again; if it stays so, another program holds herald.db open.",
            ) from error
        if "readonly" in text or "unable to open" in text or "malformed" in text or "not a database" in text:
            raise DatabaseUnusable(
                f"The database cannot be used: {text}.",
                hint="Check the rights of the data folder; restore herald.db from a backup if it is damaged.",
            ) from error
        raise
