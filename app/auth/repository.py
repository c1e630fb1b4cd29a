"""All SQL of sign-in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.auth.tables import BrowserSessionRow, SigninLinkRow


def add(session: Session, row: SigninLinkRow | BrowserSessionRow) -> None:
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


def has_session(session: Session, id_hash: str, at: datetime) -> bool:
    """Whether the browser session is there and has not expired."""
    query = select(BrowserSessionRow).where(BrowserSessionRow.id_hash == id_hash, BrowserSessionRow.expires_at > at)
    return session.scalars(query).one_or_none() is not None


def remove_session(session: Session, id_hash: str) -> None:
    """Sign the browser out."""
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.id_hash == id_hash))


def remove_expired(session: Session, at: datetime) -> None:
    """Forget links and sessions whose time is over."""
    session.execute(delete(SigninLinkRow).where(SigninLinkRow.expires_at <= at))
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.expires_at <= at))
