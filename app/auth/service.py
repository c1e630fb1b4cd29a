"""Checking keys, making and redeeming sign-in links, checking and ending browser sessions."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from functools import cached_property

import jwt
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from app import clock, keys
from app.audit.service import AuditService
from app.auth import repository
from app.auth.api_keys import PREFIX as KEY_PREFIX
from app.auth.api_keys import ApiKeyService
from app.auth.records import OWNER_ID, Actor, User, Via
from app.auth.tables import LoginSessionRow, SigninLinkRow, UserRow
from app.auth.users import UserService
from app.db.engine import Database
from app.errors import NotAuthenticated
from app.settings import Settings

LINK_LIFETIME = timedelta(hours=24)
SESSION_LIFETIME = timedelta(days=30)
TOKEN_LIFETIME = timedelta(hours=8)
TOKEN_ALGORITHM = "HS256"  # noqa: S105 - a name
COOKIE = "herald_session"
PROJECT_COOKIE = "herald_project"
"""The project that is open in the browser. It only chooses among the user's own."""


class AuthService:
    """Keys, links and sessions of one box. ``users`` are its people, ``keys`` their own keys."""

    def __init__(self, database: Database, audit: AuditService, settings: Settings) -> None:
        self._database = database
        self._audit = audit
        self._settings = settings
        self.keys = ApiKeyService(database, audit)
        self.users = UserService(database, audit, settings)

    def load_keys(self) -> None:
        """Read or make the keys now, so that a broken key file stops the start instead of every request.

        Raises: KeyUnreadable.
        """
        assert self._api_key_hash
        assert self._signer
        assert self._token_key

    def is_key_valid(self, presented: str) -> bool:
        """Whether it is the API key, compared in constant time."""
        return hmac.compare_digest(_hash(presented), self._api_key_hash)

    def create_signin_link(self, base_url: str | None = None) -> str:
        """A link that signs one browser in, once, within 24 hours."""
        token = secrets.token_urlsafe(32)
        at = clock.now()
        with self._database.write() as session:
            repository.remove_expired(session, at)
            repository.add(
                session,
                SigninLinkRow(token_hash=_hash(token), created_at=at, expires_at=at + LINK_LIFETIME, used_at=None),
            )
            self._audit.record(session, "auth.link_created", actor="herald")
        return f"{(base_url or self._settings.link_url).rstrip('/')}/signin?token={token}"

    def redeem(self, token: str) -> str:
        """Use the link up and open a browser session of the box's owner; returns the cookie's value.

        Raises: NotAuthenticated when the link is unknown, used or expired.
        """
        with self._database.write() as session:
            is_used_now = repository.use_link(session, _hash(token), clock.now())
            if is_used_now:
                session_id = self._open_in(session, OWNER_ID, "owner", "session")
        if not is_used_now:
            raise NotAuthenticated(
                "This sign-in link is unknown, used already or older than 24 hours.",
                hint="Run `herald signin` for a new one.",
                code="link_invalid",
            )
        return self._signer.dumps(session_id)

    def open_browser_session(self, user: User) -> str:
        """A new session of the user, under a new id; returns the cookie's value."""
        with self._database.write() as session:
            return self._signer.dumps(self._open_in(session, user.id, user.name, "session"))

    def issue_token(self, user: User) -> str:
        """An access token for programs (a JWT): it ends after 8 hours, at a log-out and with a new password."""
        with self._database.write() as session:
            session_id = self._open_in(session, user.id, user.name, "token")
        at = clock.now()
        claims = {"sub": user.id, "sid": session_id, "iat": at, "exp": at + TOKEN_LIFETIME}
        return jwt.encode(claims, self._token_key, algorithm=TOKEN_ALGORITHM)

    def actor_of_cookie(self, cookie: str) -> Actor | None:
        """Whose browser it is; None unless the cookie is ours, unaltered, not expired and not signed out."""
        session_id = self._session_id(cookie)
        return None if session_id is None else self._actor_of_session(session_id, "session")

    def actor_of_key(self, presented: str) -> Actor | None:
        """Whose key or token it is; the box's own key acts as the owner of the box.

        Raises: TooManyRequests when a key's day is used up.
        """
        if self.is_key_valid(presented):
            with self._database.read() as session:
                owner = repository.user(session, OWNER_ID)
            return _actor(owner, "api_key") if owner else None
        if presented.startswith(KEY_PREFIX):
            return self.keys.actor_of(presented)
        session_id = self._session_id_of_token(presented)
        return None if session_id is None else self._actor_of_session(session_id, "token")

    def sign_out(self, cookie: str) -> None:
        """End the browser session; the cookie is worthless afterwards."""
        session_id = self._session_id(cookie)
        if session_id is not None:
            self._end(session_id)

    def revoke_token(self, token: str) -> None:
        """End the access token; it is worthless afterwards."""
        session_id = self._session_id_of_token(token)
        if session_id is not None:
            self._end(session_id)

    def _open_in(self, session: Session, user_id: str, name: str, via: Via) -> str:
        session_id = secrets.token_urlsafe(32)
        at = clock.now()
        lifetime = SESSION_LIFETIME if via == "session" else TOKEN_LIFETIME
        repository.remove_expired(session, at)
        row = LoginSessionRow(
            id_hash=_hash(session_id), user_id=user_id, via=via, created_at=at, expires_at=at + lifetime
        )
        repository.add(session, row)
        self._audit.record(session, "auth.signed_in", actor=name, detail={"user_id": user_id, "via": via})
        return session_id

    def _end(self, session_id: str) -> None:
        with self._database.write() as session:
            id_hash = _hash(session_id)
            user = repository.user_of_session(session, id_hash, "session", clock.now())
            user = user or repository.user_of_session(session, id_hash, "token", clock.now())
            repository.remove_session(session, id_hash)
            self._audit.record(session, "auth.signed_out", actor=user.name if user else "nobody")

    def _actor_of_session(self, session_id: str, via: Via) -> Actor | None:
        with self._database.read() as session:
            user = repository.user_of_session(session, _hash(session_id), via, clock.now())
        return _actor(user, via) if user else None

    def _session_id(self, cookie: str) -> str | None:
        try:
            session_id = self._signer.loads(cookie, max_age=int(SESSION_LIFETIME.total_seconds()))
        except BadData:
            return None
        return session_id if isinstance(session_id, str) else None

    def _session_id_of_token(self, token: str) -> str | None:
        try:
            claims = jwt.decode(
                token, self._token_key, algorithms=[TOKEN_ALGORITHM], options={"require": ["sub", "sid", "exp"]}
            )
        except (jwt.PyJWTError, ValueError):
            return None
        return str(claims["sid"])

    @cached_property
    def _api_key_hash(self) -> str:
        return _hash(self._settings.api_key_text())

    @cached_property
    def _token_key(self) -> str:
        return keys.read_or_create_key(self._settings.home, keys.TOKEN_KEY)

    @cached_property
    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            keys.read_or_create_key(self._settings.home, keys.SESSION_KEY),
            salt="herald-session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )


def _actor(user: UserRow, via: Via) -> Actor:
    return Actor(user.id, user.name, user.is_box_owner, via)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()
