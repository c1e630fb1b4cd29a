"""Whoever changes the audit log behind the application's back is found out."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.audit import anchor
from app.audit.chain import Head
from app.audit.service import ANCHOR_FILE, AuditService, Verdict
from app.cli import app as cli
from app.db.engine import Database
from app.errors import Conflict
from app.services import Services, build_services
from app.settings import Settings

ROWS = 6
TRIGGERS = ("audit_refuses_update", "audit_refuses_delete", "audit_refuses_replace")
CHANGES = {
    "at": "'2020-01-01 00:00:00.000000'",
    "actor": "'someone else'",
    "event": "'action.rejected'",
    "action_id": "NULL",
    "detail": """'{"n": 99}'""",
    "previous_hash": "hash",
    "hash": "'" + "f" * 64 + "'",
}


@pytest.fixture
def log(services: Services) -> Services:
    """A log of six rows with its triggers gone, as for somebody who may write the file."""
    for number in range(1, ROWS + 1):
        with services.database.write() as session:
            services.audit.record(session, "action.approved", actor="ann", action_id="act_1", detail={"n": number})
    with services.database.write() as session:
        for trigger in TRIGGERS:
            session.execute(text(f"DROP TRIGGER {trigger}"))
    return services


def _after(log: Services, *statements: str) -> Verdict:
    with log.database.write() as session:
        for statement in statements:
            session.execute(text(statement))
    return log.audit.verify()


def _rows(verdict: Verdict) -> set[int | None]:
    return {finding.row_id for finding in verdict.findings}


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("row_id", [1, 3, ROWS])
def test_an_altered_column_is_found(log: Services, column: str, row_id: int) -> None:
    """In the first row, in the middle and in the newest, and the finding names the row."""
    verdict = _after(log, f"UPDATE audit SET {column} = {CHANGES[column]} WHERE id = {row_id}")
    assert not verdict.is_sound
    assert _rows(verdict) <= {row_id, row_id + 1}


def test_every_column_is_covered(log: Services) -> None:
    """A column that is added to the table must be added to this test, or be NULL here."""
    with log.database.read() as session:
        row = dict(session.execute(text("SELECT * FROM audit WHERE id = 1")).mappings().one())
    assert {name for name, value in row.items() if value is not None} - {"id"} == set(CHANGES)


@pytest.mark.parametrize(
    ("statements", "rows"),
    [
        (["DELETE FROM audit WHERE id = 3"], {4}),
        (["DELETE FROM audit WHERE id IN (3, 4)"], {5}),
        (["DELETE FROM audit WHERE id = 1"], {2}),
        ([f"DELETE FROM audit WHERE id = {ROWS}"], {ROWS}),
        (["DELETE FROM audit WHERE id > 2"], {ROWS}),
        (["DELETE FROM audit"], {ROWS}),
        (["UPDATE audit SET id = 100 WHERE id = 3"], {4, 100}),
        (
            [
                "UPDATE audit SET id = -1 WHERE id = 2",
                "UPDATE audit SET id = 2 WHERE id = 3",
                "UPDATE audit SET id = 3 WHERE id = -1",
            ],
            {2, 3, 4},
        ),
    ],
)
def test_removed_and_swapped_rows_are_found(log: Services, statements: list[str], rows: set[int | None]) -> None:
    """The finding names the row where the chain breaks, or the anchored row that is gone."""
    verdict = _after(log, *statements)
    assert not verdict.is_sound
    assert rows <= _rows(verdict)


def test_an_inserted_row_is_found(log: Services) -> None:
    """Also at the end, where only its own hash speaks against it."""
    with log.database.read() as session:
        names = [row[1] for row in session.execute(text("PRAGMA table_info(audit)"))]
    values = ", ".join({"id": "7", "previous_hash": "hash"}.get(name, name) for name in names)
    verdict = _after(log, f"INSERT INTO audit SELECT {values} FROM audit WHERE id = 6")
    assert _rows(verdict) == {7}


def test_a_chain_that_was_made_anew_does_not_fit_its_anchor(log: Services) -> None:
    """Whoever can take hashes can rewrite the table, but not what stands outside it."""
    with log.database.write() as session:
        session.execute(text("DELETE FROM audit"))
        for _ in range(ROWS + 2):
            log.audit.record(session, "action.approved", actor="eve")
    verdict = log.audit.verify()
    assert [finding.row_id for finding in verdict.findings] == [ROWS]
    assert "not the one that was anchored" in verdict.findings[0].message


def test_an_older_copy_of_the_database_is_found_even_after_it_went_on(log: Services, tmp_path: Path) -> None:
    """The anchor is not moved over a log that lacks the row that it names."""
    home = log.settings.home
    with log.database.read() as session:
        session.execute(text("SELECT 1"))
        with sqlite3.connect(home / "herald.db") as source, sqlite3.connect(tmp_path / "copy.db") as copy:
            source.backup(copy)
        copy.close()
        source.close()
    for _ in range(3):
        with log.database.write() as session:
            log.audit.record(session, "action.approved", actor="ann")
    anchored = anchor.read(home / ANCHOR_FILE)
    assert anchored is not None
    assert anchored.id == ROWS + 3
    log.database.close()
    for name in ("herald.db-wal", "herald.db-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "copy.db", home / "herald.db")
    older = Database(home / "herald.db")
    audit = AuditService(older)
    assert [f.row_id for f in audit.verify().findings] == [ROWS + 3]
    for _ in range(5):  # past the anchored row
        with older.write() as session:
            audit.record(session, "action.approved", actor="ann")
    assert anchor.read(home / ANCHOR_FILE) == anchored
    assert [f.row_id for f in audit.verify().findings] == [ROWS + 3]
    with pytest.raises(Conflict, match="no longer has row"):
        audit.anchor()
    audit.anchor(accept=True)
    assert audit.verify().is_sound
    assert audit.entries()[0].event == "audit.reanchored"
    older.close()


def test_a_damaged_or_missing_anchor_is_a_finding(log: Services) -> None:
    """Silence would let a cut-off log pass."""
    path = log.settings.home / ANCHOR_FILE
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"id": 6', b'"id": 5'))
    assert "check sum" in log.audit.verify().findings[0].message
    path.write_bytes(content[:100])
    assert not log.audit.verify().is_sound
    path.unlink()
    assert "nothing anchors it" in log.audit.verify().findings[0].message
    path.write_bytes(content)
    assert log.audit.verify().is_sound


def test_rows_that_a_crash_left_unanchored_are_anchored_at_the_next_start(services: Services) -> None:
    """The anchor is behind the log then, which is sound."""
    paths, services.audit.anchor_paths = services.audit.anchor_paths, ()
    with services.database.write() as session:  # a process that dies after its commit
        services.audit.record(session, "e", actor="t")
    services.audit.anchor_paths = paths
    again = build_services(services.settings, wake=lambda _id: None)
    assert again.audit.verify().is_sound
    assert anchor.read(paths[0]) == again.audit.verify().head
    again.close()


def test_an_anchor_that_cannot_be_written_fails_nothing(settings: Settings, tmp_path: Path) -> None:
    """What was committed stays; the next commit tries again."""
    second = tmp_path / "other-disk" / "anchor"
    services = build_services(settings.model_copy(update={"audit_anchor": second}), wake=lambda _id: None)
    second.parent.mkdir()
    second.mkdir()  # a folder where the file should be
    with services.database.write() as session:
        services.audit.record(session, "e", actor="t")
    second.rmdir()
    with services.database.write() as session:
        services.audit.record(session, "e", actor="t")
    head = services.audit.verify().head
    assert head is not None
    assert anchor.read(second) == anchor.read(settings.home / ANCHOR_FILE) == head == Head(2, head.hash)
    services.close()


def test_a_rolled_back_row_is_not_anchored(services: Services) -> None:
    """The anchor never names a row that is not there."""

    def fail() -> None:
        with services.database.write() as session:
            services.audit.record(session, "e", actor="t")
            raise RuntimeError("the cause failed")

    with pytest.raises(RuntimeError):
        fail()
    assert anchor.read(services.settings.home / ANCHOR_FILE) is None
    assert services.audit.verify().is_sound


def test_the_command_says_which_row_and_ends_with_1(log: Services) -> None:
    """And with 0 when all is well."""
    runner = CliRunner()
    sound = runner.invoke(cli, ["audit", "verify"])
    assert sound.exit_code == 0, sound.output
    assert f"{ROWS} rows" in sound.output
    assert runner.invoke(cli, ["audit", "anchor"]).output.startswith(f"{ROWS} ")
    _after(log, "UPDATE audit SET actor = 'x' WHERE id = 4")
    broken = runner.invoke(cli, ["audit", "verify"])
    assert broken.exit_code == 1
    assert "Row 4 was altered" in broken.output
    as_json = runner.invoke(cli, ["audit", "verify", "--json"])
    assert '"row": 4' in as_json.output
