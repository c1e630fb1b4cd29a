"""All SQL of users and of what lets them in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from app.auth.tables import ApiKeyRow, LoginSessionRow, PasswordResetRow, SigninLinkRow, UserRow

Row = UserRow | SigninLinkRow | LoginSessionRow | ApiKeyRow | PasswordResetRow


def add(session: Session, row: Row) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


# -- users


def user(session: Session, user_id: str) -> UserRow | None:
    """The user, if there is one."""
    return session.get(UserRow, user_id)


def user_of_email(session: Session, email: str) -> UserRow | None:
    """The user of that (normalised) address, if there is one."""
    return session.scalars(select(UserRow).where(UserRow.email == email)).one_or_none()


def users(session: Session) -> list[UserRow]:
    """Everybody, the oldest first."""
    return list(session.scalars(select(UserRow).order_by(UserRow.created_at, UserRow.id)))


def is_box_used(session: Session) -> bool:
    """Whether anything was done on this box but signing in."""
    query = text(
        "SELECT EXISTS (SELECT 1 FROM audit WHERE event NOT LIKE 'auth.%') OR EXISTS (SELECT 1 FROM conversations)"
    )
    return bool(session.execute(query).scalar_one())


# -- links and sessions


def use_link(session: Session, token_hash: str, at: datetime) -> bool:
    """Use the link up; False when there is no such link, or it is used or expired."""
    used = session.scalar(
        update(SigninLinkRow)
        .where(SigninLinkRow.token_hash == token_hash, SigninLinkRow.used_at.is_(None), SigninLinkRow.expires_at > at)
        .values(used_at=at)
        .returning(SigninLinkRow.token_hash)
    )
    return used is not None


def user_of_session(session: Session, id_hash: str, via: str, at: datetime) -> UserRow | None:
    """Whose session it is; None when there is none of that kind, or it has expired."""
    query = (
        select(UserRow)
        .join(LoginSessionRow, LoginSessionRow.user_id == UserRow.id)
        .where(LoginSessionRow.id_hash == id_hash, LoginSessionRow.via == via, LoginSessionRow.expires_at > at)
    )
    return session.scalars(query).one_or_none()


def remove_session(session: Session, id_hash: str) -> None:
    """Sign the browser or the program out."""
    session.execute(delete(LoginSessionRow).where(LoginSessionRow.id_hash == id_hash))


def remove_sessions_of(session: Session, user_id: str) -> None:
    """Sign the user out everywhere."""
    session.execute(delete(LoginSessionRow).where(LoginSessionRow.user_id == user_id))


def remove_expired(session: Session, at: datetime) -> None:
    """Forget links and sessions whose time is over."""
    session.execute(delete(SigninLinkRow).where(SigninLinkRow.expires_at <= at))
    session.execute(delete(LoginSessionRow).where(LoginSessionRow.expires_at <= at))
    session.execute(delete(PasswordResetRow).where(PasswordResetRow.expires_at <= at))


def use_reset(session: Session, token_hash: str, at: datetime) -> UserRow | None:
    """Use the reset link up; None when there is no such link or it is expired."""
    user_id = session.scalar(
        delete(PasswordResetRow)
        .where(PasswordResetRow.token_hash == token_hash, PasswordResetRow.expires_at > at)
        .returning(PasswordResetRow.user_id)
    )
    return user(session, user_id) if user_id else None


def remove_resets_of(session: Session, user_id: str) -> None:
    """Make every reset link of the user worthless."""
    session.execute(delete(PasswordResetRow).where(PasswordResetRow.user_id == user_id))


# -- API keys


def api_key_of_secret(session: Session, secret_hash: str) -> tuple[ApiKeyRow, UserRow] | None:
    """The key of that secret and whose it is."""
    query = (
        select(ApiKeyRow, UserRow)
        .join(UserRow, UserRow.id == ApiKeyRow.user_id)
        .where(ApiKeyRow.secret_hash == secret_hash)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


def api_keys_of(session: Session, user_id: str) -> list[ApiKeyRow]:
    """The user's keys, the oldest first."""
    query = select(ApiKeyRow).where(ApiKeyRow.user_id == user_id).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
    return list(session.scalars(query))


def api_key(session: Session, key_id: str, user_id: str) -> ApiKeyRow | None:
    """The user's key of that id."""
    query = select(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.user_id == user_id)
    return session.scalars(query).one_or_none()


def remove_api_key(session: Session, key_id: str) -> None:
    """Make the key worthless."""
    session.execute(delete(ApiKeyRow).where(ApiKeyRow.id == key_id))
