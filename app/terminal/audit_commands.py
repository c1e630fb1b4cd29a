"""``herald audit``: checks the audit log without the app, straight on the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.errors import NotFound
from app.settings import load_settings
from app.terminal.connection import EXIT_ERROR, err, out, plain, reported

if TYPE_CHECKING:
    from app.audit.service import AuditService

app = typer.Typer(help="The audit log: is it whole?", no_args_is_help=True)


@contextmanager
def _audit() -> Iterator[AuditService]:
    from app.audit.service import AuditService  # late: only these commands need the database
    from app.db.engine import Database

    settings = load_settings()
    path = settings.home / "herald.db"
    if not path.is_file():
        raise NotFound(f"There is no database {path}.", hint="Start Herald once, or set HERALD_HOME.")
    database = Database(path)
    try:
        yield AuditService(database, settings.audit_anchor)
    finally:
        database.close()


@app.command("verify")
def verify(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False) -> None:
    """Look for altered, removed, inserted or cut-off rows. Exit status 0 when there are none, else 1."""
    with reported(), _audit() as audit:
        verdict = audit.verify()
    if as_json:
        found = [{"row": finding.row_id, "message": finding.message} for finding in verdict.findings]
        out.print_json(json.dumps({"is_sound": verdict.is_sound, "rows": verdict.rows, "findings": found}))
    else:
        for finding in verdict.findings:
            err.print(plain(f"✗ {finding.message}", "red"))
        if verdict.is_sound:
            at = f", the newest is {verdict.head.id} with hash {verdict.head.hash}" if verdict.head else ""
            out.print(plain(f"✓ {verdict.rows} rows, none altered, removed, inserted or cut off{at}."))
            for place, head in verdict.anchors.items():
                out.print(plain(f"  anchored up to row {head.id} in {place}", "dim"))
    if not verdict.is_sound:
        raise typer.Exit(EXIT_ERROR)


@app.command("anchor")
def anchor(
    accept: Annotated[
        bool, typer.Option("--accept", help="Anchor the log as it stands, such as after a backup was put back.")
    ] = False,
) -> None:
    """Write down the log's head now and print it, to be kept elsewhere."""
    with reported(), _audit() as audit:
        head = audit.anchor(accept=accept, actor="cli")
        out.print(plain(f"{head.id} {head.hash}" if head else "The log is empty."))
