"""Running what was approved: claims, progress, outcomes, heartbeats and the recovery of what a dead worker left.

The worker calls these; nothing here decides what may run.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.actions import proposals, repository
from app.actions.records import Action, Claim, Status, WorkerState
from app.actions.rules import MAX_ATTEMPTS, digest_of, is_worker_dead
from app.actions.service import expire_overdue
from app.actions.tables import ActionRow, WorkerRow
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import Conflict, InvalidInput
from automation.actions.base import ActionResult

log = structlog.get_logger(__name__)

PROGRESS_MAX_CHARS = 300
FORGET_WORKERS_AFTER = timedelta(days=7)


class ClaimLost(Conflict):
    """The worker no longer holds the action: it was recovered while the worker seemed dead. It must stop at once."""

    code = "claim_lost"


class ExecutionService:
    """The life of an action from approval to its outcome.

    Args:
        evidence_dir: the folder that holds one folder of evidence an action.
    """

    def __init__(self, database: Database, audit: AuditService, evidence_dir: Path) -> None:
        self._database = database
        self._audit = audit
        self._evidence_dir = evidence_dir

    def claim(self, action_id: str, worker_id: str) -> Claim | None:
        """Take an approved action (approved → running). None when it is not there to be taken.

        The digest is taken again over the stored bytes; an action that does not match it, is past its expiry or is no
        longer valid fails here and never runs.
        """
        with self._database.write() as session:
            row = repository.by_id(session, action_id)
            if row is None or row.status != Status.APPROVED:
                return None
            refusal = _refusal_to_run(row)
            if refusal is not None:
                self._settle(session, row, Status.FAILED, worker_id, error=refusal)
                return None
            row.status = Status.RUNNING.value
            row.worker_id = worker_id
            row.attempts += 1
            row.started_at = clock.now()
            row.progress = "Starting"
            detail = {"digest": row.digest, "attempt": row.attempts}
            self._audit.record(session, "action.started", actor=worker_id, action_id=row.id, detail=detail)
            return Claim(
                action_id=row.id,
                worker_id=worker_id,
                attempt=row.attempts,
                type=row.type,
                params=proposals.stored_params(row.type, row.params_json),
                account=proposals.account_of(row),
                conversation_id=row.conversation_id,
                created_at=row.created_at,
            )

    def progress(self, claim: Claim, text: str) -> None:
        """Say what is being done, for the card. Raises: ClaimLost."""
        with self._database.write() as session:
            self._held(session, claim).progress = text[:PROGRESS_MAX_CHARS]

    def mark_irreversible(self, claim: Claim) -> None:
        """Commit that the next step cannot be taken back. When it raises, the step must not be taken.

        Raises: ClaimLost, StorageFull, DatabaseBusy.
        """
        with self._database.write() as session:
            row = self._held(session, claim)
            row.irreversible_at = row.irreversible_at or clock.now()
            self._audit.record(session, "action.irreversible", actor=claim.worker_id, action_id=row.id)

    def release(self, claim: Claim) -> None:
        """Give the action back unrun (the worker stops): approved again, or failed if it may have had an effect."""
        with self._database.write() as session:
            row = self._held(session, claim)
            if row.irreversible_at is not None:
                self._settle(session, row, Status.FAILED, claim.worker_id, error=_interrupted(row))
                return
            row.status = Status.APPROVED.value
            row.worker_id = None
            row.progress = "Waiting for the worker"
            self._audit.record(session, "action.released", actor=claim.worker_id, action_id=row.id)

    def finish_success(self, claim: Claim, result: ActionResult) -> None:
        """Store what the action brought back. Raises: ClaimLost (the late outcome is kept in the audit log)."""
        evidence = [{"kind": e.kind, "label": e.label, "filename": e.filename, "url": e.url} for e in result.evidence]
        outcome = {**result.data, "summary": result.summary}
        with self._database.write() as session:
            row = self._held_or_noted(session, claim, {"summary": result.summary})
            if row is not None:
                self._settle(session, row, Status.SUCCEEDED, claim.worker_id, result=outcome, evidence=evidence)
        if row is None:
            raise _claim_lost(claim)

    def finish_failure(
        self,
        claim: Claim,
        code: str,
        message: str,
        hint: str = "",
        evidence: tuple[Any, ...] = (),
    ) -> None:
        """Store why the action failed. Raises: ClaimLost (the late outcome is kept in the audit log)."""
        shown = [{"kind": e.kind, "label": e.label, "filename": e.filename, "url": e.url} for e in evidence]
        error = {"code": code, "message": message, "hint": hint}
        with self._database.write() as session:
            row = self._held_or_noted(session, claim, error)
            if row is not None:
                self._settle(session, row, Status.FAILED, claim.worker_id, error=error, evidence=shown)
        if row is None:
            raise _claim_lost(claim)

    def new_evidence_dir(self, claim: Claim) -> Path:
        """An empty folder for this attempt's evidence; what an earlier attempt left is removed."""
        folder = self._evidence_dir / claim.action_id
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.iterdir():
            if leftover.is_file() or leftover.is_symlink():
                leftover.unlink()
        return folder

    def sweep(self) -> list[str]:
        """Expire, recover what dead workers left, and return the ids of every approved action, the oldest first."""
        expire_overdue(self._database, self._audit)
        self.recover()
        with self._database.read() as session:
            return [row.id for row in repository.with_status(session, Status.APPROVED)]

    def recover(self) -> int:
        """Settle running actions whose worker is dead; returns how many.

        Before the irreversible step: approved again, for at most MAX_ATTEMPTS claims. After it: failed with code
        ``interrupted``, because nobody knows whether it went out; never run again.
        """
        with self._database.read() as session:
            running = repository.with_status(session, Status.RUNNING)
            if not any(self._is_orphan(session, row) for row in running):
                return 0
        with self._database.write() as session:
            orphans = [r for r in repository.with_status(session, Status.RUNNING) if self._is_orphan(session, r)]
            for row in orphans:
                self._recover_row(session, row)
            return len(orphans)

    def _recover_row(self, session: Session, row: ActionRow) -> None:
        log.warning("action_recovered", action_id=row.id, was_irreversible=row.irreversible_at is not None)
        if row.irreversible_at is not None:
            self._settle(session, row, Status.FAILED, "herald", error=_interrupted(row))
        elif row.attempts >= MAX_ATTEMPTS:
            error = {
                "code": "worker_died",
                "message": f"The worker stopped {row.attempts} times while it ran this action; nothing was submitted.",
                "hint": "Look into the worker's log, then propose the action again.",
            }
            self._settle(session, row, Status.FAILED, "herald", error=error)
        else:
            detail = {"worker_id": row.worker_id, "attempt": row.attempts}
            row.status = Status.APPROVED.value
            row.worker_id = None
            row.progress = "Waiting for the worker, which had stopped"
            self._audit.record(session, "action.recovered", actor="herald", action_id=row.id, detail=detail)

    def _is_orphan(self, session: Session, row: ActionRow) -> bool:
        worker = repository.worker(session, row.worker_id) if row.worker_id else None
        if worker is None or is_worker_dead(worker.last_seen_at, clock.now()):
            return True
        return worker.host == socket.gethostname() and not _is_process_alive(worker.process)

    def heartbeat(self, worker_id: str) -> None:
        """Say that the calling process's worker is alive; call it every HEARTBEAT_EVERY_S."""
        at = clock.now()
        row = WorkerRow(id=worker_id, host=socket.gethostname(), process=_own_process(), started_at=at, last_seen_at=at)
        with self._database.write() as session:
            repository.save_heartbeat(session, row)
            repository.forget_workers_before(session, at - FORGET_WORKERS_AFTER)

    def say_goodbye(self, worker_id: str) -> None:
        """The worker stops in good order: what it still holds is recovered by the next sweep without waiting."""
        with self._database.write() as session:
            repository.forget_worker(session, worker_id)

    def worker_state(self) -> WorkerState:
        """Whether any worker is there."""
        with self._database.read() as session:
            last_seen_at = repository.last_worker_seen_at(session)
        return WorkerState("not_running" if is_worker_dead(last_seen_at, clock.now()) else "ready", last_seen_at)

    def unreported(self) -> list[str]:
        """Ids of finished actions whose conversation was not told the outcome yet."""
        with self._database.read() as session:
            return repository.unreported(session)

    def mark_reported_in(self, session: Session, action_id: str) -> bool:
        """Note, with the message's transaction, that the outcome was told. False when it was told already."""
        row = repository.by_id(session, action_id)
        if row is None or row.reported_at is not None:
            return False
        row.reported_at = clock.now()
        return True

    def _held(self, session: Session, claim: Claim) -> ActionRow:
        row = repository.by_id(session, claim.action_id)
        if row is None or not _holds(row, claim):
            raise _claim_lost(claim)
        return row

    def _held_or_noted(self, session: Session, claim: Claim, outcome: dict[str, Any]) -> ActionRow | None:
        row = repository.by_id(session, claim.action_id)
        if row is not None and _holds(row, claim):
            return row
        self._audit.record(
            session, "action.late_outcome", actor=claim.worker_id, action_id=claim.action_id, detail=outcome
        )
        return None

    def _settle(
        self,
        session: Session,
        row: ActionRow,
        status: Status,
        actor: str,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, str] | None = None,
        evidence: list[dict[str, str]] | None = None,
    ) -> None:
        row.status = status.value
        row.finished_at = clock.now()
        row.progress = ""
        row.result = result
        row.error = error
        row.evidence = evidence or []
        session.flush()
        detail = {"attempt": row.attempts, "digest": row.digest}
        detail |= {"error": error} if error else {"summary": (result or {}).get("summary", "")}
        self._audit.record(session, f"action.{status.value}", actor=actor, action_id=row.id, detail=detail)


