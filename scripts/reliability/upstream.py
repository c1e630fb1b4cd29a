"""What the platform's side can do: 429, 503, silence, one byte a second, a reset before and after it was heard."""

from __future__ import annotations

import random
from pathlib import Path

from scripts.reliability.box import Box
from scripts.reliability.platform import FAULTS, Network
from scripts.reliability.publishing import Publisher, Reckoning

SETTLE_WITHIN_S = 420.0


def run_upstream(folder: Path, *, publishes: int, seed: int) -> tuple[Reckoning, list[str]]:
    """Every second request for a post meets a fault."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable schedule, no secret
    settings = {"HERALD_LEASE_S": "5", "HERALD_ACTION_TIMEOUT_S": "20"}
    with Network() as network, Box(folder, settings=settings) as box:
        box.start("app")
        box.start("worker")
        box.wait_until_ready()
        publisher = Publisher(box, network)
        publisher.connect()
        faults = [fault for number in range(publishes) for fault in ("", FAULTS[number % len(FAULTS)])]
        chance.shuffle(faults)
        network.faults.extend(faults)
        publisher.publish_in_background(publishes).join(600)
        return publisher.reckon(publisher.wait_until_settled(SETTLE_WITHIN_S)), publisher.problems
