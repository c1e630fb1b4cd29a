"""People: signing up, logging in, a new password."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from app import clock
from app.audit.service import AuditService
from app.auth import passwords, repository
from app.auth.limiter import FailureLimiter
from app.auth.records import OWNER_ID, Actor, User
from app.auth.tables import PasswordResetRow, UserRow
from app.db.engine import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound, TooManyRequests
from app.settings import Settings
from app.text import refuse_control_characters

RESET_LIFETIME = timedelta(hours=1)
MAX_FAILURES = 10
FAILURE_WINDOW_S = 300.0
_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\\\]\x00-\x1f]{1,64}@[^@\s\"(),:;<>\[\\\]\x00-\x1f]{1,255}")


class UserService:
    """The people of one box."""

    def __init__(self, database: Database, audit: AuditService, settings: Settings) -> None:
        self._database = database
        self._audit = audit
        self._settings = settings
        self._failures = FailureLimiter(MAX_FAILURES, FAILURE_WINDOW_S)

    def sign_up(
        self,
        email: str,
        password: str,
        name: str,
        *,
        actor: Actor | None = None,
        accept_invitation: Callable[[Session, User], None] | None = None,
    ) -> User:
        """Make a user. The first one becomes the owner of the box and of what it holds.

        That needs proof where there is something to take over: the box's key or a session of its sign-in link, unless
        the box is unused and open to everybody who reaches it.

        Args:
            actor: who is signed in already, if anybody.
            accept_invitation: makes the new user a member, within the transaction; whoever was invited may sign up.

        Raises: InvalidInput, Conflict (the address is taken), Forbidden (not invited).
        """
        email, name = checked_email(email), checked_name(name)
        hashed = passwords.hash_of(passwords.checked_password(password, email))
        with self._database.write() as session:
            if repository.user_of_email(session, email) is not None:
                raise Conflict(
                    f"Somebody signed up as {email} already.",
                    hint="Log in, or set a new password if it is lost.",
                    code="email_taken",
                )
            row = self._claimed_owner(session, actor)
            if row is None:
                if accept_invitation is None and not self._settings.is_signup_open:
                    raise Forbidden(
                        "Signing up here needs an invitation.",
                        hint="Ask the owner of a project for a link, or open it with HERALD_SIGNUP=open.",
                        code="invitation_needed",
                    )
                row = UserRow(id=f"usr_{uuid.uuid4().hex}", is_box_owner=False, created_at=clock.now(), name=name)
            row.email, row.name, row.password_hash = email, name, hashed
            repository.add(session, row)
            if accept_invitation is not None:
                accept_invitation(session, _user(row))
            detail = {"user_id": row.id, "is_box_owner": row.is_box_owner}
            self._audit.record(session, "auth.signed_up", actor=name, detail=detail)
            return _user(row)

    def _claimed_owner(self, session: Session, actor: Actor | None) -> UserRow | None:
        """The owner's row, when nobody has signed up as them yet and this person may."""
        owner = repository.user(session, OWNER_ID)
        if owner is None or owner.email is not None:
            return None
        has_proof = actor is not None and actor.user_id == OWNER_ID
        is_free = self._settings.is_signup_open and not repository.is_box_used(session)
        return owner if has_proof or is_free else None

    def log_in(self, email: str, password: str, client: str) -> User:
        """The user of that address and password. A wrong address takes as long as a wrong password.

        Raises: NotAuthenticated, TooManyRequests.
        """
        email = email.strip().casefold()[:320]
        places = (f"mail {email}", f"client {client}")
        wait_s = max(self._failures.retry_after_s(place) for place in places)
        if wait_s:
            raise TooManyRequests(
                f"Too many wrong passwords; the next attempt is possible in {wait_s} s.",
                hint="If the password is lost, set a new one: `herald users reset` on the machine gives a link.",
                code="too_many_failures",
            )
        with self._database.read() as session:
            row = repository.user_of_email(session, email)
        if not passwords.is_right(password, row.password_hash if row else None) or row is None:
            for place in places:
                self._failures.add_failure(place)
            raise NotAuthenticated(
                "The mail address or the password is wrong.",
                hint="If the password is lost, set a new one: `herald users reset` on the machine gives a link.",
                code="login_failed",
            )
        return _user(row)

    def get(self, user_id: str) -> User:
        """Raises: NotFound."""
        with self._database.read() as session:
            row = repository.user(session, user_id)
        if row is None:
            raise NotFound(f"There is no user {user_id[:60]}.")
        return _user(row)

    def all(self) -> list[User]:
        """Everybody."""
        with self._database.read() as session:
            return [_user(row) for row in repository.users(session)]

    def create_reset_link(self, email: str) -> str:
        """A link that sets a new password, once, within an hour. Raises: NotFound."""
        token = secrets.token_urlsafe(32)
        at = clock.now()
        with self._database.write() as session:
            row = repository.user_of_email(session, email.strip().casefold())
            if row is None:
                raise NotFound(
                    f"Nobody signed up as {email[:100]}.",
                    hint="`herald users list` shows who did.",
                    code="no_such_user",
                )
            repository.remove_expired(session, at)
            repository.add(
                session,
                PasswordResetRow(
                    token_hash=_hash(token), user_id=row.id, created_at=at, expires_at=at + RESET_LIFETIME
                ),
            )
            self._audit.record(session, "auth.reset_link_created", actor="herald", detail={"user_id": row.id})
        return f"{self._settings.link_url}/reset?token={token}"

    def reset_password(self, token: str, password: str) -> User:
        """Set the password; every session and every other link of the user ends.

        Raises: InvalidInput (also when the link is unknown, used or expired).
        """
        with self._database.write() as session:
            row = repository.use_reset(session, _hash(token), clock.now())
            if row is None:
                raise InvalidInput(
                    "This link is unknown, used already or older than an hour.",
                    hint="Ask for a new one.",
                    code="link_invalid",
                )
            row.password_hash = passwords.hash_of(passwords.checked_password(password, row.email or ""))
            repository.remove_sessions_of(session, row.id)
            repository.remove_resets_of(session, row.id)
            self._audit.record(session, "auth.password_reset", actor=row.name, detail={"user_id": row.id})
            return _user(row)


def checked_email(email: str) -> str:
    """The address as it is stored and compared. Raises: InvalidInput."""
    email = email.strip().casefold()
    if len(email) > 320 or not _EMAIL.fullmatch(email) or any(0xD800 <= ord(c) <= 0xDFFF for c in email):
        raise InvalidInput(f"{email[:80]!r} is not a mail address.", hint="Write it as name@example.com.")
    return email


def checked_name(name: str) -> str:
    """The name as it is shown. Raises: InvalidInput."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 80:
        raise InvalidInput(f"The name has {len(name)} characters; 1 to 80 are allowed.")
    refuse_control_characters(name, "The name")
    return name


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()


def _user(row: UserRow) -> User:
    return User(row.id, row.email, row.name, row.is_box_owner, row.created_at)
