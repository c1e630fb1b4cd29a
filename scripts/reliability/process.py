"""``python -m scripts.reliability.process MODULE``: one of the box's processes, with faults built in.

Everything of the product runs as it is; what is put in its place: the two sites that are published to, the waits
between tries (seconds instead of minutes), the wall clock's offset, and what happens at a crash point.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

CONTROL = Path(os.environ.get("CHAOS_CONTROL", "/nonexistent"))
WAITS = {
    "DEATH_WAIT_S": (0.0, 0.2),
    "RETRY_WAIT_S": (1.0, 2.0, 4.0),
    "SEND_WAIT_S": (0.2, 1.0, 2.0),
    "LOOK_WAIT_S": (0.5, 1.0, 2.0, 4.0),
    "MAX_DEATHS": 50,
}
"""Replaced in ``app.actions.rules``. So many deaths are one action's share of five hundred kills."""
FIRST_REST_S = 2.0
"""Replaced in ``app.actions.holds``: the rest of a site that fails again and again."""


def main() -> None:
    """Prepare this interpreter, then be the module."""
    module = sys.argv[1]
    _travel()
    _arm_crash_point(os.environ.get("CHAOS_CRASH_AT", ""))
    _shorten_waits()
    _replace_sites()
    sys.argv = [module, *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _travel() -> None:
    """Move the wall clock by what the control file says, in seconds."""
    from app import clock

    def now() -> datetime:
        try:
            offset_s = float((CONTROL / "clock").read_text())
        except (OSError, ValueError):
            offset_s = 0.0
        return datetime.now(UTC) + timedelta(seconds=offset_s)

    clock.now = now


def _arm_crash_point(where: str) -> None:
    """``after_claim:3``: be killed at this point, the third time that it is reached."""
    from automation import crash_points

    point, _, count = where.partition(":")
    left = int(count or 1)

    def reached(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    crash_points.reached = reached


def _shorten_waits() -> None:
    from app.actions import rules

    for name, value in WAITS.items():
        if not hasattr(rules, name):
            raise SystemExit(f"app.actions.rules has no {name} any more: mend scripts/reliability/process.py")
        setattr(rules, name, value)
    from app.actions import holds

    holds.FIRST_REST_S = FIRST_REST_S


def _replace_sites() -> None:
    """In this process, and in the hands that a worker starts."""
    import scripts.reliability.sites  # noqa: F401 - puts them into the registry
    from automation.hands.client import Hands

    defaults = Hands.__init__.__kwdefaults__
    if not defaults or "modules" not in defaults:
        raise SystemExit("automation.hands.client.Hands takes no modules any more: mend scripts/reliability/process.py")
    defaults["modules"] = (*defaults["modules"], "scripts.reliability.sites")


if __name__ == "__main__":
    main()
