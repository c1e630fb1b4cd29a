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
from app.accounts.vault import Purpose, Vault, VaultUnreadable
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
                session_sealed=None,
                created_at=clock.now(),
            )
            # In the transaction: a rotation gives old keys up only while it holds the write lock.
            login = {"username": new.username, "password": new.password}
            row.login_sealed = self._vault.seal(Purpose.LOGIN, _owner(row), login)
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

    def port(self, account_id: str) -> Account:
        """The account as action types see it. Raises: NotFound."""
        with self._database.read() as session:
            row = repository.by_id(session, account_id)
            if row is None:
                raise _unknown(account_id)
            return Account(row.platform, row.handle, row.base_url)

    def keep_login(self, account_id: str, state: dict[str, Any], actor: str) -> None:
        """Keep the storage state of a browser in which the owner logged in himself. Raises: NotFound."""
        with self._database.write() as session:
            row = repository.by_id(session, account_id)
            if row is None:
                raise _unknown(account_id)
            row.session_sealed = self._vault.seal(Purpose.SESSION, _owner(row), state)
            self._audit.record(session, "account.logged_in", actor=actor, detail=_named(row))

    def credential(self, account: Account) -> Credential:
        """The account's login, decrypted for one run.

        Raises: NotFound when it was removed or points elsewhere meanwhile; VaultUnreadable.
        """
        row = self._row_of(account)
        if row is None:
            raise NotFound(
                f"The account {account.handle} on {account.platform} is no longer connected as it was approved.",
                hint="Connect it again and propose the action anew.",
                code="account_gone",
            )
        login = self._opened(account, row, Purpose.LOGIN)
        if login is None:  # removed between two looks
            raise VaultUnreadable("The account's login is gone.", hint="Connect the account again.")
        return Credential(username=login["username"], password=login["password"])

    def load_session(self, account: Account) -> dict[str, Any] | None:
        """The browser storage state that was kept for the account, or None."""
        row = self._row_of(account)
        return self._opened(account, row, Purpose.SESSION) if row is not None else None

    def save_session(self, account: Account, state: dict[str, Any]) -> None:
        """Keep the browser storage state of the account, encrypted, if the account still exists."""
        with self._database.write() as session:
            row = repository.by_handle(session, account.platform, account.handle)
            if row is not None and row.base_url == account.base_url:
                row.session_sealed = self._vault.seal(Purpose.SESSION, _owner(row), state)

    def reseal(self, session: Session, limit: int) -> int:
        """Seal what is not under the vault's first key with it, within the caller's transaction, which must be a write.

        Returns how many values it sealed, ``limit`` at most; 0 when all are under the first key.

        Raises: VaultUnreadable when a value opens with no key; nothing is given up then.
        """
        count = 0
        for row in repository.every(session):
            for purpose, column in _SEALED.items():
                sealed = getattr(row, column)
                if sealed is None or self._vault.is_current(purpose, sealed) or count >= limit:
                    continue
                value = self._vault.open(purpose, _owner(row), sealed)
                setattr(row, column, self._vault.seal(purpose, _owner(row), value))
                count += 1
        return count

    def _row_of(self, account: Account) -> AccountRow | None:
        with self._database.read() as session:
            row = repository.by_handle(session, account.platform, account.handle)
        return row if row is not None and row.base_url == account.base_url else None

    def _opened(self, account: Account, row: AccountRow, purpose: Purpose) -> dict[str, Any] | None:
        """A sealed value of the row; looked up once more when a rotation has sealed it anew since."""
        sealed = getattr(row, _SEALED[purpose])
        if sealed is None:
            return None
        try:
            return self._vault.open(purpose, _owner(row), sealed)
        except VaultUnreadable:
            again = self._row_of(account)
            newer = getattr(again, _SEALED[purpose]) if again is not None else None
            if again is None or newer is None or newer == sealed:
                raise
            return self._vault.open(purpose, _owner(again), newer)

    def _tell_changed(self, session: Session) -> None:
        for listener in self.on_change:
            listener(session)


_SEALED = {Purpose.LOGIN: "login_sealed", Purpose.SESSION: "session_sealed"}


def _owner(row: AccountRow) -> str:
    """What a sealed value is bound to: neither another row nor another site can be given it."""
    return f"{row.id} {row.platform} {row.base_url}"


def _unknown(account_id: str) -> NotFound:
    return NotFound(f"There is no account {account_id}.", hint="GET /api/v1/accounts lists those there are.")


def _view(row: AccountRow) -> AccountView:
    return AccountView(row.id, row.platform, row.handle, row.base_url, row.created_at)


def _named(row: AccountRow) -> dict[str, Any]:
    return {"account_id": row.id, "platform": row.platform, "handle": row.handle, "base_url": row.base_url}
