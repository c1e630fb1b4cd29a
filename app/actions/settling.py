"""How an action's row ends, or comes back: every change of state that a worker, a look or a person brings about."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app import clock
from app.actions import proposals
from app.actions.approvals import ApprovalDesk
from app.actions.records import Status
from app.actions.rules import LOOK_WAIT_S, MAX_SENDS, SEND_WAIT_S, wait_after
from app.actions.tables import ActionRow
from app.audit.service import AuditService
from app.errors import InvalidInput
from automation.actions.base import ActionResult, Evidence
from automation.actions.registry import ACTION_TYPES
from automation.errors import ActionError


class Settling:
    """Works within the caller's transaction, on a row that the caller has found to be in the right state."""

    def __init__(self, audit: AuditService, desk: ApprovalDesk) -> None:
        self._audit = audit
        self._desk = desk

    def succeed(self, session: Session, row: ActionRow, actor: str, result: ActionResult) -> None:
        """The action happened."""
        row.result = {**result.data, "summary": result.summary}
        row.error = None
        row.evidence = _listed(result.evidence) or row.evidence
        self._end(session, row, Status.SUCCEEDED, actor, {"summary": result.summary})

    def fail(
        self,
        session: Session,
        row: ActionRow,
        actor: str,
        error: dict[str, str],
        evidence: tuple[Evidence, ...] = (),
    ) -> None:
        """The action did not happen and will not."""
        row.error = error
        row.evidence = _listed(evidence) or row.evidence
        self._end(session, row, Status.FAILED, actor, {"error": error})

    def refuse(self, session: Session, row: ActionRow, actor: str, refusal: dict[str, str]) -> None:
        """The action must not be carried out. One that had begun before ends as unconfirmed: it may have happened."""
        if row.status == Status.SENDING:
            self._unconfirm(session, row, refusal)
        else:
            self.fail(session, row, actor, refusal)

    def orphan(
        self,
        session: Session,
        row: ActionRow,
        why: str,
        error: dict[str, str] | None = None,
        evidence: tuple[Evidence, ...] = (),
        wait_s: float | None = None,
    ) -> None:
        """The irreversible step had begun and nobody saw how it ended.

        A keyed platform is asked again with the same key, for at most MAX_SENDS times; elsewhere the row becomes
        ``unconfirmed``, to be looked up or settled by a person, and is never sent again.
        """
        error = error or _interrupted(why)
        row.evidence = _listed(evidence) or row.evidence
        if is_keyed(row) and row.attempts < MAX_SENDS and row.expires_at > clock.now():
            row.worker_id = row.lease = None
            row.retry_timer = clock.timer(max(wait_s or 0.0, wait_after(row.attempts, SEND_WAIT_S)))
            row.held_reason = f"{error['message']} It is asked again with the same key."[:500]
            row.progress = "Waiting to ask again"
            detail = {"error": error, "attempt": row.attempts}
            self._audit.record(session, "action.repeats_with_key", actor="herald", action_id=row.id, detail=detail)
        else:
            self._unconfirm(session, row, error)

    def looked_in_vain(self, row: ActionRow, note: str) -> None:
        """A look at the platform did not find it; the next one comes later, after the last a person settles it."""
        row.worker_id = row.lease = None
        row.progress = ""
        if row.error is not None and note:
            row.error = {**row.error, "looked": f"Looked {row.looks} of {len(LOOK_WAIT_S)} times. {note}"[:500]}
        row.look_timer = clock.timer(wait_after(row.looks + 1, LOOK_WAIT_S))

    def put_back(self, row: ActionRow, progress: str) -> None:
        """Nothing had begun: the action waits for a worker again."""
        row.worker_id = row.lease = None
        row.progress = progress

    def _unconfirm(self, session: Session, row: ActionRow, error: dict[str, str]) -> None:
        row.status = Status.UNCONFIRMED.value
        row.worker_id = row.lease = row.retry_timer = None
        row.held_reason, row.held_until, row.progress = "", None, ""
        row.error = error
        row.look_timer = clock.timer(wait_after(row.looks + 1, LOOK_WAIT_S))
        self._desk.use(session, row)
        session.flush()
        detail = {"attempt": row.attempts, "digest": row.digest, "error": error}
        self._audit.record(session, "action.unconfirmed", actor="herald", action_id=row.id, detail=detail)

    def _end(self, session: Session, row: ActionRow, status: Status, actor: str, told: dict[str, Any]) -> None:
        if row.status == Status.UNCONFIRMED:
            row.reported_at = None  # the conversation was told that nobody knew; now somebody does
        row.status = status.value
        row.finished_at = clock.now()
        row.worker_id = row.lease = row.retry_timer = row.look_timer = None
        row.held_reason, row.held_until, row.progress = "", None, ""
        self._desk.use(session, row)
        session.flush()
        detail = {"attempt": row.attempts, "digest": row.digest, **told}
        self._audit.record(session, f"action.{status.value}", actor=actor, action_id=row.id, detail=detail)


def is_keyed(row: ActionRow) -> bool:
    """Whether the action may be repeated after its irreversible step, because the platform knows it by our key."""
    try:
        return ACTION_TYPES[row.type].is_keyed(proposals.stored_params(row.type, row.params_json))
    except (InvalidInput, KeyError):
        return False


def sending_lost(error: ActionError) -> dict[str, str]:
    """An error after the irreversible step, with what it leaves open."""
    hint = error.hint or "Look at the site, then say what became of it; Herald does not repeat it by itself."
    return {"code": error.code, "message": error.message, "hint": hint}


def _interrupted(why: str) -> dict[str, str]:
    return {
        "code": "interrupted",
        "message": f"{why}: this may or may not have gone out.",
        "hint": "Herald looks at the site where it can and repeats nothing. Look there too and say what became of it.",
    }


def _listed(evidence: tuple[Evidence, ...]) -> list[dict[str, str]]:
    return [{"kind": e.kind, "label": e.label, "filename": e.filename, "url": e.url} for e in evidence]
