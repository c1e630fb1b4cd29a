"""Proposing, editing and deciding. No model can reach ``approve``: only the routes and the command line call it."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.accounts.service import AccountService
from app.actions import proposals, repository
from app.actions.records import Action, Status
from app.actions.rules import digest_of
from app.actions.tables import ActionRow
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import AppError, Conflict, InvalidInput, NotFound
from automation.actions.base import Account

log = structlog.get_logger(__name__)


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
        wake: Callable[[str], None],
        expires_after: timedelta = timedelta(hours=24),
    ) -> None:
        self._database = database
        self._audit = audit
        self._accounts = accounts
        self._wake = wake
        self._expires_after = expires_after
        accounts.on_change.append(self._rebind)

    def propose(
        self, type_name: str, params: dict[str, Any], *, actor: str, conversation_id: str | None = None
    ) -> Action:
        """Store a proposal that waits for approval.

        Raises: InvalidInput (unknown type, bad params).
        """
        with self._database.write() as session:
            return self.propose_in(session, type_name, params, actor=actor, conversation_id=conversation_id)

    def propose_in(
        self,
        session: Session,
        type_name: str,
        params: dict[str, Any],
        *,
        actor: str,
        conversation_id: str | None = None,
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
            created_at=clock.now(),
            evidence=[],
        )
        self._bind(row, accounts)
        repository.add(session, row)
        self._audit.record(session, "action.proposed", actor=actor, action_id=row.id, detail=_bound(row))
        return proposals.action_of(row, accounts)

    def get(self, action_id: str) -> Action:
        """The action as it stands. Raises: NotFound."""
        self._expire_overdue()
        with self._database.read() as session:
            return proposals.action_of(_found(session, action_id), self._accounts.ports(session))

    def get_many(self, action_ids: list[str]) -> dict[str, Action]:
        """Those of the named actions that exist, by id."""
        self._expire_overdue()
        with self._database.read() as session:
            accounts = self._accounts.ports(session)
            return {row.id: proposals.action_of(row, accounts) for row in repository.by_ids(session, action_ids)}

    def newest(self, status: Status | None = None, limit: int = 50) -> list[Action]:
        """The newest actions first."""
        self._expire_overdue()
        with self._database.read() as session:
            accounts = self._accounts.ports(session)
            return [proposals.action_of(row, accounts) for row in repository.newest(session, status, limit)]

    def edit(self, action_id: str, params: dict[str, Any], *, actor: str) -> Action:
        """Replace the params; the digest changes, so an approval of the old ones no longer fits.

        Raises: NotFound, Conflict (decided or expired), InvalidInput.
        """
        self._expire_overdue()
        with self._database.write() as session:
            row = _undecided(session, action_id)
            row.params_json = proposals.params_json_of(
                proposals.validated_params(proposals.type_named(row.type), params)
            )
            accounts = self._accounts.ports(session)
            self._bind(row, accounts)
            session.flush()
            self._audit.record(session, "action.edited", actor=actor, action_id=row.id, detail=_bound(row))
            return proposals.action_of(row, accounts)

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
            row.status = Status.APPROVED.value
            row.decided_at = clock.now()
            row.progress = "Waiting for the worker"
            session.flush()
            self._audit.record(session, "action.approved", actor=actor, action_id=row.id, detail=_bound(row))
            approved = proposals.action_of(row, accounts)
        self._wake_quietly(action_id)
        return approved

    def reject(self, action_id: str, *, actor: str, reason: str = "") -> Action:
        """Decide that the action never runs. Raises: NotFound, Conflict."""
        self._expire_overdue()
        with self._database.write() as session:
            row = _undecided(session, action_id)
            row.status = Status.REJECTED.value
            row.decided_at = row.finished_at = clock.now()
            session.flush()
            detail = {"digest": row.digest, "reason": reason}
            self._audit.record(session, "action.rejected", actor=actor, action_id=row.id, detail=detail)
            return proposals.action_of(row, self._accounts.ports(session))

    def _expire_overdue(self) -> None:
        expire_overdue(self._database, self._audit)

    def _bind(self, row: ActionRow, accounts: tuple[Account, ...]) -> None:
        """Tie the row to its account and a fresh expiry, and take the digest over all of it."""
        params = proposals.stored_params(row.type, row.params_json)
        account = proposals.type_named(row.type).account_for(params, accounts)
        row.account = asdict(account) if account else None
        row.expires_at = clock.now() + self._expires_after
        row.digest = digest_of(row.type, row.params_json, account, row.expires_at)

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
                    self._audit.record(
                        session, "action.account_changed", actor="herald", action_id=row.id, detail=_bound(row)
                    )
            except AppError as error:  # a type that this version no longer knows: the card says so
                log.warning("rebind_failed", action_id=row.id, error=error.message)

    def _require_digest(self, row: ActionRow, digest: str, accounts: tuple[Account, ...]) -> None:
        account = proposals.account_of(row)
        current = digest_of(row.type, row.params_json, account, row.expires_at)
        is_same = hmac.compare_digest(current, row.digest) and hmac.compare_digest(digest, row.digest)
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


def _found(session: Session, action_id: str) -> ActionRow:
    row = repository.by_id(session, action_id)
    if row is None:
        raise NotFound(f"There is no action {action_id[:60]}.", hint="GET /api/v1/actions lists those there are.")
    return row


def _undecided(session: Session, action_id: str) -> ActionRow:
    row = _found(session, action_id)
    if row.status == Status.EXPIRED:
        raise Conflict(
            f"The proposal expired at {_shown(row.expires_at)} undecided.", hint="Propose it again.", code="expired"
        )
    if row.status != Status.AWAITING_APPROVAL:
        raise Conflict(
            f"The action was decided already; it is {row.status} now.",
            hint="GET /api/v1/actions/{id} shows what became of it; propose a new one to do it again.",
            code="already_decided",
        )
    return row


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _bound(row: ActionRow) -> dict[str, Any]:
    """What the audit log keeps of a proposal: everything that its digest covers."""
    return {
        "type": row.type,
        "params_json": row.params_json,
        "account": row.account,
        "digest": row.digest,
        "expires_at": clock.to_iso(row.expires_at),
        "conversation_id": row.conversation_id,
    }
