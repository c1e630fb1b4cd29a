"""Pure decisions about actions: the digest, who counts as dead, how long to wait before another try."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from app import clock
from automation.actions.base import Account

MAX_DEATHS = 5
"""Workers that may die over one action before it is given up (nothing had been submitted then)."""
DEATH_WAIT_S = (0.0, 2.0, 10.0, 30.0)
MAX_RETRIES = 3
RETRY_WAIT_S = (30.0, 120.0, 600.0)
"""Waits before an action is tried again whose site failed before anything irreversible had begun."""
MAX_SENDS = 5
SEND_WAIT_S = (2.0, 15.0, 60.0, 300.0)
"""Waits before a keyed platform is asked again with the same key."""
LOOK_WAIT_S = (2.0, 30.0, 300.0, 1_800.0)
"""Waits before each look at the platform for an action whose end nobody saw; after the last one a person settles it."""
HEARTBEAT_EVERY_S = 5.0
WORKER_DEAD_AFTER_S = 20.0


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, no escapes beyond JSON's own.

    Raises: ValueError for NaN and infinity, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(
    type_name: str,
    params_json: str,
    account: Account | None,
    expires_at: datetime,
    *,
    target: str = "",
    not_before: datetime | None = None,
    intent_id: str = "",
    project_id: str = "",
) -> str:
    """SHA-256 (hex) of everything that an approval binds.

    Media are covered by the SHA-256 in their params; ``intent_id`` makes the digest this action's own, so that an
    approval fits no other one that says the same.
    """
    bound = {
        "type": type_name,
        "params": json.loads(params_json),
        "account": asdict(account) if account else None,
        "target": target,
        "not_before": clock.to_iso(not_before) if not_before else None,
        "expires_at": clock.to_iso(expires_at),
        "intent_id": intent_id,
        "project_id": project_id,
    }
    return hashlib.sha256(canonical_json(bound).encode("utf-8")).hexdigest()


def account_label(account: Account | None) -> str:
    """``x:acme``: how policies, limits and counts name an account; empty without one."""
    return f"{account.platform}:{account.handle.removeprefix('@').casefold()}" if account else ""


def wait_after(count: int, waits: tuple[float, ...]) -> float:
    """Seconds to wait after the ``count``-th time (from 1); the last wait repeats."""
    return waits[min(max(count, 1), len(waits)) - 1]


def is_worker_dead(last_seen_at: datetime | None, at: datetime) -> bool:
    """Whether a worker has missed several heartbeats (or was never there)."""
    return last_seen_at is None or at - last_seen_at > timedelta(seconds=WORKER_DEAD_AFTER_S)
