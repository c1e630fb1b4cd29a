"""Proposing, editing and reading. Decisions are in ``decisions``, which the chat is never given."""

from __future__ import annotations

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
from app.actions.approvals import ApprovalDesk, current_digest
from app.actions.policies import Policy, PolicyService, requirement
from app.actions.records import Action, Approval, Status, Tally
from app.actions.recovery import expire_overdue
from app.actions.tables import ActionRow
from app.audit.service import AuditService
from app.db.engine import Database
from app.db.scope import DEFAULT_PROJECT, scope_of
from app.errors import AppError, Conflict, InvalidInput, NotFound
from app.media.service import MediaService
from automation.actions.base import Account

log = structlog.get_logger(__name__)

FURTHEST_PLAN = timedelta(days=366)


class Keep(Enum):
    """What an edit leaves as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


class ActionService:
    """Proposals, as the chat, too, can make them. Nothing here can approve one.

    Args:
        expires_after: how long a proposal waits for its decision.
        is_tainted: whether what was read from outside has been said in a conversation, which is named.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditService,
        accounts: AccountService,
        desk: ApprovalDesk,
        policies: PolicyService,
        media: MediaService,
        expires_after: timedelta = timedelta(hours=24),
        is_tainted: Callable[[Session, str], bool] = lambda _session, _conversation_id: True,
    ) -> None:
        self._database = database
        self._audit = audit
        self._accounts = accounts
        self._desk = desk
        self._policies = policies
        self._media = media
        self._expires_after = expires_after
        self._is_tainted = is_tainted

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
        is_tainted: bool = False,
    ) -> Action:
        """``propose`` within the caller's transaction.

        Args:
            is_tainted: the params were made from documents or pages, so no policy may approve them by itself.
        """
        valid = proposals.validated_params(proposals.type_named(type_name), params)
        params_json = proposals.params_json_of(self._media.checked(session, valid))
        accounts = self._accounts.ports(session)
        row = ActionRow(
            id=f"act_{uuid.uuid4().hex}",
            type=type_name,
            params_json=params_json,
            status=Status.AWAITING_APPROVAL.value,
            conversation_id=conversation_id,
            project_id=scope_of(session) or DEFAULT_PROJECT,
            intent_id=f"int_{uuid.uuid4().hex}",
            proposed_by=str(actor)[:100],
            is_tainted=is_tainted or (conversation_id is not None and self._is_tainted(session, conversation_id)),
            created_at=clock.now(),
            not_before=_plan(not_before),
            due_timer=_due_timer(not_before),
            evidence=[],
        )
        self._bind(row, accounts)
        repository.add(session, row)
        self._audit.record(session, "action.proposed", actor=actor, action_id=row.id, detail=bound(row))
        return self._shown(session, [row], accounts)[0]

    def get(self, action_id: str) -> Action:
        """The action as it stands. Raises: NotFound."""
        self._expire_overdue()
        with self._database.read() as session:
            return self._shown(session, [found(session, action_id)])[0]

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

    def tally(self, since: datetime) -> list[Tally]:
        """What was proposed, decided or finished since then, counted by day, type, platform and status."""
        self._expire_overdue()
        with self._database.read() as session:
            return repository.tally(session, since)

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
            row = undecided(session, action_id)
            if params is not None:
                valid = proposals.validated_params(proposals.type_named(row.type), params)
                row.params_json = proposals.params_json_of(self._media.checked(session, valid))
            if not isinstance(not_before, Keep):
                row.not_before, row.due_timer = _plan(not_before), _due_timer(not_before)
            accounts = self._accounts.ports(session)
            self._bind(row, accounts)
            self._desk.void(session, row)
            session.flush()
            self._audit.record(session, "action.edited", actor=actor, action_id=row.id, detail=bound(row))
            return self._shown(session, [row], accounts)[0]

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
        policies = self._policies.all_in(session)
        return [
            proposals.action_of(row, ports, tuple(given.get(row.id, ())), _people_needed(row, policies)) for row in rows
        ]

    def _bind(self, row: ActionRow, accounts: tuple[Account, ...]) -> None:
        """Tie the row to its account and a fresh expiry, and take the digest over all of it."""
        params = proposals.stored_params(row.type, row.params_json)
        action_type = proposals.type_named(row.type)
        account = action_type.account_for(params, accounts)
        row.account = asdict(account) if account else None
        row.target = action_type.target(params, account)[:300]
        row.expires_at = max(clock.now(), row.not_before or clock.now()) + self._expires_after
        row.digest = current_digest(row)

    def rebind(self, session: Session) -> None:
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
                        session, "action.account_changed", actor="herald", action_id=row.id, detail=bound(row)
                    )
            except AppError as error:  # a type that this version no longer knows: the card says so
                log.warning("rebind_failed", action_id=row.id, error=error.message)


def _people_needed(row: ActionRow, policies: list[Policy]) -> int:
    if row.status != Status.AWAITING_APPROVAL:
        return 1
    try:
        return requirement(row, policies).people_needed
    except InvalidInput:  # a type or params that this version no longer knows: the card says so
        return 1


def found(session: Session, action_id: str) -> ActionRow:
    row = repository.by_id(session, action_id)
    if row is None:
        raise NotFound(f"There is no action {action_id[:60]}.", hint="GET /api/v1/actions lists those there are.")
    return row


def undecided(session: Session, action_id: str) -> ActionRow:
    row = found(session, action_id)
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


def bound(row: ActionRow) -> dict[str, Any]:
    """What the audit log keeps of a proposal: everything that its digest covers."""
    return {
        "type": row.type,
        "params_json": row.params_json,
        "account": row.account,
        "target": row.target,
        "intent_id": row.intent_id,
        "project_id": row.project_id,
        "digest": row.digest,
        "not_before": clock.to_iso(row.not_before) if row.not_before else None,
        "expires_at": clock.to_iso(row.expires_at),
        "conversation_id": row.conversation_id,
    }
