"""All SQL of sign-in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.auth.tables import LoginSessionRow, SigninLinkRow, UserRow


def add(session: Session, row: SigninLinkRow | LoginSessionRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def use_link(session: Session, token_hash: str, at: datetime) -> bool:
    """Use the link up; False when there is no such link, or it is used or expired."""
    used = session.scalar(
        update(SigninLinkRow)
        .where(SigninLinkRow.token_hash == token_hash, SigninLinkRow.used_at.is_(None), SigninLinkRow.expires_at > at)
        .values(used_at=at)
        .returning(SigninLinkRow.token_hash)
    )
    return used is not None


def user(session: Session, user_id: str) -> UserRow | None:
    """The user, if there is one."""
    return session.get(UserRow, user_id)


def user_of_session(session: Session, id_hash: str, via: str, at: datetime) -> UserRow | None:
    """Whose session it is; None when there is none of that kind, or it has expired."""
    query = (
        select(UserRow)
        .join(LoginSessionRow, LoginSessionRow.user_id == UserRow.id)
        .where(LoginSessionRow.id_hash == id_hash, LoginSessionRow.via == via, LoginSessionRow.expires_at > at)
    )
    return session.scalars(query).one_or_none()


def remove_session(session: Session, id_hash: str) -> None:
    """Sign the browser out."""
    session.execute(delete(LoginSessionRow).where(LoginSessionRow.id_hash == id_hash))


def remove_expired(session: Session, at: datetime) -> None:
    """Forget links and sessions whose time is over."""
    session.execute(delete(SigninLinkRow).where(SigninLinkRow.expires_at <= at))
    session.execute(delete(LoginSessionRow).where(LoginSessionRow.expires_at <= at))
