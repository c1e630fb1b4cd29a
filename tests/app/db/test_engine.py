"""The database as it is opened, and its errors."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

from app import clock
from app.audit.tables import AuditRow
from app.db import engine as engine_module
from app.db.engine import Database, DatabaseBusy, DatabaseUnusable, StorageFull
from app.db.health import database_status
from app.db.migrate import migrate
from app.services import Services


def pragma(database: Database, name: str) -> object:
    with database.read() as session:
        return session.execute(text(f"PRAGMA {name}")).scalar_one()


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could corrupt the file."""
    monkeypatch.setattr(sqlite, "sqlite_version_info", (3, 40, 1))
    with pytest.raises(DatabaseUnusable, match=r"at least 3\.51\.3"):
        Database(tmp_path / "a.db")


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    """And it is left as it is."""
    path = tmp_path / "herald.db"
    path.write_text("this is not a database, but somebody's diary" * 50)
    with pytest.raises(DatabaseUnusable, match="not a database"):
        migrate(Database(path))
    assert path.read_text().startswith("this is not a database")


def test_a_home_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "home").write_text("")
    with pytest.raises(DatabaseUnusable, match="cannot be made"):
        Database(tmp_path / "home" / "herald.db")


def test_a_full_disk_is_a_clear_error_and_nothing_is_half_written(services: Services) -> None:
    """The same request works once there is room."""
    with services.database.read() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar_one()

    def fill() -> None:
        with services.database.write() as session:
            session.execute(text(f"PRAGMA max_page_count = {pages}"))
            for number in range(1_000):
                services.audit.record(session, "big", actor="t", detail={"n": number, "filler": "x" * 2_000})

    with pytest.raises(StorageFull) as refusal:
        fill()
    assert "HERALD_HOME" in refusal.value.hint
    services.database.engine.dispose()  # the limit was that connection's
    assert services.audit.entries() == []
    with services.database.write() as session:
        services.audit.record(session, "small", actor="t")
    assert len(services.audit.entries()) == 1


def test_a_lock_held_too_long_is_a_clear_error(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a stack trace."""
    services.database.engine.dispose()
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", 50)
    blocker = sqlite.connect(str(services.database.path))
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy), services.database.write():
        pass
    blocker.close()


def test_foreign_keys_hold(services: Services) -> None:
    """A message without a conversation is refused."""
    with pytest.raises(IntegrityError), services.database.write() as session:
        session.execute(
            text(
                "INSERT INTO messages (id, conversation_id, role, content, sources, created_at)"
                " VALUES ('m', 'none', 'user', 'x', '[]', '2026-01-01')"
            )
        )


def test_a_naive_time_is_refused(services: Services) -> None:
    """Nobody knows which moment it means."""
    with pytest.raises(StatementError, match="UTC-aware"), services.database.write() as session:
        session.add(AuditRow(at=datetime(2026, 1, 1), actor="t", event="e", detail={}, previous_hash="", hash=""))  # noqa: DTZ001


def test_connections_are_set_up_for_durability(services: Services) -> None:
    """WAL, a full sync at every commit, foreign keys, the vector extension."""
    assert pragma(services.database, "journal_mode") == "wal"
    assert pragma(services.database, "synchronous") == 2
    assert pragma(services.database, "foreign_keys") == 1
    with services.database.read() as session:
        assert session.execute(text("SELECT vec_version()")).scalar_one().startswith("v")
        with pytest.raises(Exception, match="not authorized"):
            session.execute(text("SELECT load_extension('/tmp/evil.so')"))


def test_times_come_back_as_the_same_moment(services: Services) -> None:
    """In UTC, whatever zone they were given in."""
    from zoneinfo import ZoneInfo

    moment = datetime(2026, 3, 29, 3, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    with services.database.write() as session:
        session.add(AuditRow(at=moment, actor="t", event="e", detail={}, previous_hash="", hash=""))
    entry = services.audit.entries()[0]
    assert entry.at == moment
    assert entry.at.tzinfo is UTC
    assert clock.to_iso(moment) == "2026-03-29T01:30:00.000000Z"
    assert clock.now() - datetime.now(UTC) < timedelta(seconds=1)


def test_writers_take_turns_without_losing_anything(services: Services) -> None:
    """Eight threads read and write the same row: every increment counts."""
    with services.database.write() as session:
        session.execute(text("CREATE TABLE counter (n INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))

    def work() -> None:
        for _ in range(25):
            with services.database.write() as session:
                n = session.execute(text("SELECT n FROM counter")).scalar_one()
                session.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with services.database.read() as session:
        assert session.execute(text("SELECT n FROM counter")).scalar_one() == 200


def test_a_read_changes_nothing(services: Services) -> None:
    """What is written in it is thrown away."""
    with services.database.read() as session:
        services.audit.record(session, "e", actor="t")
    assert services.audit.entries() == []


def test_health_says_ready_or_why_not(services: Services, tmp_path: Path) -> None:
    """And never raises."""
    assert database_status(services.database)[0] == "ready"
    empty = Database(tmp_path / "other" / "herald.db")
    assert database_status(empty)[0] == "failed"
    empty.close()


def test_the_bundled_sqlite_is_used() -> None:
    """Not the interpreter's own."""
    assert sqlite.sqlite_version_info >= (3, 51, 3)
    assert sqlite is not sqlite3
