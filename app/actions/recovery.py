"""What becomes of the actions of workers that died or fell silent, and of proposals that nobody decided."""

from __future__ import annotations

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.actions import repository
from app.actions.records import Status
from app.actions.rules import DEATH_WAIT_S, MAX_DEATHS, wait_after
from app.actions.settling import Settling, is_keyed
from app.actions.tables import ActionRow
from app.actions.workers import is_process_alive
from app.audit.service import AuditService
from app.db.engine import Database
from app.processes import process_space

log = structlog.get_logger(__name__)


class Recovery:
    """Takes actions from holders whose lease is over or whose process is gone."""

    def __init__(self, database: Database, audit: AuditService, settling: Settling) -> None:
        self._database = database
        self._audit = audit
        self._settling = settling

    def recover(self) -> int:
        """Look after every orphan; returns how many there were. Reads first, so that it seldom takes the write lock."""
        with self._database.read() as session:
            if not any(_is_orphan(session, row) for row in repository.held_by_workers(session)):
                return 0
        with self._database.write() as session:
            return sum(self.recover_if_orphan(session, row) for row in repository.held_by_workers(session))

    def recover_if_orphan(self, session: Session, row: ActionRow) -> bool:
        """Take the action from a holder that is gone.

        Nothing begun: it waits for a worker again, for at most MAX_DEATHS times. Begun: see ``Settling.orphan``.
        """
        if row.worker_id is None or not _is_orphan(session, row):
            return False
        log.warning("action_recovered", action_id=row.id, status=row.status, worker_id=row.worker_id)
        if row.status == Status.SENDING:
            self._settling.orphan(session, row, "The worker stopped after it had begun to submit")
        elif row.status == Status.UNCONFIRMED:
            self._settling.looked_in_vain(row, "")
        elif row.status == Status.APPROVED:
            self._count_death(session, row)
        else:
            row.worker_id = row.lease = None
        return True

    def _count_death(self, session: Session, row: ActionRow) -> None:
        row.deaths += 1
        if row.deaths >= MAX_DEATHS:
            error = {
                "code": "worker_died",
                "message": f"The worker stopped {row.deaths} times while it ran this action; nothing was submitted.",
                "hint": "Look into the worker's log, then propose the action again.",
            }
            self._settling.fail(session, row, "herald", error)
            return
        detail = {"worker_id": row.worker_id, "attempt": row.attempts}
        row.retry_timer = clock.timer(wait_after(row.deaths, DEATH_WAIT_S))
        self._settling.put_back(row, "Waiting for the worker, which had stopped")
        self._audit.record(session, "action.recovered", actor="herald", action_id=row.id, detail=detail)

    def expire_overdue(self) -> int:
        """Mark proposals whose time has run out; returns how many."""
        return expire_overdue(self._database, self._audit)


def expire_overdue(database: Database, audit: AuditService) -> int:
    """Mark proposals whose time has run out; returns how many. Reads first, so that it seldom takes the write lock."""
    with database.read() as session:
        if not repository.overdue(session, clock.now()):
            return 0
    with database.write() as session:
        rows = repository.overdue(session, clock.now())
        for row in rows:
            row.status = Status.EXPIRED.value
            row.finished_at = clock.now()
            audit.record(session, "action.expired", actor="herald", action_id=row.id, detail={"digest": row.digest})
        return len(rows)


def is_takeable(row: ActionRow) -> bool:
    """Whether a worker may take the row, as far as its state tells: holds are asked apart."""
    if row.worker_id is not None:
        return False
    return row.status == Status.APPROVED or (row.status == Status.SENDING and is_keyed(row))


def _is_orphan(session: Session, row: ActionRow) -> bool:
    """Whether the holder is gone: its lease is over, or it is a process of this machine that no longer runs."""
    if not clock.left_s(row.lease):
        return True
    worker = repository.worker(session, row.worker_id) if row.worker_id else None
    return worker is not None and worker.host == process_space() and not is_process_alive(worker.process)
