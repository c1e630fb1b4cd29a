"""Deciding: approve, reject, cancel, settle. Only the routes and the command line reach this, and policies for what
they name.

No model can: the chat is given ``ActionService``, which has none of these methods, and may not import this module (a
contract of import-linter).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.actions import proposals, repository
from app.actions.approvals import Approver, current_digest
from app.actions.records import Action, Status
from app.actions.service import ActionService, bound, found, undecided
from app.actions.settling import Settling
from app.actions.tables import ActionRow
from app.errors import AppError, Conflict, InvalidInput
from automation.actions.base import Account, ActionResult

log = structlog.get_logger(__name__)


class DecisionService(ActionService):
    """``ActionService`` with the decisions. ``wake`` tells the worker to look; losing its call does no harm.

    Args:
        wake: called with the id of an action that the worker should look at, after the commit.
    """

    def __init__(self, *arguments: Any, wake: Callable[[str], None], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._wake = wake
        self._settling = Settling(self._audit, self._desk)

    def approve(self, action_id: str, digest: str, *, actor: str | Approver) -> Action:
        """Approve exactly what ``digest`` covers, once, and wake the worker.

        Raises: NotFound; Conflict with code ``already_decided``, ``expired`` or ``digest_mismatch``; InvalidInput with
            code ``not_runnable`` when the card shows a problem.
        """
        self._expire_overdue()
        with self._database.write() as session:
            row = undecided(session, action_id)
            accounts = self._accounts.ports(session)
            self._approve_in(session, row, digest, approver_of(actor), accounts)
            approved = self._shown(session, [row], accounts)[0]
        if approved.status is Status.APPROVED:
            self._wake_quietly(action_id)
        return approved

    def _approve_in(
        self, session: Session, row: ActionRow, digest: str, approver: Approver, accounts: tuple[Account, ...]
    ) -> None:
        """Add one approval; the row is approved once as many different people have done so as it needs."""
        self._require_digest(row, digest, accounts)
        problems = proposals.action_of(row, accounts).problems
        if problems:
            raise InvalidInput(
                f"The action cannot run as it stands. {'; '.join(problems)}",
                hint="Edit it (PATCH /api/v1/actions/{id}) or reject it.",
                code="not_runnable",
            )
        needed = self._policies.requirement(session, row)
        if approver.policy_id is None:
            self._policies.require_allowed(needed, approver)
        if any(approval.approver_id == approver.id for approval in self._desk.valid(session, row)):
            raise Conflict(
                f"{approver.name} has approved this already; it needs {needed.people_needed} different people.",
                hint="Ask somebody else to approve it too.",
                code="already_approved",
            )
        approval = self._desk.approve(session, row, approver, needed.people_needed)
        given = self._desk.valid(session, row)
        is_enough = len(given) >= max(one.people_needed for one in given)
        if is_enough:
            row.status = Status.APPROVED.value
            row.decided_at = clock.now()
            row.progress = "Waiting for the worker"
        session.flush()
        detail = bound(row) | {"approval_id": approval.id, "policy_id": approver.policy_id}
        event = "action.approved" if is_enough else "action.approved_in_part"
        self._audit.record(session, event, actor=approver.name, action_id=row.id, detail=detail)

    def reject(self, action_id: str, *, actor: str, reason: str = "") -> Action:
        """Decide that the action never runs. Raises: NotFound, Conflict."""
        self._expire_overdue()
        with self._database.write() as session:
            row = undecided(session, action_id)
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
            row = found(session, action_id)
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
            row = found(session, action_id)
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

    def approve_by_policies(self) -> list[str]:
        """Approve what a policy says needs nobody, unless text from outside has had a part in it; returns the ids."""
        with self._database.read() as session:
            if not any(policy.is_auto for policy in self._policies.all_in(session)):
                return []
            waiting = [
                row.id
                for row in repository.with_status(session, Status.AWAITING_APPROVAL)
                if self._is_auto(session, row)
            ]
        approved = []
        for action_id in waiting:
            try:
                with self._database.write() as session:
                    row = undecided(session, action_id)
                    if not self._is_auto(session, row):
                        continue
                    policy = self._policies.requirement(session, row).auto_policy
                    assert policy is not None
                    approver = Approver(policy.id, f"policy {policy.name}", policy_id=policy.id)
                    self._approve_in(session, row, row.digest, approver, self._accounts.ports(session))
                approved.append(action_id)
                self._wake_quietly(action_id)
            except AppError as error:  # decided meanwhile, or it has a problem: it waits for a person
                log.info("not_approved_by_policy", action_id=action_id, code=error.code)
        return approved

    def _is_auto(self, session: Session, row: ActionRow) -> bool:
        conversation_id = row.conversation_id
        if row.is_tainted or (conversation_id is not None and self._is_tainted(session, conversation_id)):
            return False
        try:
            has_policy = self._policies.requirement(session, row).auto_policy is not None
        except InvalidInput:
            return False
        return has_policy and not proposals.action_of(row, self._accounts.ports(session)).problems

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


def approver_of(actor: str | Approver) -> Approver:
    """A mere name is the box's own command line, which acts as its owner."""
    return actor if isinstance(actor, Approver) else Approver(actor, actor, frozenset({"owner"}))
