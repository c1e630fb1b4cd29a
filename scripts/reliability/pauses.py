"""SIGSTOP past the lease, then SIGCONT: whoever wakes up late must not publish what another worker has taken over."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from scripts.reliability.box import MODULES, Box
from scripts.reliability.platform import Network
from scripts.reliability.publishing import Publisher, Reckoning

LEASE_S = 2.0
SETTLE_WITHIN_S = 240.0


def run_pauses(folder: Path, *, pauses: int, publishes: int, seed: int) -> tuple[Reckoning, list[str]]:
    """Two workers take turns at being stopped, with all that they had started, for longer than a lease lasts."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable schedule, no secret
    MODULES["second worker"] = MODULES["worker"]
    with Network() as network, Box(folder, settings={"HERALD_LEASE_S": str(LEASE_S)}) as box:
        box.start("app")
        box.wait_until_ready()
        publisher = Publisher(box, network)
        publisher.connect()
        for name in ("worker", "second worker"):
            box.start(name)
        publishing = publisher.publish_in_background(publishes, pause_s=0.05)
        for number in range(pauses):
            name = ("worker", "second worker")[number % 2]
            time.sleep(chance.uniform(0.2, 1.5))
            frozen = [box.processes[name].pid, *box.descendants(name)]
            _send(frozen, signal.SIGSTOP)
            time.sleep(LEASE_S + chance.uniform(0.5, 2.0))
            _send(frozen, signal.SIGCONT)
        publishing.join(600)
        return publisher.reckon(publisher.wait_until_settled(SETTLE_WITHIN_S)), publisher.problems


def _send(pids: list[int], signum: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue
