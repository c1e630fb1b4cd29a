"""Running what was approved: claims with a lease and a fence, the commit before the irreversible step, outcomes.

The worker calls these; nothing here decides what may run. What becomes of the actions of dead workers is in
``recovery``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.actions import proposals, repository
from app.actions.approvals import ApprovalDesk
from app.actions.holds import HoldService
from app.actions.records import Action, Backlog, Claim, Hold, Status
from app.actions.recovery import Recovery, is_takeable
from app.actions.rules import LOOK_WAIT_S, MAX_RETRIES, MAX_SENDS, RETRY_WAIT_S
from app.actions.settling import Settling, is_keyed, sending_lost
from app.actions.tables import ActionRow
from app.actions.workers import WorkerRegister
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import Conflict, InvalidInput
from automation.actions.base import ActionResult, Reconciled, ReconciledOutcome, Risk
from automation.actions.registry import ACTION_TYPES
from automation.crash_points import reached
from automation.errors import ActionError

log = structlog.get_logger(__name__)

PROGRESS_MAX_CHARS = 300
FINISHED_EVENTS = tuple(
    f"action.{status.value}"
    for status in (Status.SUCCEEDED, Status.FAILED, Status.REJECTED, Status.EXPIRED, Status.CANCELLED)
)
BEGUN_EVENTS = ("action.sending", "action.unconfirmed")


class ClaimLost(Conflict):
    """The worker no longer holds the action: its lease ran out, or it was cancelled. It must stop at once."""

    code = "claim_lost"


class NotApproved(Conflict):
    """What would run is not what was approved. Nothing was submitted."""

    code = "digest_mismatch"


class Held(Conflict):
    """The action must wait: it is given back unrun, to be taken up when ``hold`` is over."""

    code = "held"

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.reason)
        self.hold = hold


class ExecutionService(WorkerRegister):
    """The life of an action from approval to its outcome.

    Args:
        evidence_dir: the folder that holds one folder of evidence an action.
        lease_s: seconds that a claim lasts without a heartbeat.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditService,
        evidence_dir: Path,
        desk: ApprovalDesk,
        holds: HoldService,
        lease_s: float = 20.0,
    ) -> None:
        super().__init__(database, lease_s)
        self._audit = audit
        self._evidence_dir = evidence_dir
        self._desk = desk
        self._holds = holds
        self._settling = Settling(audit, desk)
        self._recovery = Recovery(database, audit, self._settling)

    # -- taking

    def claim(self, action_id: str, worker_id: str) -> Claim | None:
        """Take an approved action, or one on a keyed platform whose end nobody saw. None: it is not there to be taken.

        The digest is taken again over the stored bytes and its approvals are checked; an action that does not match
        them, was used before, is past its expiry or no longer valid fails here and never runs. One that must wait says
        why and until when.
        """
        with self._database.write() as session:
            row = repository.by_id(session, action_id)
            if row is None:
                return None
            self._recovery.recover_if_orphan(session, row)
            if not is_takeable(row):
                return None
            refusal = self._refusal(session, row)
            if refusal is not None:
                self._settling.refuse(session, row, worker_id, refusal)
                return None
            hold = self._holds.find(session, row)
            if hold is not None:
                _note_hold(row, hold)
                return None
            self._holds.begin_probe(session, row)
            if ACTION_TYPES[row.type].risk is Risk.READ:
                self._holds.count_use(session, row)
            claim = self._take(session, row, worker_id)
        reached("after_claim")
        return claim

    def claim_look(self, action_id: str, worker_id: str) -> Claim | None:
        """Take an unconfirmed action to look at the platform for it. None when it is not time to."""
        with self._database.write() as session:
            row = repository.by_id(session, action_id)
            if row is None:
                return None
            self._recovery.recover_if_orphan(session, row)
            is_due = row.status == Status.UNCONFIRMED and row.worker_id is None and row.looks < len(LOOK_WAIT_S)
            if not is_due or clock.left_s(row.look_timer) or self._holds.stop_hold(session):
                return None
            try:
                proposals.stored_params(row.type, row.params_json)
            except InvalidInput:
                row.looks = len(LOOK_WAIT_S)  # this version no longer knows how to look
                return None
            row.looks += 1
            return self._take(session, row, worker_id, is_look=True)

    def _take(self, session: Session, row: ActionRow, worker_id: str, *, is_look: bool = False) -> Claim:
        row.worker_id = worker_id
        row.fence += 1
        row.lease = clock.timer(self.lease_s)
        row.attempts += 0 if is_look else 1
        row.started_at = clock.now()
        row.held_reason, row.held_until, row.retry_timer = "", None, None
        row.progress = "Looking whether it went out" if is_look else "Starting"
        detail = {"digest": row.digest, "attempt": row.attempts, "fence": row.fence}
        event = "action.look_started" if is_look else "action.started"
        self._audit.record(session, event, actor=worker_id, action_id=row.id, detail=detail)
        return Claim(
            action_id=row.id,
            project_id=row.project_id,
            worker_id=worker_id,
            attempt=row.attempts,
            fence=row.fence,
            type=row.type,
            params=proposals.stored_params(row.type, row.params_json),
            digest=row.digest,
            intent_id=row.intent_id,
            account=proposals.account_of(row),
            conversation_id=row.conversation_id,
            created_at=row.created_at,
            began_at=row.irreversible_at,
            is_look=is_look,
            request_id=self._audit.request_of(session, row.id),
        )

    # -- under way

    def progress(self, claim: Claim, text: str) -> None:
        """Say what is being done, for the card. Raises: ClaimLost."""
        with self._database.write() as session:
            self._held(session, claim).progress = text[:PROGRESS_MAX_CHARS]

    def mark_sending(self, claim: Claim) -> None:
        """Commit that the next step cannot be taken back. When it raises, the step must not be taken.

        Everything is checked once more in this transaction: fence and lease, bytes and approvals, expiry, and all that
        may hold an action.

        Raises: ClaimLost, NotApproved, Held, StorageFull, DatabaseBusy.
        """
        with self._database.write() as session:
            row = self._held(session, claim)
            refusal = self._refusal(session, row)
            if refusal is None and (row.digest != claim.digest or claim.is_look):
                refusal = _NOT_AS_APPROVED
            if refusal is not None:
                raise NotApproved(refusal["message"], hint=refusal["hint"], code=refusal["code"])
            hold = self._holds.find(session, row)
            if hold is not None:
                raise Held(hold)
            row.status = Status.SENDING.value
            row.irreversible_at = row.irreversible_at or clock.now()
            self._desk.use(session, row)
            self._holds.count_use(session, row)
            detail = {"digest": row.digest, "fence": row.fence, "intent_id": row.intent_id}
            self._audit.record(session, "action.sending", actor=claim.worker_id, action_id=row.id, detail=detail)
            reached("before_sending_committed")
        reached("after_sending_committed")

    def release(self, claim: Claim, hold: Hold | None = None) -> None:
        """Give the action back unrun (the worker stops, or it must wait). One that had begun is looked after."""
        with self._database.write() as session:
            row = self._held(session, claim)
            if row.status == Status.UNCONFIRMED:
                row.looks -= 1
                self._settling.looked_in_vain(row, "")
                return
            if row.status != Status.APPROVED:
                self._settling.orphan(session, row, "The worker stopped after it had begun to submit")
                return
            self._settling.put_back(row, "Waiting for the worker")
            row.attempts -= 1
            if hold is not None:
                _note_hold(row, hold)
            self._audit.record(session, "action.released", actor=claim.worker_id, action_id=row.id)

    # -- outcomes

    def finish_success(self, claim: Claim, result: ActionResult) -> None:
        """Store what the action brought back. Raises: ClaimLost (the late outcome is kept in the audit log)."""
        reached("before_outcome")
        with self._database.write() as session:
            row = self._held_or_noted(session, claim, {"summary": result.summary})
            if row is not None:
                self._settling.succeed(session, row, claim.worker_id, result)
                self._holds.site_answered(session, row.target)
        if row is None:
            raise _claim_lost(claim)

    def finish_failure(self, claim: Claim, error: ActionError, propose: Callable[..., Action] | None = None) -> None:
        """Store why the action did not succeed, as what that means for it.

        Before the irreversible step: another try later where that is safe and may help, else ``failed``. After it:
        ``failed`` when the other side said no; a keyed platform that said later or nothing is asked again with the same
        key; else ``unconfirmed``. What the error proposes instead becomes a proposal of its own in the same
        transaction, made by ``propose`` (``ActionService.propose_in``).

        Raises: ClaimLost (the late outcome is kept in the audit log).
        """
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        with self._database.write() as session:
            row = self._held_or_noted(session, claim, told)
            if row is not None:
                self._holds.site_failed(session, row.target, error)
                has_begun = row.status != Status.APPROVED
                if has_begun and (not error.is_refused or _may_ask_later(row, error)):
                    self._settling.orphan(session, row, "", sending_lost(error), error.evidence, error.retry_after_s)
                elif has_begun or not self._retry_later(row, error):
                    if error.proposal is not None and propose is not None and not has_begun:
                        told["proposal_id"] = self._propose_instead(session, row, error.proposal, propose)
                    self._settling.fail(session, row, claim.worker_id, told, error.evidence)
        if row is None:
            raise _claim_lost(claim)

    def _propose_instead(
        self, session: Session, row: ActionRow, params: dict[str, Any], propose: Callable[..., Action]
    ) -> str:
        fresh = propose(session, row.type, params, actor="herald", conversation_id=row.conversation_id)
        detail = {"instead_of": row.id, "proposed_by": row.proposed_by}
        self._audit.record(session, "action.proposed_instead", actor="herald", action_id=fresh.id, detail=detail)
        return fresh.id

    def finish_look(self, claim: Claim, found: Reconciled) -> None:
        """Store what a look at the platform found out. Raises: ClaimLost."""
        with self._database.write() as session:
            row = self._held(session, claim)
            detail = {"outcome": found.outcome.value, "note": found.note, "look": row.looks}
            self._audit.record(session, "action.looked", actor=claim.worker_id, action_id=row.id, detail=detail)
            if found.outcome is ReconciledOutcome.HAPPENED and found.result is not None:
                self._settling.succeed(session, row, claim.worker_id, found.result)
            else:
                self._settling.looked_in_vain(row, found.note)

    def _retry_later(self, row: ActionRow, error: ActionError) -> bool:
        """Whether the action waits for another try; nothing of it has been submitted."""
        is_worth_it = error.retryable or error.retry_after_s is not None
        if not is_worth_it or ACTION_TYPES[row.type].risk is Risk.READ or row.retries >= MAX_RETRIES:
            return False
        wait_s = max(error.retry_after_s or 0.0, RETRY_WAIT_S[row.retries])
        if clock.now() + timedelta(seconds=wait_s) >= row.expires_at:
            return False
        row.retries += 1
        row.retry_timer = clock.timer(wait_s)
        self._settling.put_back(row, "Waiting for another try")
        _note_hold(row, Hold(f"{error.message} Nothing was submitted; it is tried again.", _in(wait_s)))
        return True

    def new_evidence_dir(self, claim: Claim) -> Path:
        """An empty folder for this attempt's evidence; what an earlier attempt left is removed."""
        folder = self._evidence_dir / claim.action_id
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.iterdir():
            if leftover.is_file() or leftover.is_symlink():
                leftover.unlink()
        return folder

    # -- upkeep

    def sweep(self) -> list[str]:
        """Expire, recover what dead workers left, and return the ids of all that may be taken, the oldest first."""
        self._recovery.expire_overdue()
        self.recover()
        with self._database.read() as session:
            return [row.id for row in repository.unheld(session, (Status.APPROVED, Status.SENDING)) if is_takeable(row)]

    def due(self) -> list[str]:
        """Ids of what was held and may go on now; cheap enough for every second."""
        with self._database.read() as session:
            if self._holds.stop_hold(session):
                return []
            waiting = repository.unheld(session, (Status.APPROVED, Status.SENDING))
            return [
                row.id for row in waiting if row.held_reason and is_takeable(row) and not self._holds.find(session, row)
            ]

    def backlog(self) -> Backlog:
        """What there is to do, in figures."""
        now = clock.now()
        with self._database.read() as session:
            waiting = repository.unheld(session, (Status.APPROVED,))
            by_status = repository.count_by_status(session)
        since = [max(row.decided_at or row.created_at, row.not_before or row.created_at) for row in waiting]
        due = [moment for row, moment in zip(waiting, since, strict=True) if not row.held_reason and moment <= now]
        oldest_wait_s = (now - min(due)).total_seconds() if due else 0.0
        return Backlog(by_status, sum(bool(row.held_reason) for row in waiting), oldest_wait_s)

    def looks_due(self) -> list[str]:
        """Ids of unconfirmed actions for which it is time to look at the platform."""
        with self._database.read() as session:
            rows = repository.unheld(session, (Status.UNCONFIRMED,))
            return [row.id for row in rows if row.looks < len(LOOK_WAIT_S) and not clock.left_s(row.look_timer)]

    def recover(self) -> int:
        """Look after what dead workers left; returns how many actions that were."""
        return self._recovery.recover()

    def unreported(self) -> list[str]:
        """Ids of ended actions whose conversation was not told the outcome yet."""
        with self._database.read() as session:
            return repository.unreported(session)

    def mark_reported_in(self, session: Session, action_id: str) -> bool:
        """Note, with the message's transaction, that the outcome was told. False when it was told already."""
        row = repository.by_id(session, action_id)
        if row is None or row.reported_at is not None:
            return False
        row.reported_at = clock.now()
        return True

    # -- checks

    def _refusal(self, session: Session, row: ActionRow) -> dict[str, str] | None:
        """Why an approved row must not run, or None. A row that was played back, as if it had not run, is found out by
        the log of what was done."""
        has_begun = row.status != Status.APPROVED
        events = FINISHED_EVENTS if has_begun else (*FINISHED_EVENTS, *BEGUN_EVENTS)
        if self._audit.has_happened(session, row.id, events):
            return _NOT_AS_APPROVED | {"message": "It was carried out or decided otherwise before, so it was not run."}
        if row.expires_at <= clock.now():
            return {
                "code": "expired",
                "message": "It was approved, but it expired before it could be run.",
                "hint": "Check that the worker runs (GET /readyz) and nothing holds it, then propose it again.",
            }
        if reason := self._desk.refusal(session, row, has_begun=has_begun):
            return _NOT_AS_APPROVED | {"message": f"{reason} So it was not run."}
        try:
            proposals.stored_params(row.type, row.params_json)
        except InvalidInput as error:
            return {"code": error.code, "message": error.message, "hint": error.hint}
        return None

    def _held(self, session: Session, claim: Claim) -> ActionRow:
        row = repository.by_id(session, claim.action_id)
        if row is None or not _holds(row, claim) or not clock.left_s(row.lease):
            raise _claim_lost(claim)
        return row

    def _held_or_noted(self, session: Session, claim: Claim, outcome: dict[str, Any]) -> ActionRow | None:
        """The row if this claim is still the last one of it: what its holder saw is the best that anybody knows."""
        row = repository.by_id(session, claim.action_id)
        if row is not None and (_holds(row, claim) or _is_last_sender(row, claim)):
            return row
        self._audit.record(
            session, "action.late_outcome", actor=claim.worker_id, action_id=claim.action_id, detail=outcome
        )
        return None


_NOT_AS_APPROVED = {
    "code": "digest_mismatch",
    "message": "What is stored is not what was approved. So it was not run.",
    "hint": "Propose the action again; see the audit log for what was approved.",
}


def _may_ask_later(row: ActionRow, error: ActionError) -> bool:
    """Whether a refusal was one for now, of a platform that knows the action by our key, and there is time to wait."""
    if error.retry_after_s is None or not is_keyed(row) or row.attempts >= MAX_SENDS:
        return False
    return clock.now() + timedelta(seconds=error.retry_after_s) < row.expires_at


def _holds(row: ActionRow, claim: Claim) -> bool:
    is_open = row.status in {Status.APPROVED, Status.SENDING} or (claim.is_look and row.status == Status.UNCONFIRMED)
    return is_open and row.worker_id == claim.worker_id and row.fence == claim.fence


def _is_last_sender(row: ActionRow, claim: Claim) -> bool:
    """Whether the action was taken from its holder as unconfirmed, and nobody has taken it since."""
    return row.status == Status.UNCONFIRMED and row.fence == claim.fence and not claim.is_look


def _note_hold(row: ActionRow, hold: Hold) -> None:
    row.held_reason, row.held_until = hold.reason[:500], hold.until
    row.progress = "Held"


def _in(seconds: float) -> Any:
    return clock.now() + timedelta(seconds=seconds)


def _claim_lost(claim: Claim) -> ClaimLost:
    return ClaimLost(
        f"Worker {claim.worker_id} no longer holds action {claim.action_id} (attempt {claim.attempt}).",
        hint="It was cancelled, or taken away because the worker had not reported for a while.",
    )


__all__ = ["Action", "Claim", "ClaimLost", "ExecutionService", "Held", "NotApproved"]
