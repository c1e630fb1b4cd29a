"""Connecting and removing accounts, and the decryption of a login for one run."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app import clock
from app.accounts import repository
from app.accounts.tables import AccountRow
from app.accounts.vault import Vault
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import Conflict, NotFound
from automation.actions.base import Account, Credential


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A login that the owner entered."""

    platform: str
    handle: str
    username: str
    base_url: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account without its secrets."""

    id: str
    platform: str
    handle: str
    base_url: str
    created_at: datetime


class AccountService:
    """Accounts and their secrets.

    ``on_change`` functions are called with the open transaction after an account was added or removed.
    """

    def __init__(self, database: Database, audit: AuditService, vault: Vault) -> None:
        self._database = database
        self._audit = audit
        self._vault = vault
        self.on_change: list[Callable[[Session], None]] = []

    def create(self, new: NewAccount, actor: str) -> AccountView:
        """Connect an account.

        Raises: Conflict when the platform's handle is connected already.
        """
        sealed = self._vault.seal({"username": new.username, "password": new.password})
        with self._database.write() as session:
            if repository.by_handle(session, new.platform, new.handle) is not None:
                raise Conflict(
                    f"The account {new.handle} on {new.platform} is connected already.",
                    hint="Delete it first to enter a new password.",
                    code="account_exists",
                )
            row = AccountRow(
                id=f"acc_{uuid.uuid4().hex}",
                platform=new.platform,
                handle=new.handle,
                base_url=new.base_url,
                login_sealed=sealed,
                session_sealed=None,
                created_at=clock.now(),
            )
            repository.add(session, row)
            self._audit.record(session, "account.connected", actor=actor, detail=_named(row))
            self._tell_changed(session)
            return _view(row)

    def all(self) -> list[AccountView]:
        """All accounts, without their secrets."""
        with self._database.read() as session:
            return [_view(row) for row in repository.every(session)]

    def delete(self, account_id: str, actor: str) -> None:
        """Forget the account, its login and its session.

        Raises: NotFound.
        """
        with self._database.write() as session:
            row = repository.by_id(session, account_id)
            if row is None:
                raise NotFound(f"There is no account {account_id}.", hint="GET /api/v1/accounts lists those there are.")
            self._audit.record(session, "account.removed", actor=actor, detail=_named(row))
            repository.remove(session, account_id)
            self._tell_changed(session)

    def ports(self, session: Session) -> tuple[Account, ...]:
        """The accounts as action types see them, within the caller's transaction."""
        return tuple(Account(r.platform, r.handle, r.base_url) for r in repository.every(session))

    def credential(self, account: Account) -> Credential:
        """The account's login, decrypted for one run.

        Raises: NotFound when it was removed or points elsewhere meanwhile; VaultUnreadable.
        """
        with self._database.read() as session:
            row = repository.by_handle(session, account.platform, account.handle)
        if row is None or row.base_url != account.base_url:
            raise NotFound(
                f"The account {account.handle} on {account.platform} is no longer connected as it was approved.",
                hint="Connect it again and propose the action anew.",
                code="account_gone",
            )
        login = self._vault.open(row.login_sealed)
        return Credential(username=login["username"], password=login["password"])

    def load_session(self, account: Account) -> dict[str, Any] | None:
        """The browser storage state that was kept for the account, or None."""
        with self._database.read() as session:
            row = repository.by_handle(session, account.platform, account.handle)
        if row is None or row.session_sealed is None or row.base_url != account.base_url:
            return None
        return self._vault.open(row.session_sealed)

    def save_session(self, account: Account, state: dict[str, Any]) -> None:
        """Keep the browser storage state of the account, encrypted."""
        sealed = self._vault.seal(state)
        with self._database.write() as session:
            repository.set_session(session, account.platform, account.handle, sealed)

    def _tell_changed(self, session: Session) -> None:
        for listener in self.on_change:
            listener(session)


def _view(row: AccountRow) -> AccountView:
    return AccountView(row.id, row.platform, row.handle, row.base_url, row.created_at)


def _named(row: AccountRow) -> dict[str, Any]:
    return {"account_id": row.id, "platform": row.platform, "handle": row.handle, "base_url": row.base_url}
