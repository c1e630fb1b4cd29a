"""Proposing, editing and deciding. No model can reach ``approve``: only the routes and the command line call it."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.accounts.service import AccountService
from app.actions import proposals, repository
from app.actions.approvals import ApprovalDesk, Approver, current_digest
from app.actions.records import Action, Approval, Status
from app.actions.recovery import expire_overdue
from app.actions.settling import Settling
from app.actions.tables import ActionRow
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import AppError, Conflict, InvalidInput, NotFound
from automation.actions.base import Account, ActionResult

log = structlog.get_logger(__name__)

FURTHEST_PLAN = timedelta(days=366)


class Keep(Enum):
    """What an edit leaves as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


class ActionService:
    """The decisions about actions. ``wake`` tells the worker to look; losing its call does no harm (see the sweep).

    Args:
        expires_after: how long a proposal waits for its decision.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditService,
        accounts: AccountService,
        desk: ApprovalDesk,
        wake: Callable[[str], None],
        expires_after: timedelta = timedelta(hours=24),
    ) -> None:
        self._database = database
        self._audit = audit
        self._accounts = accounts
        self._desk = desk
        self._settling = Settling(audit, desk)
        self._wake = wake
        self._expires_after = expires_after
        accounts.on_change.append(self._rebind)

    def propose(
        self,
        type_name: str,
        params: dict[str, Any],
        *,
        actor: str,
        conversation_id: str | None = None,
        not_before: datetime | None = None,
    ) -> Action:
        """Store a proposal that waits for approval; once approved it does not run before ``not_before``.

        Raises: InvalidInput (unknown type, bad params, a moment that is over or too far away).
        """
        with self._database.write() as session:
            return self.propose_in(
                session, type_name, params, actor=actor, conversation_id=conversation_id, not_before=not_before
            )

    def propose_in(
        self,
        session: Session,
        type_name: str,
        params: dict[str, Any],
        *,
        actor: str,
        conversation_id: str | None = None,
        not_before: datetime | None = None,
    ) -> Action:
        """``propose`` within the caller's transaction."""
        params_json = proposals.params_json_of(proposals.validated_params(proposals.type_named(type_name), params))
        accounts = self._accounts.ports(session)
        row = ActionRow(
            id=f"act_{uuid.uuid4().hex}",
            type=type_name,
            params_json=params_json,
            status=Status.AWAITING_APPROVAL.value,
            conversation_id=conversation_id,
            intent_id=f"int_{uuid.uuid4().hex}",
            proposed_by=actor[:100],
            created_at=clock.now(),
            not_before=_plan(not_before),
            due_timer=_due_timer(not_before),
            evidence=[],
        )
        self._bind(row, accounts)
        repository.add(session, row)
        self._audit.record(session, "action.proposed", actor=actor, action_id=row.id, detail=_bound(row))
        return self._shown(session, [row], accounts)[0]

    def get(self, action_id: str) -> Action:
        """The action as it stands. Raises: NotFound."""
        self._expire_overdue()
        with self._database.read() as session:
            return self._shown(session, [_found(session, action_id)])[0]

    def get_many(self, action_ids: list[str]) -> dict[str, Action]:
        """Those of the named actions that exist, by id."""
        self._expire_overdue()
        with self._database.read() as session:
            return {action.id: action for action in self._shown(session, repository.by_ids(session, action_ids))}

    def newest(self, status: Status | None = None, limit: int = 50) -> list[Action]:
        """The newest actions first."""
        self._expire_overdue()
        with self._database.read() as session:
            return self._shown(session, repository.newest(session, status, limit))

    def edit(
        self, action_id: str, params: dict[str, Any] | None, *, actor: str, not_before: datetime | Keep | None = KEEP
    ) -> Action:
        """Replace the params, the planned moment or both; the digest changes, and what was approved is void.

        Args:
            params: the new ones, whole; None keeps them.
            not_before: when it may run at the earliest; None for at once.

        Raises: NotFound, Conflict (decided or expired), InvalidInput.
        """
        self._expire_overdue()
        with self._database.write() as session:
            row = _undecided(session, action_id)
            if params is not None:
                valid = proposals.validated_params(proposals.type_named(row.type), params)
                row.params_json = proposals.params_json_of(valid)
            if not isinstance(not_before, Keep):
                row.not_before, row.due_timer = _plan(not_before), _due_timer(not_before)
            accounts = self._accounts.ports(session)
            self._bind(row, accounts)
            self._desk.void(session, row)
            session.flush()
            self._audit.record(session, "action.edited", actor=actor, action_id=row.id, detail=_bound(row))
            return self._shown(session, [row], accounts)[0]

    def approve(self, action_id: str, digest: str, *, actor: str) -> Action:
        """Approve exactly what ``digest`` covers, once, and wake the worker.

        Raises: NotFound; Conflict with code ``already_decided``, ``expired`` or ``digest_mismatch``; InvalidInput with
            code ``not_runnable`` when the card shows a problem.
        """
        self._expire_overdue()
        with self._database.write() as session:
            row = _undecided(session, action_id)
            accounts = self._accounts.ports(session)
            self._require_digest(row, digest, accounts)
            before = proposals.action_of(row, accounts)
            if before.problems:
                raise InvalidInput(
                    f"The action cannot run as it stands. {'; '.join(before.problems)}",
                    hint="Edit it (PATCH /api/v1/actions/{id}) or reject it.",
                    code="not_runnable",
                )
            approval = self._desk.approve(session, row, Approver(actor, actor), 1)
            row.status = Status.APPROVED.value
            row.decided_at = clock.now()
            row.progress = "Waiting for the worker"
            session.flush()
            detail = _bound(row) | {"approval_id": approval.id}
            self._audit.record(session, "action.approved", actor=actor, action_id=row.id, detail=detail)
            approved = self._shown(session, [row], accounts)[0]
        self._wake_quietly(action_id)
        return approved

    def reject(self, action_id: str, *, actor: str, reason: str = "") -> Action:
        """Decide that the action never runs. Raises: NotFound, Conflict."""
        self._expire_overdue()
        with self._database.write() as session:
            row = _undecided(session, action_id)
            row.status = Status.REJECTED.value
            row.decided_at = row.finished_at = clock.now()
            self._desk.void(session, row)
            session.flush()
            detail = {"digest": row.digest, "reason": reason}
            self._audit.record(session, "action.rejected", actor=actor, action_id=row.id, detail=detail)
            return self._shown(session, [row])[0]

    def cancel(self, action_id: str, *, actor: str, reason: str = "") -> Action:
        """Take an approval back before anything was submitted. A worker that runs the action already loses it.

        Raises: NotFound; Conflict with code ``not_cancellable`` when it is not approved or submits already.
        """
        with self._database.write() as session:
            row = _found(session, action_id)
            if row.status != Status.APPROVED:
                raise Conflict(
                    f"Only an approved action that submits nothing yet can be cancelled; this one is {row.status}.",
                    hint="A proposal is rejected instead; for one that was submitted, see what became of it.",
                    code="not_cancellable",
                )
            row.status = Status.CANCELLED.value
            row.finished_at = clock.now()
            row.worker_id = row.lease = row.retry_timer = None
            row.held_reason, row.held_until, row.progress = "", None, ""
            self._desk.void(session, row)
            session.flush()
            detail = {"digest": row.digest, "reason": reason}
            self._audit.record(session, "action.cancelled", actor=actor, action_id=row.id, detail=detail)
            return self._shown(session, [row])[0]

    def settle(self, action_id: str, *, has_happened: bool, actor: str, url: str = "", note: str = "") -> Action:
        """Say what became of an action whose end nobody saw.

        Raises: NotFound; Conflict with code ``not_unconfirmed``.
        """
        with self._database.write() as session:
            row = _found(session, action_id)
            if row.status != Status.UNCONFIRMED:
                raise Conflict(
                    f"Only an unconfirmed action can be settled by a person; this one is {row.status}.",
                    hint="GET /api/v1/actions/{id} shows what became of it.",
                    code="not_unconfirmed",
                )
            data = {key: value for key, value in {"url": url, "note": note, "settled_by": actor}.items() if value}
            if has_happened:
                summary = f"{actor} looked and found that it went out{f': {url}' if url else '.'}"
                self._settling.succeed(session, row, actor, ActionResult(summary, data))
            else:
                error = {
                    "code": "did_not_happen",
                    "message": f"{actor} looked and found that it did not go out. {note}".strip(),
                    "hint": "Propose it again if it is still wanted.",
                }
                self._settling.fail(session, row, actor, error)
            shown = self._shown(session, [row])[0]
        self._wake_quietly(action_id)  # the conversation is told
        return shown

    def _expire_overdue(self) -> None:
        expire_overdue(self._database, self._audit)

    def _shown(
        self, session: Session, rows: list[ActionRow], accounts: tuple[Account, ...] | None = None
    ) -> list[Action]:
        """The records of rows, with who has approved what they hold now."""
        ports = self._accounts.ports(session) if accounts is None else accounts
        given: dict[str, list[Approval]] = {}
        found = repository.approvals_of(session, [row.id for row in rows])
        digests = {row.id: row.digest for row in rows}
        for approval in found:
            if approval.voided_at is None and approval.digest == digests[approval.action_id]:
                given.setdefault(approval.action_id, []).append(Approval(approval.approver, approval.created_at))
        return [proposals.action_of(row, ports, tuple(given.get(row.id, ()))) for row in rows]

    def _bind(self, row: ActionRow, accounts: tuple[Account, ...]) -> None:
        """Tie the row to its account and a fresh expiry, and take the digest over all of it."""
        params = proposals.stored_params(row.type, row.params_json)
        action_type = proposals.type_named(row.type)
        account = action_type.account_for(params, accounts)
        row.account = asdict(account) if account else None
        row.target = action_type.target(params, account)[:300]
        row.expires_at = max(clock.now(), row.not_before or clock.now()) + self._expires_after
        row.digest = current_digest(row)

    def _rebind(self, session: Session) -> None:
        """After the accounts changed: a waiting proposal whose account is another one now gets a new digest."""
        accounts = self._accounts.ports(session)
        for row in repository.with_status(session, Status.AWAITING_APPROVAL):
            try:
                account = proposals.type_named(row.type).account_for(
                    proposals.stored_params(row.type, row.params_json), accounts
                )
                if account != proposals.account_of(row):
                    self._bind(row, accounts)
                    self._desk.void(session, row)
                    self._audit.record(
                        session, "action.account_changed", actor="herald", action_id=row.id, detail=_bound(row)
                    )
            except AppError as error:  # a type that this version no longer knows: the card says so
                log.warning("rebind_failed", action_id=row.id, error=error.message)

    def _require_digest(self, row: ActionRow, digest: str, accounts: tuple[Account, ...]) -> None:
        account = proposals.account_of(row)
        is_same = hmac.compare_digest(current_digest(row), row.digest) and hmac.compare_digest(digest, row.digest)
        if not is_same or (account is not None and account not in accounts):
            raise Conflict(
                f"The action was changed after it was shown: its digest is {row.digest[:12]}…, "
                f"the approval is for {digest[:12]}….",
                hint="Look at it again and approve what it says now.",
                code="digest_mismatch",
            )

    def _wake_quietly(self, action_id: str) -> None:
        try:
            self._wake(action_id)
        except Exception:  # the row says approved; the sweep finds it within a minute
            log.exception("wake_failed", action_id=action_id)


