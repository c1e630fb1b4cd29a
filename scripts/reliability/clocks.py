"""The wall clock jumps by an hour, both ways, while posts are published and planned; summer time begins and ends."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from app.actions.limits import QuietHours
from scripts.reliability.box import Box
from scripts.reliability.platform import Network
from scripts.reliability.publishing import Publisher, Reckoning

SETTLE_WITHIN_S = 240.0
JUMPS_S = (3_600, 0, -3_600, 0, 3_600, -3_600, 0)
PLANNED_IN_S = (15, 30)
CHANGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
)
"""When summer time begins or ends somewhere."""
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata")


def run_clocks(folder: Path, *, publishes: int, seed: int) -> tuple[Reckoning, list[str], int, int]:
    """Returns the reckoning, what else went wrong, posts before their time, and quiet moments checked."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable schedule, no secret
    with Network() as network, Box(folder, settings={"HERALD_LEASE_S": "5"}) as box:
        box.start("app")
        box.start("worker")
        box.wait_until_ready()
        publisher = Publisher(box, network)
        publisher.connect()
        # Planned by a clock that is right: one that is wrong by an hour when it is told a time cannot know better.
        due = _plan(publisher, publishes // 3)
        stopping = threading.Event()
        jumping = threading.Thread(target=_jump, args=(box, stopping, chance), daemon=True)
        jumping.start()
        for number in range(publishes // 3, publishes):
            publisher.publish(number)
            time.sleep(chance.uniform(0, 0.3))
        time.sleep(max(0.0, max(due.values()) - time.time()))
        stopping.set()
        jumping.join()
        box.steer("clock", "0")
        actions = publisher.wait_until_settled(SETTLE_WITHIN_S)
        early = sum(post.at < due.get(post.text, 0.0) for post in network.posts)
        return publisher.reckon(actions), publisher.problems, early, check_quiet_hours(chance, 2_000)


def _plan(publisher: Publisher, count: int) -> dict[str, float]:
    """Approve posts for later; returns by text when each is due, in seconds of the real clock."""
    due = {}
    for number in range(count):
        at = datetime.now(UTC) + timedelta(seconds=PLANNED_IN_S[number % 2] + count / 10)
        publish = publisher.publish(number, not_before=at.isoformat())
        if publish is not None:
            due[publish.text] = at.timestamp() - 0.5
    return due


def _jump(box: Box, stopping: threading.Event, chance: random.Random) -> None:
    while not stopping.is_set():
        for offset_s in JUMPS_S:
            box.steer("clock", str(offset_s))
            if stopping.wait(chance.uniform(1, 4)):
                return


def check_quiet_hours(chance: random.Random, count: int) -> int:
    """Around the changes of summer time: quiet exactly while the zone's clocks say so, and it ends when they do.

    Raises: AssertionError with the moment that is wrong.
    """
    for _ in range(count):
        zone = chance.choice(ZONES)
        starts, ends = (f"{chance.randrange(24):02d}:{chance.choice((0, 30)):02d}" for _ in range(2))
        if starts == ends:
            continue
        rule = QuietHours(starts=starts, ends=ends, time_zone=zone)
        change = chance.choice(CHANGES)
        moment = change + timedelta(minutes=chance.randint(-2_000, 2_000))
        clock = moment.astimezone(ZoneInfo(zone)).strftime("%H:%M")
        is_quiet = starts <= clock < ends if starts < ends else clock >= starts or clock < ends
        until = rule.ends_after(moment)
        assert (until is not None) == is_quiet, (zone, starts, ends, moment)
        if until is not None:
            assert moment < until <= moment + timedelta(hours=25), (zone, starts, ends, moment, until)
    return count
