"""A project's lists of hosts: kept by its owners, obeyed by the proxy."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import InvalidInput
from app.network.tables import NetworkRow
from automation.host_rules import MAX_HOSTS, HostRules, host_entry


class NetworkService:
    """The lists of the project that the database is limited to."""

    def __init__(self, database: Database, audit: AuditService) -> None:
        self._database = database
        self._audit = audit

    def rules(self) -> HostRules:
        """The lists as they are now."""
        with self._database.read() as session:
            row = session.scalar(select(NetworkRow))
            return HostRules(tuple(row.allowed), tuple(row.denied), tuple(row.own)) if row else HostRules()

    def replace(self, allowed: list[str], denied: list[str], own: list[str], actor: str) -> HostRules:
        """Keep these lists in place of what was there. Raises: InvalidInput."""
        rules = HostRules(_entries("allowed", allowed), _entries("denied", denied), _entries("own", own))
        with self._database.write() as session:
            row = session.scalar(select(NetworkRow))
            if row is None:
                row = NetworkRow(id=f"net_{uuid.uuid4().hex}")
                session.add(row)
            row.allowed, row.denied, row.own = list(rules.allowed), list(rules.denied), list(rules.own)
            detail = {"allowed": list(rules.allowed), "denied": list(rules.denied), "own": list(rules.own)}
            self._audit.record(session, "network.changed", actor=actor, detail=detail)
        return rules


def _entries(name: str, texts: list[str]) -> tuple[str, ...]:
    if len(texts) > MAX_HOSTS:
        raise InvalidInput(
            f"The list {name!r} has {len(texts)} hosts; {MAX_HOSTS} are allowed.",
            hint="An entry also means everything below it: example.com is also www.example.com.",
        )
    try:
        return tuple(sorted({host_entry(text) for text in texts}))
    except ValueError as error:
        raise InvalidInput(str(error), hint=f"Correct it in the list {name!r}.") from error
