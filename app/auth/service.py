"""Checking keys, making and redeeming sign-in links, checking and ending browser sessions."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from functools import cached_property

from itsdangerous import BadData, URLSafeTimedSerializer

from app import clock, keys
from app.audit.service import AuditService
from app.auth import repository
from app.auth.records import OWNER_ID, Actor, Via
from app.auth.tables import LoginSessionRow, SigninLinkRow, UserRow
from app.db.engine import Database
from app.errors import NotAuthenticated
from app.settings import Settings

LINK_LIFETIME = timedelta(hours=24)
SESSION_LIFETIME = timedelta(days=30)
COOKIE = "herald_session"


class AuthService:
    """Keys, links and sessions of one box."""

    def __init__(self, database: Database, audit: AuditService, settings: Settings) -> None:
        self._database = database
        self._audit = audit
        self._settings = settings

    def load_keys(self) -> None:
        """Read or make the keys now, so that a broken key file stops the start instead of every request.

        Raises: KeyUnreadable.
        """
        assert self._api_key_hash
        assert self._signer

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
        return f"{(base_url or self._settings.public_url).rstrip('/')}/signin?token={token}"

    def redeem(self, token: str) -> str:
        """Use the link up and open a browser session; returns the cookie's value.

        Raises: NotAuthenticated when the link is unknown, used or expired.
        """
        session_id = secrets.token_urlsafe(32)
        at = clock.now()
        with self._database.write() as session:
            is_used_now = repository.use_link(session, _hash(token), at)
            if is_used_now:
                repository.add(
                    session,
                    LoginSessionRow(
                        id_hash=_hash(session_id),
                        user_id=OWNER_ID,
                        via="session",
                        created_at=at,
                        expires_at=at + SESSION_LIFETIME,
                    ),
                )
                self._audit.record(session, "auth.signed_in", actor="owner")
        if not is_used_now:
            raise NotAuthenticated(
                "This sign-in link is unknown, used already or older than 24 hours.",
                hint="Run `herald signin` for a new one.",
                code="link_invalid",
            )
        return self._signer.dumps(session_id)

    def actor_of_cookie(self, cookie: str) -> Actor | None:
        """Whose browser it is; None unless the cookie is ours, unaltered, not expired and not signed out."""
        session_id = self._session_id(cookie)
        if session_id is None:
            return None
        with self._database.read() as session:
            user = repository.user_of_session(session, _hash(session_id), "session", clock.now())
        return _actor(user, "session") if user else None

    def actor_of_key(self, presented: str) -> Actor | None:
        """Whose key it is: the box's own key acts as the owner of the box."""
        if not self.is_key_valid(presented):
            return None
        with self._database.read() as session:
            owner = repository.user(session, OWNER_ID)
        return _actor(owner, "api_key") if owner else None

    def sign_out(self, cookie: str) -> None:
        """End the browser session; the cookie is worthless afterwards."""
        session_id = self._session_id(cookie)
        if session_id is not None:
            with self._database.write() as session:
                repository.remove_session(session, _hash(session_id))
                self._audit.record(session, "auth.signed_out", actor="owner")

    def _session_id(self, cookie: str) -> str | None:
        try:
            session_id = self._signer.loads(cookie, max_age=int(SESSION_LIFETIME.total_seconds()))
        except BadData:
            return None
        return session_id if isinstance(session_id, str) else None

    @cached_property
    def _api_key_hash(self) -> str:
        return _hash(self._settings.api_key_text())

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
