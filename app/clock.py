"""Time as the application sees it: always UTC-aware. Tests travel in it with time-machine.

Two clocks, two uses. The wall clock says which moment it is; somebody may set it, and then it jumps. What runs out
(leases, rests, backoffs) is a *timer* over the seconds since the machine booted, which nobody can set. All processes
that share the database run on one kernel (SQLite's WAL does not work across machines), so that they share that clock
too; after a reboot the timer's boot id is another one, its holder is gone, and it counts as over.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

_LONGEST_TIMER_S = 400 * 86_400.0


def now() -> datetime:
    """This moment, UTC-aware."""
    return datetime.now(UTC)


def to_iso(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: one moment has one spelling, because digests are taken over it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def boot_id() -> str:
    """Which run of the kernel this is; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def uptime_s() -> float:
    """Seconds since the machine booted, sleep included; the same in every process of the machine."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def timer(seconds: float) -> str:
    """A timer that runs out in ``seconds``, as it is stored: ``<boot id>/<uptime at its end>``."""
    return f"{boot_id()}/{uptime_s() + seconds:.3f}"


def left_s(stored: str | None) -> float:
    """Seconds until the timer is over; 0 for one that is, was never set, or was set before the last boot."""
    if not stored:
        return 0.0
    boot, _, end = stored.rpartition("/")
    left = float(end) - uptime_s()
    return left if boot == boot_id() and 0 < left <= _LONGEST_TIMER_S else 0.0
