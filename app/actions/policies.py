"""Approval policies as data: who may approve what, when two people are needed, and what needs nobody.

Every policy that concerns an action counts. Without one, whoever may approve at all may approve alone, and nothing is
approved by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app import clock
from app.actions import proposals, repository
from app.actions.approvals import Approver
from app.actions.rules import account_label
from app.actions.tables import ActionRow, PolicyRow
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import Forbidden, InvalidInput, NotFound
from automation.actions.registry import ACTION_TYPES

ANY = "*"
MAX_PEOPLE = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy. ``type``, ``account`` (``x:acme``) and ``risk`` are ``*`` for every one.

    Attributes:
        amount_above_minor: only actions that spend more than this, in minor units of the currency; None for all.
        approvers: ``role:owner``, ``user:usr_…`` or ``*``; an approval by anybody else is refused.
        people_needed: how many different people must approve.
        is_auto: approved without a person. Needs a named type and account.
    """

    id: str
    project_id: str
    name: str
    type: str
    account: str
    risk: str
    amount_above_minor: int | None
    approvers: tuple[str, ...]
    people_needed: int
    is_auto: bool
    created_by: str
    created_at: datetime

    def concerns(self, type_name: str, account: str, risk: str, amount_minor: int | None) -> bool:
        """Whether the policy applies to such an action."""
        is_above = self.amount_above_minor is None or (amount_minor or 0) > self.amount_above_minor
        return (
            self.type in {ANY, type_name} and self.account in {ANY, account} and self.risk in {ANY, risk} and is_above
        )


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an action needs: so many people, each of whom every one of the policies lets approve."""

    people_needed: int = 1
    policies: tuple[Policy, ...] = ()

    @property
    def auto_policy(self) -> Policy | None:
        """The policy that approves the action by itself, if no other one wants more."""
        named = [policy for policy in self.policies if policy.is_auto]
        return named[0] if named and self.people_needed == 1 else None

    def refusal(self, approver: Approver) -> str:
        """Why this person may not approve, or an empty string."""
        who = {ANY, f"user:{approver.id}", *(f"role:{role}" for role in approver.roles)}
        for policy in self.policies:
            if not policy.is_auto and not who & set(policy.approvers):
                return f"The policy “{policy.name}” lets only {', '.join(policy.approvers)} approve this."
        return ""


class PolicyService:
    """The policies. Methods with a session work within the caller's transaction."""

    def __init__(self, database: Database, audit: AuditService) -> None:
        self._database = database
        self._audit = audit

    def all(self) -> list[Policy]:
        """Every policy."""
        with self._database.read() as session:
            return self.all_in(session)

    def all_in(self, session: Session) -> list[Policy]:
        """Every policy."""
        return [_policy(row) for row in repository.policies(session)]

    def projects_with_auto(self) -> set[str]:
        """The projects in which something is approved without a person."""
        return {policy.project_id for policy in self.all() if policy.is_auto}

    def add(
        self,
        name: str,
        *,
        actor: str,
        type_name: str = ANY,
        account: str = ANY,
        risk: str = ANY,
        amount_above_minor: int | None = None,
        approvers: Sequence[str] = (ANY,),
        people_needed: int = 1,
        is_auto: bool = False,
    ) -> Policy:
        """Add a policy; it counts for what is approved from now on. Raises: InvalidInput."""
        if type_name != ANY:
            proposals.type_named(type_name)
        if is_auto and (type_name == ANY or (account == ANY and ACTION_TYPES[type_name].risk == "write")):
            raise InvalidInput(
                "What is approved without a person must be named: its type, and its account if it changes something.",
                hint='Give "type" and "account" (platform:handle).',
            )
        if is_auto and people_needed > 1:
            raise InvalidInput("A policy cannot both approve by itself and need several people.", hint="Choose one.")
        row = PolicyRow(
            id=f"pol_{uuid.uuid4().hex}",
            name=name,
            type=type_name,
            account=account if account == ANY else account.casefold(),
            risk=risk,
            amount_above_minor=amount_above_minor,
            approvers=list(approvers),
            people_needed=people_needed,
            is_auto=is_auto,
            created_by=str(actor)[:100],
            created_at=clock.now(),
        )
        with self._database.write() as session:
            repository.add_policy(session, row)
            self._audit.record(session, "policy.added", actor=str(actor), detail=_told(row))
            return _policy(row)

    def remove(self, policy_id: str, *, actor: str) -> None:
        """Remove a policy. Raises: NotFound."""
        with self._database.write() as session:
            if not repository.remove_policy(session, policy_id):
                raise NotFound(
                    f"There is no policy {policy_id[:60]}.", hint="GET /api/v1/approval-policies lists them."
                )
            self._audit.record(session, "policy.removed", actor=str(actor), detail={"policy_id": policy_id})

    def requirement(self, session: Session, row: ActionRow) -> Requirement:
        """What the row needs to be approved."""
        return requirement(row, self.all_in(session))

    def require_allowed(self, needed: Requirement, approver: Approver) -> None:
        """Raises: Forbidden when a policy does not let this person approve."""
        if reason := needed.refusal(approver):
            raise Forbidden(reason, hint="Ask one of them; GET /api/v1/approval-policies lists the policies.")


def requirement(row: ActionRow, policies: Sequence[Policy]) -> Requirement:
    """What the row needs under these policies."""
    action_type = ACTION_TYPES.get(row.type)
    if not policies or action_type is None:
        return Requirement()
    amount = action_type.amount_minor(proposals.stored_params(row.type, row.params_json))
    account = account_label(proposals.account_of(row))
    own = [policy for policy in policies if policy.project_id == row.project_id]
    found = tuple(p for p in own if p.concerns(row.type, account, action_type.risk.value, amount))
    return Requirement(max((p.people_needed for p in found), default=1), found)


def _policy(row: PolicyRow) -> Policy:
    return Policy(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        type=row.type,
        account=row.account,
        risk=row.risk,
        amount_above_minor=row.amount_above_minor,
        approvers=tuple(row.approvers),
        people_needed=row.people_needed,
        is_auto=row.is_auto,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _told(row: PolicyRow) -> dict[str, Any]:
    names = ("id", "name", "type", "account", "risk", "amount_above_minor", "approvers", "people_needed", "is_auto")
    return {name: getattr(row, name) for name in names}
