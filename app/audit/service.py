"""Recording, reading and checking the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock, correlation
from app.audit import anchor, chain, repository
from app.audit.anchor import AnchorUnreadable
from app.audit.chain import Finding, Head
from app.audit.tables import AuditRow
from app.db.engine import Database, after_commit
from app.db.scope import scope_of
from app.errors import AppError, Conflict

log = structlog.get_logger(__name__)

ANCHOR_FILE = "audit.anchor"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event of the log. ``hash`` covers the event and the hash of the one before it."""

    id: int
    at: datetime
    actor: str
    event: str
    action_id: str | None
    detail: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the whole log found; ``is_sound`` when nothing."""

    rows: int
    head: Head | None
    anchors: dict[str, Head]
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing was altered, removed, inserted or cut off."""
        return not self.findings


class AuditService:
    """Writes within the transaction of what it records, so that neither can be there without the other.

    Args:
        second_anchor: another file that the chain's head is written to, on another disk or machine.
    """

    def __init__(self, database: Database, second_anchor: Path | None = None) -> None:
        self._database = database
        own = database.path.with_name(ANCHOR_FILE)
        self.anchor_paths: tuple[Path, ...] = (own, second_anchor) if second_anchor else (own,)

    def record(
        self,
        session: Session,
        event: str,
        *,
        actor: str,
        action_id: str | None = None,
        project_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Add one event (``action.approved``) to the caller's transaction. ``detail`` must hold no secret.

        An action's event keeps the id of the request that it came with, if any, under ``request_id``.
        It belongs to the named project or the transaction's, or else to its action's, or else to the whole box.
        The session must come from ``Database.write``, whose lock keeps the chain in one line. The chain's new head is
        anchored once that transaction has committed.
        """
        project_id = (
            project_id or scope_of(session) or (repository.project_of_action(session, action_id) if action_id else None)
        )
        if action_id and (request_id := correlation.request_id()):
            detail = {**(detail or {}), "request_id": request_id}
        row = AuditRow(
            at=clock.now(),
            actor=actor[:100],
            event=event,
            action_id=action_id,
            project_id=project_id,
            detail=detail or {},
        )
        head = repository.append(session, row)
        after_commit(session, "anchor", lambda: self._advance_all(head))

    def has_happened(self, session: Session, action_id: str, events: Sequence[str]) -> bool:
        """Whether the log holds one of these events of the action, within the caller's transaction."""
        return repository.has_event(session, action_id, events)

    def request_of(self, session: Session, action_id: str) -> str:
        """The id of the newest request that had to do with the action, within the caller's transaction; or empty."""
        return repository.newest_request_id(session, action_id)

    def entries(self, action_id: str | None = None, limit: int = 100, before_id: int | None = None) -> list[AuditEntry]:
        """The newest events first."""
        with self._database.read() as session:
            rows = repository.newest(session, action_id, limit, before_id)
            return [AuditEntry(r.id, r.at, r.actor, r.event, r.action_id, r.detail, r.hash) for r in rows]

    def verify(self) -> Verdict:
        """Check every row against the chain and the chain against its anchors, in one snapshot of the database."""
        anchors, findings = self._read_anchors()  # before the rows: a row that commits meanwhile is newer than both
        with self._database.read() as session:
            head = repository.head(session)
            found, count = chain.verify(repository.all_stored(session), anchors)
        if count and not anchors and not findings:
            findings.append(
                Finding(None, f"The log has {count} rows, but nothing anchors it: {self.anchor_paths[0]} is gone.")
            )
        return Verdict(count, head, anchors, (*findings, *found))

    def anchor(self, *, accept: bool = False, actor: str = "herald") -> Head | None:
        """Write down the head now, in every place; None when the log is empty.

        Args:
            accept: anchor the log as it stands, although it is not the one that was anchored (a backup was restored).
                That it was done, and what the anchors said, becomes a row of its own.

        Raises: Conflict when the anchored row is not in the log; AnchorUnreadable, AppError.
        """
        if accept:
            verdict = self.verify()
            detail = {
                "was": {place: {"id": head.id, "hash": head.hash} for place, head in verdict.anchors.items()},
                "findings": [finding.message for finding in verdict.findings][:20],
            }
            with self._database.write() as session:
                self.record(session, "audit.reanchored", actor=actor, detail=detail)
        with self._database.read() as session:
            head = repository.head(session)
        if head is None:
            return None
        for path in self.anchor_paths:
            try:
                denied = anchor.advance(path, head, still_holds=self._holds, force=accept)
            except OSError as error:
                raise AppError(
                    f"The audit anchor {path} cannot be written: {error.strerror or error}.",
                    hint="Check the folder's rights and the space on its disk.",
                    code="anchor_unwritable",
                ) from error
            if denied is not None:
                raise Conflict(
                    f"The log no longer has row {denied.id} as {path} anchored it, so the anchor was left as it is.",
                    hint="`herald audit verify` says more; `herald audit anchor --accept` anchors what is there.",
                    code="anchor_mismatch",
                )
        return head

    def catch_up(self) -> None:
        """At start: anchor what a crash left unanchored. Never raises for a fault of the log; it is logged."""
        with self._database.read() as session:
            head = repository.head(session)
        if head is not None:
            self._advance_all(head)

    def _advance_all(self, head: Head) -> None:
        for path in self.anchor_paths:
            try:
                denied = anchor.advance(path, head, still_holds=self._holds)
            except (OSError, AppError) as error:  # the rows are committed; `audit verify` and the next commit go on
                log.error("audit_not_anchored", path=str(path), row=head.id, error=str(error))
                continue
            if denied is not None:
                log.error("audit_anchor_mismatch", path=str(path), anchored_row=denied.id, row=head.id)

    def _holds(self, link: Head) -> bool:
        with self._database.read() as session:
            return repository.holds(session, link)

    def _read_anchors(self) -> tuple[dict[str, Head], list[Finding]]:
        anchors: dict[str, Head] = {}
        findings: list[Finding] = []
        for path in self.anchor_paths:
            try:
                head = anchor.read(path)
            except AnchorUnreadable as error:
                findings.append(Finding(None, error.message))
                continue
            if head is not None:
                anchors[str(path)] = head
        return anchors, findings