def _found(session: Session, action_id: str) -> ActionRow:
    row = repository.by_id(session, action_id)
    if row is None:
        raise NotFound(f"There is no action {action_id[:60]}.", hint="GET /api/v1/actions lists those there are.")
    return row


def _undecided(session: Session, action_id: str) -> ActionRow:
    row = _found(session, action_id)
    if row.status == Status.EXPIRED:
        raise Conflict(
            f"The proposal expired at {_words(row.expires_at)} undecided.", hint="Propose it again.", code="expired"
        )
    if row.status != Status.AWAITING_APPROVAL:
        raise Conflict(
            f"The action was decided already; it is {row.status} now.",
            hint="GET /api/v1/actions/{id} shows what became of it; propose a new one to do it again.",
            code="already_decided",
        )
    return row


def _plan(not_before: datetime | None) -> datetime | None:
    """The planned moment, checked; one that is over means at once."""
    if not_before is None or not_before <= clock.now():
        return None
    if not_before > clock.now() + FURTHEST_PLAN:
        raise InvalidInput(
            f"not_before is {_words(not_before)}; at most {FURTHEST_PLAN.days} days from now are allowed.",
            hint="Choose an earlier moment.",
        )
    return not_before


def _due_timer(not_before: datetime | None) -> str | None:
    """The planned moment on the clock that nobody can set (see ``holds``)."""
    left_s = (not_before - clock.now()).total_seconds() if not_before else 0.0
    return clock.timer(left_s) if left_s > 0 else None


def _words(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _bound(row: ActionRow) -> dict[str, Any]:
    """What the audit log keeps of a proposal: everything that its digest covers."""
    return {
        "type": row.type,
        "params_json": row.params_json,
        "account": row.account,
        "target": row.target,
        "intent_id": row.intent_id,
        "digest": row.digest,
        "not_before": clock.to_iso(row.not_before) if row.not_before else None,
        "expires_at": clock.to_iso(row.expires_at),
        "conversation_id": row.conversation_id,
    }
