"""A full disk, and one whose fsync fails, under app and worker: what was acknowledged must be there afterwards."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

from scripts.reliability.box import Box
from scripts.reliability.platform import Network
from scripts.reliability.publishing import Publisher, Reckoning

SETTLE_WITHIN_S = 240.0
SOURCE = Path(__file__).with_name("faults.c")


def run_storage(folder: Path, *, faults: int, publishes: int, seed: int) -> tuple[Reckoning, list[str]]:
    """Faults of a second or two come and go while posts are published. Raises: RuntimeError without a C compiler."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable schedule, no secret
    folder.mkdir(parents=True, exist_ok=True)
    preload = _compile(folder)
    with Network() as network, Box(folder, settings={"HERALD_LEASE_S": "5"}, preload=preload) as box:
        box.start("app")
        box.start("worker")
        box.wait_until_ready()
        publisher = Publisher(box, network)
        publisher.connect()
        publishing = publisher.publish_in_background(publishes, pause_s=0.1)
        for number in range(faults):
            time.sleep(chance.uniform(0.5, 1.5))
            box.steer("disk", ("nospace", "fsync")[number % 2])
            time.sleep(chance.uniform(0.5, 2.0))
            box.steer("disk", "")
            for name in ("app", "worker"):
                if box.has_ended(name):
                    box.start(name)
        publishing.join(600)
        return publisher.reckon(publisher.wait_until_settled(SETTLE_WITHIN_S)), publisher.problems


def _compile(folder: Path) -> Path:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise RuntimeError("Disk faults need a C compiler (cc, gcc or clang); install one: apt-get install gcc")
    library = folder / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library
