"""Migrations: complete, repeatable, safe when several processes start at once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from app.db.engine import Database, DatabaseUnusable
from app.db.migrate import MIGRATIONS, migrate
from app.db.schema import SHADOW_PREFIXES, metadata


def _migrate(path: Path) -> str:
    database = Database(path)
    migrate(database)
    with database.read() as session:
        return str(session.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_a_database_of_a_newer_herald_is_refused(tmp_path: Path) -> None:
    """Rather than damaged."""
    database = Database(tmp_path / "herald.db")
    migrate(database)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnusable, match="newer Herald"):
        migrate(database)
    database.close()


def test_a_failing_migration_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one transaction: the next start begins anew."""
    database = Database(tmp_path / "herald.db")
    with database.write() as session:
        session.execute(text("CREATE TABLE messages (in_the_way INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        migrate(database)
    with database.write() as session:
        tables = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        assert set(tables) <= {"messages", "alembic_version"}
        session.execute(text("DROP TABLE messages"))
    migrate(database)
    migrate(database)
    database.close()


def test_six_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """One migrates, the others wait for it."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(6) as pool:
        versions = pool.map(_migrate, [tmp_path / "home" / "herald.db"] * 6)
    assert len(set(versions)) == 1


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    """Autogeneration finds nothing to do."""
    database = Database(tmp_path / "herald.db")
    migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_object": lambda _o, name, kind, _r, _c: (
                    not (kind == "table" and str(name).startswith(SHADOW_PREFIXES))
                ),
                "compare_type": True,
            },
        )
        assert compare_metadata(context, metadata) == []
    database.close()


def test_the_migrations_are_part_of_the_package() -> None:
    """They are found beside the code, wherever it is installed."""
    assert (MIGRATIONS / "env.py").is_file()
    assert list((MIGRATIONS / "versions").glob("m0*.py"))
