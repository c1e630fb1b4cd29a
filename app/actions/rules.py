"""Pure decisions about actions: the digest, who counts as dead, what recovery does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from app import clock
from automation.actions.base import Account

MAX_ATTEMPTS = 3
HEARTBEAT_EVERY_S = 5.0
WORKER_DEAD_AFTER_S = 20.0


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, no escapes beyond JSON's own.

    Raises: ValueError for NaN and infinity, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(type_name: str, params_json: str, account: Account | None, expires_at: datetime) -> str:
    """SHA-256 (hex) of everything that an approval binds: type, params, account and expiry."""
    bound = {
        "type": type_name,
        "params": json.loads(params_json),
        "account": asdict(account) if account else None,
        "expires_at": clock.to_iso(expires_at),
    }
    return hashlib.sha256(canonical_json(bound).encode("utf-8")).hexdigest()


def is_worker_dead(last_seen_at: datetime | None, at: datetime) -> bool:
    """Whether a worker has missed several heartbeats (or was never there)."""
    return last_seen_at is None or at - last_seen_at > timedelta(seconds=WORKER_DEAD_AFTER_S)
