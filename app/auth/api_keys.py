"""Users' own keys for programs: made, rotated, withdrawn, and counted against the tier of each day."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from app import clock
from app.audit.service import AuditService
from app.auth import repository
from app.auth.records import SCOPES, TIERS, Actor, ApiKey
from app.auth.tables import ApiKeyRow
from app.db.engine import Database
from app.errors import Forbidden, InvalidInput, NotFound, TooManyRequests

PREFIX = "hk_"
MAX_KEYS = 50
SAVE_EVERY_USES = 25
SAVE_EVERY_S = 30.0


@dataclass(slots=True)
class _Use:
    """How often a key was used today, and what of that is not stored yet."""

    day: date
    count: int
    unsaved: int = 0
    saved_s: float = 0.0


class ApiKeyService:
    """The keys of all users. Thread-safe.

    Uses are counted in memory and stored every 25 uses or 30 s: a crash forgets at most that many.
    """

    def __init__(self, database: Database, audit: AuditService) -> None:
        self._database = database
        self._audit = audit
        self._uses: dict[str, _Use] = {}
        self._lock = threading.Lock()

    def all(self, user_id: str) -> list[ApiKey]:
        """The user's keys without their secrets."""
        with self._database.read() as session:
            return [_key(row) for row in repository.api_keys_of(session, user_id)]

    def create(self, actor: Actor, name: str, scopes: list[str], tier: str = "standard") -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once.

        Raises: InvalidInput (unknown scope or tier, too many keys), Forbidden (only the box's owner gives ``high``).
        """
        wrong = sorted(set(scopes) - SCOPES)
        if wrong or not scopes:
            raise InvalidInput(
                f"There is no scope {wrong[0][:40]!r}." if wrong else "A key needs at least one scope.",
                hint=f"Scopes: {', '.join(sorted(SCOPES))}.",
                code="unknown_scope",
            )
        if tier not in TIERS:
            raise InvalidInput(f"There is no tier {tier[:40]!r}.", hint=f"Tiers: {', '.join(TIERS)}.")
        if tier != "standard" and not actor.is_box_owner:
            raise Forbidden("Only the owner of the box gives keys of the tier 'high'.", code="not_box_owner")
        secret = _new_secret()
        row = ApiKeyRow(
            id=f"key_{uuid.uuid4().hex}",
            user_id=actor.user_id,
            name=name,
            secret_hash=_hash(secret),
            scopes=sorted(set(scopes)),
            tier=tier,
            created_at=clock.now(),
            used_count=0,
        )
        with self._database.write() as session:
            if len(repository.api_keys_of(session, actor.user_id)) >= MAX_KEYS:
                raise InvalidInput(f"You have {MAX_KEYS} keys, and that is the limit.", hint="Delete one first.")
            repository.add(session, row)
            self._audit.record(session, "auth.key_created", actor=str(actor), detail={"key_id": row.id, "name": name})
        return _key(row), secret

    def rotate(self, actor: Actor, key_id: str) -> tuple[ApiKey, str]:
        """A new secret for the key; the old one is worthless at once. Raises: NotFound."""
        secret = _new_secret()
        with self._database.write() as session:
            row = repository.api_key(session, key_id, actor.user_id)
            if row is None:
                raise _not_found(key_id)
            row.secret_hash = _hash(secret)
            self._audit.record(session, "auth.key_rotated", actor=str(actor), detail={"key_id": row.id})
        return _key(row), secret

    def delete(self, actor: Actor, key_id: str) -> None:
        """Make the key worthless. Raises: NotFound."""
        with self._database.write() as session:
            row = repository.api_key(session, key_id, actor.user_id)
            if row is None:
                raise _not_found(key_id)
            repository.remove_api_key(session, key_id)
            self._audit.record(session, "auth.key_deleted", actor=str(actor), detail={"key_id": key_id})

    def actor_of(self, secret: str) -> Actor | None:
        """Whose key it is. Raises: TooManyRequests when its tier is used up for today."""
        with self._database.read() as session:
            found = repository.api_key_of_secret(session, _hash(secret))
        if found is None:
            return None
        row, user = found
        self._count(row)
        return Actor(user.id, user.name, user.is_box_owner, "api_key", frozenset(row.scopes), row.id)

    def _count(self, row: ApiKeyRow) -> None:
        at = clock.now()
        with self._lock:
            use = self._uses.get(row.id)
            if use is None or use.day != at.date():
                use = _Use(at.date(), row.used_count if row.used_on == at.date() else 0)
                self._uses[row.id] = use
            if use.count >= TIERS[row.tier]:
                raise _used_up(row.tier, at)
            use.count += 1
            use.unsaved += 1
            is_due = use.unsaved >= SAVE_EVERY_USES or time.monotonic() - use.saved_s >= SAVE_EVERY_S
            if is_due:
                use.unsaved, use.saved_s = 0, time.monotonic()
            count = use.count
        if is_due:
            self._save(row, at, count)

    def _save(self, row: ApiKeyRow, at: datetime, count: int) -> None:
        with self._database.write() as session:
            stored = repository.api_key(session, row.id, row.user_id)
            if stored is not None:
                stored.used_on, stored.used_count, stored.last_used_at = at.date(), count, at


def _used_up(tier: str, at: datetime) -> TooManyRequests:
    midnight = datetime.combine(at.date() + timedelta(days=1), datetime.min.time(), UTC)
    wait_s = max(1, round((midnight - at).total_seconds()))
    return TooManyRequests(
        f"This key has made its {TIERS[tier]:,} requests of today (tier {tier!r}).",
        hint=f"It works again at 00:00 UTC, in {wait_s:,} s.",
        code="daily_limit",
        retry_after_s=wait_s,
    )


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()


def _not_found(key_id: str) -> NotFound:
    return NotFound(f"You have no key {key_id[:60]}.", hint="GET /api/v1/auth/keys lists yours.")


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(row.id, row.name, tuple(row.scopes), row.tier, row.created_at, row.last_used_at)
