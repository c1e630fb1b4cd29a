"""Time as the application sees it: always UTC-aware. Tests travel in it with time-machine."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """This moment, UTC-aware."""
    return datetime.now(UTC)


def to_iso(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: one moment has one spelling, because digests are taken over it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
