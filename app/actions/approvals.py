"""Approvals as signed rows: made by a person's decision (or a policy's), checked again by whoever is about to act.

The signature is an HMAC-SHA256 with a key of its own (``keys/approval.key``). Who can write to the database but has not
that key can approve nothing: neither another digest, nor another action, nor a later expiry, nor one person for two.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app import clock, keys
from app.actions import proposals, repository
from app.actions.rules import canonical_json, digest_of
from app.actions.tables import ActionRow, ApprovalRow


@dataclass(frozen=True, slots=True)
class Approver:
    """Who decides: a person with their roles, or with ``policy_id`` the policy that a person made."""

    id: str
    name: str
    roles: frozenset[str] = frozenset()
    policy_id: str | None = None


class ApprovalDesk:
    """Signs approvals and checks them. The key is read (or made) at first use."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._key = b""

    def approve(self, session: Session, row: ActionRow, approver: Approver, people_needed: int) -> ApprovalRow:
        """Add the approver's signed approval of the row's present digest."""
        approval = ApprovalRow(
            id=f"apr_{uuid.uuid4().hex}",
            action_id=row.id,
            digest=row.digest,
            approver_id=approver.id[:100],
            approver=approver.name[:100],
            policy_id=approver.policy_id,
            people_needed=people_needed,
            created_at=clock.now(),
            expires_at=row.expires_at,
        )
        approval.signature = self._signature(approval)
        repository.add_approval(session, approval)
        return approval

    def valid(self, session: Session, row: ActionRow) -> list[ApprovalRow]:
        """The approvals of the row's present digest that hold: signed, not void, not expired; one a person."""
        found: dict[str, ApprovalRow] = {}
        for approval in repository.approvals_of(session, [row.id]):
            is_fitting = approval.digest == row.digest and approval.voided_at is None
            if is_fitting and approval.expires_at > clock.now() and self._is_genuine(approval):
                found.setdefault(approval.approver_id, approval)
        return list(found.values())

    def refusal(self, session: Session, row: ActionRow, *, has_begun: bool) -> str:
        """Why the stored bytes must not be carried out, or an empty string.

        The digest is taken again over what is stored now. ``has_begun``: a repetition with the same key on a keyed
        platform, which uses the approval that it used before.
        """
        if current_digest(row) != row.digest:
            return "What is stored is not what was approved."
        approvals = self.valid(session, row)
        if not approvals:
            return "There is no valid approval of what is stored."
        if any(a.used_at is not None for a in approvals) and not has_begun:
            return "Its approval was used before."
        needed = max(a.people_needed for a in approvals)
        if len(approvals) < needed:
            return f"It needs the approval of {needed} people and has that of {len(approvals)}."
        return ""

    def use(self, session: Session, row: ActionRow) -> None:
        """Mark the row's approvals as used: they never count again."""
        for approval in repository.approvals_of(session, [row.id]):
            approval.used_at = approval.used_at or clock.now()

    def void(self, session: Session, row: ActionRow) -> None:
        """Take the row's approvals back."""
        for approval in repository.approvals_of(session, [row.id]):
            approval.voided_at = approval.voided_at or clock.now()

    def _is_genuine(self, approval: ApprovalRow) -> bool:
        return hmac.compare_digest(self._signature(approval), approval.signature)

    def _signature(self, approval: ApprovalRow) -> str:
        signed = {
            "id": approval.id,
            "action_id": approval.action_id,
            "digest": approval.digest,
            "approver_id": approval.approver_id,
            "approver": approval.approver,
            "policy_id": approval.policy_id,
            "people_needed": approval.people_needed,
            "created_at": clock.to_iso(approval.created_at),
            "expires_at": clock.to_iso(approval.expires_at),
        }
        if not self._key:
            self._key = keys.read_or_create_key(self._home, keys.APPROVAL_KEY).encode()
        return hmac.new(self._key, canonical_json(signed).encode(), hashlib.sha256).hexdigest()


def current_digest(row: ActionRow) -> str:
    """The digest of what the row holds now."""
    return digest_of(
        row.type,
        row.params_json,
        proposals.account_of(row),
        row.expires_at,
        target=row.target,
        not_before=row.not_before,
        intent_id=row.intent_id,
        project_id=row.project_id,
    )
