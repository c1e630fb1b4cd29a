"""All SQL of accounts."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.accounts.tables import AccountRow


def add(session: Session, row: AccountRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def every(session: Session) -> list[AccountRow]:
    """All accounts, by platform and handle."""
    return list(session.scalars(select(AccountRow).order_by(AccountRow.platform, AccountRow.handle)))


def by_id(session: Session, account_id: str) -> AccountRow | None:
    """The account, if there is one."""
    return session.get(AccountRow, account_id)


def by_handle(session: Session, platform: str, handle: str) -> AccountRow | None:
    """The platform's account of that handle, if there is one."""
    query = select(AccountRow).where(AccountRow.platform == platform, AccountRow.handle == handle)
    return session.scalars(query).one_or_none()


def remove(session: Session, account_id: str) -> bool:
    """Delete the account; False when there was none."""
    query = delete(AccountRow).where(AccountRow.id == account_id).returning(AccountRow.id)
    return session.scalar(query) is not None
