"""Migrations: complete, repeatable, safe when several processes start at once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

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


def test_what_there_was_before_projects_belongs_to_the_default_one(tmp_path: Path) -> None:
    """Tables are made anew on the way; children, logins and the log survive it, and references still hold."""
    database = Database(tmp_path / "herald.db")
    _upgrade_to(database, "0001")
    at = "'2026-01-01 00:00:00'"
    with database.write() as session:
        for statement in (
            f"INSERT INTO conversations VALUES ('conv_1', 'Hi', {at}, {at})",
            f"INSERT INTO messages VALUES (1, 'msg_1', 'conv_1', 'user', 'Hi', '[]', 0, NULL, {at})",
            f"INSERT INTO documents VALUES ('doc_1', 'a.txt', 'aa', 'text/plain', 1, 1, 'm', {at})",
            "INSERT INTO chunks VALUES (1, 'doc_1', 0, '', 'The shop opens at nine.')",
            f"INSERT INTO audit VALUES (1, {at}, 'herald', 'auth.link_created', NULL, '{{}}')",
            f"INSERT INTO audit VALUES (2, {at}, 'owner', 'memory.added', NULL, '{{}}')",
            f"INSERT INTO browser_sessions VALUES ('hash', {at}, {at})",
        ):
            session.execute(text(statement))
    migrate(database)
    with database.read() as session:
        for table in ("conversations", "messages", "assets"):
            assert session.execute(text(f"SELECT project_id FROM {table}")).scalars().all() == ["prj_default"]
        assert session.execute(text("SELECT id, status FROM assets")).all() == [("doc_1", "uploaded")]
        assert session.execute(text("SELECT project_id FROM audit ORDER BY id")).scalars().all() == [
            None,
            "prj_default",
        ]
        assert session.execute(text("SELECT user_id FROM login_sessions")).scalars().all() == ["usr_owner"]
        assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    with database.write() as session:
        session.execute(text("DELETE FROM projects"))
        for table in ("conversations", "messages", "assets", "chunks", "memberships"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    with pytest.raises(DatabaseError, match="append-only"), database.write() as session:
        session.execute(text("UPDATE audit SET actor = 'x'"))
    database.close()


def _upgrade_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_the_migrations_are_part_of_the_package() -> None:
    """They are found beside the code, wherever it is installed."""
    assert (MIGRATIONS / "env.py").is_file()
    assert list((MIGRATIONS / "versions").glob("m0*.py"))
