"""``kill -9`` of app, worker and hands, at named crash points and at random moments, while posts are published."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from scripts.reliability.box import Box
from scripts.reliability.platform import Network
from scripts.reliability.publishing import Publisher, Reckoning

CRASH_POINTS = ("after_claim", "before_sending_committed", "after_sending_committed", "before_outcome")
"""Of the worker, see ``automation.crash_points``."""
SETTLE_WITHIN_S = 300.0


class KillRun:
    """One run. ``kills`` counts by what was killed."""

    def __init__(self, folder: Path, *, publishes: int, kills: int, seed: int) -> None:
        self._folder = folder
        self._publishes = publishes
        self._left = kills
        self._random = random.Random(seed)  # noqa: S311 - a repeatable schedule, no secret
        self.kills: dict[str, int] = {"worker": 0, "worker at a point": 0, "hands": 0, "app": 0}

    def run(self) -> tuple[Reckoning, list[str]]:
        """Publish, kill, restart; then let everything settle. Returns the reckoning and what else went wrong."""
        with Network() as network, Box(self._folder, settings={"HERALD_LEASE_S": "5"}) as box:
            box.start("app")
            box.start("worker")
            box.wait_until_ready()
            publisher = Publisher(box, network)
            publisher.connect()
            # Half of the posts wait in the queue from the start, so that the worker is busy whenever it dies.
            publishing = publisher.publish_in_background(self._publishes)
            while self._left > 0:
                self._kill_one(box)
                self._report(publisher)
            publishing.join(900)
            for name in ("app", "worker"):
                if box.has_ended(name):
                    box.start(name)
            actions = publisher.wait_until_settled(SETTLE_WITHIN_S)
            return publisher.reckon(actions), publisher.problems

    def _kill_one(self, box: Box) -> None:
        roll = self._random.random()
        if roll < 0.10:
            self._count("app")
            box.kill("app")
            box.start("app")
        elif roll < 0.30:
            self._kill_hands(box)
        elif roll < 0.65:
            self._crash_worker(box)
        else:
            self._count("worker")
            box.kill("worker")
            box.start("worker")
        time.sleep(self._random.uniform(0.05, 3.0))

    def _crash_worker(self, box: Box) -> None:
        """Start the worker anew, told to die at a named point; should it not get there, it is killed where it is."""
        point = self._random.choice(CRASH_POINTS)
        box.kill("worker")
        box.start("worker", crash_at=f"{point}:{self._random.randint(1, 6)}")
        deadline = time.monotonic() + 12
        while time.monotonic() < deadline and not box.has_ended("worker"):
            time.sleep(0.05)
        self._count("worker at a point" if box.has_ended("worker") else "worker")
        box.kill("worker")
        box.start("worker")

    def _kill_hands(self, box: Box) -> None:
        """One of the worker's own processes: the hands that carry an action out, or what they started."""
        victims = box.descendants("worker")
        if not victims:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._random.choice(victims), signal.SIGKILL)
            self._count("hands")

    def _count(self, what: str) -> None:
        self.kills[what] += 1
        self._left -= 1

    def _report(self, publisher: Publisher) -> None:
        done = sum(self.kills.values())
        if done % 20 == 0:
            print(f"  {done} kills, {len(publisher.approved)} approved", flush=True)
