"""The drills that stand in the test suite: addresses and tricks against the way out, hostile texts against the chat.

They are tests because they take seconds and must hold at every commit; here they are run once more and told in figures.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Drill:
    """``failed``: the tests of the drill that failed; each says what came through."""

    passed: int
    failed: tuple[str, ...]


def run_drill(*paths: str) -> Drill:
    """Run these test files in a process of their own. Raises: RuntimeError when they could not be run."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"The drill could not be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    passed = re.search(r"(\d+) passed", done.stdout)
    failed = tuple(line for line in done.stdout.splitlines() if line.startswith("FAILED"))
    return Drill(int(passed[1]) if passed else 0, failed)