def _refusal_to_run(row: ActionRow) -> dict[str, str] | None:
    """Why an approved row must not run, or None."""
    if digest_of(row.type, row.params_json, proposals.account_of(row), row.expires_at) != row.digest:
        return {
            "code": "digest_mismatch",
            "message": "What is stored is not what was approved, so it was not run.",
            "hint": "Propose the action again; see the audit log for what was approved.",
        }
    if row.expires_at <= clock.now():
        return {
            "code": "expired",
            "message": "It was approved, but no worker ran it before it expired.",
            "hint": "Check that the worker runs (GET /readyz), then propose it again if it is still wanted.",
        }
    try:
        proposals.stored_params(row.type, row.params_json)
    except InvalidInput as error:
        return {"code": error.code, "message": error.message, "hint": error.hint}
    return None


def _interrupted(row: ActionRow) -> dict[str, str]:
    return {
        "code": "interrupted",
        "message": "The worker stopped after it had begun to submit: this may or may not have gone out.",
        "hint": "Check the platform before you propose it again; Herald does not repeat it by itself.",
    }


def _holds(row: ActionRow, claim: Claim) -> bool:
    return row.status == Status.RUNNING and row.worker_id == claim.worker_id and row.attempts == claim.attempt


def _claim_lost(claim: Claim) -> ClaimLost:
    return ClaimLost(
        f"Worker {claim.worker_id} no longer holds action {claim.action_id} (attempt {claim.attempt}).",
        hint="It was taken away because the worker had not reported for a while.",
    )


def _own_process() -> str:
    return f"{os.getpid()}:{_start_ticks(os.getpid())}"


def _is_process_alive(process: str) -> bool:
    pid, _, ticks = process.partition(":")
    return _start_ticks(int(pid)) == ticks


def _start_ticks(pid: int) -> str:
    """When the process started, in clock ticks since boot (field 22 of /proc/PID/stat); empty when it is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]


__all__ = ["Action", "Claim", "ClaimLost", "ExecutionService"]
