"""``./scripts/chaos [--quick] [SCENARIO …]``: break a box on purpose, then count.

Exit status 1 when anything was lost, doubled, executed unapproved or let out.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.reliability.clocks import run_clocks
from scripts.reliability.drills import run_drill
from scripts.reliability.kills import KillRun
from scripts.reliability.mutations import run_mutations
from scripts.reliability.pauses import run_pauses
from scripts.reliability.publishing import Reckoning
from scripts.reliability.storage import run_storage
from scripts.reliability.upstream import run_upstream
from tests.automation import egress_tricks, hostile_pages


@dataclass(frozen=True, slots=True)
class Verdict:
    """One scenario's end: its figures in one line, and whether they are what they must be."""

    figures: str
    is_clean: bool
    details: tuple[str, ...] = ()


Scenario = Callable[[Path, bool, int], Verdict]


def kills(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """kill -9 of app, worker and hands while posts are published."""
    run = KillRun(folder, publishes=80 if is_quick else 2_000, kills=16 if is_quick else 500, seed=seed)
    reckoning, problems = run.run()
    done = ", ".join(f"{count} {what}" for what, count in run.kills.items())
    return _verdict(f"{sum(run.kills.values())} kills ({done})", reckoning, problems)


def pauses(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """SIGSTOP of a worker past its lease, then SIGCONT, with a second one at work."""
    count = 6 if is_quick else 60
    reckoning, problems = run_pauses(folder, pauses=count, publishes=10 * count, seed=seed)
    return _verdict(f"{count} pauses", reckoning, problems)


def clocks(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """Jumps of the wall clock by an hour both ways; planned posts; quiet hours over the changes of summer time."""
    reckoning, problems, early, moments = run_clocks(folder, publishes=40 if is_quick else 400, seed=seed)
    verdict = _verdict(f"clock jumps, {early} early, {moments} moments of quiet hours", reckoning, problems)
    return Verdict(verdict.figures, verdict.is_clean and early == 0, verdict.details)


def storage(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """A full disk and a failing fsync under app and worker."""
    count = 8 if is_quick else 60
    reckoning, problems = run_storage(folder, faults=count, publishes=12 * count, seed=seed)
    return _verdict(f"{count} disk faults", reckoning, problems)


def upstream(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """Platforms that answer 429 or 503, hang, trickle or reset the connection."""
    reckoning, problems = run_upstream(folder, publishes=24 if is_quick else 300, seed=seed)
    return _verdict("upstream faults", reckoning, problems)


def mutations(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """Changes of everything that an approval binds, replays and races."""
    found = run_mutations(folder, count=600 if is_quick else 10_000, seed=seed)
    return Verdict(
        f"{found.tried} mutations, {len(found.executed)} executed", not found.executed, tuple(found.executed)
    )


def egress(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """Addresses and tricks against the proxy and the browser behind it."""
    drill = run_drill("tests/automation/test_egress_tricks.py")
    figures = f"{egress_tricks.count()} addresses and tricks in {drill.passed} tests, {len(drill.failed)} let through"
    return Verdict(figures, not drill.failed and drill.passed > 0, drill.failed)


def injections(folder: Path, is_quick: bool, seed: int) -> Verdict:
    """Hostile pages, mails and documents, with a model that always obeys them."""
    drill = run_drill("tests/app/chat/test_hostile_texts.py")
    figures = f"{len(list(hostile_pages.corpus()))} hostile texts in {drill.passed} tests, {len(drill.failed)} obeyed"
    return Verdict(figures, not drill.failed and drill.passed > 0, drill.failed)


SCENARIOS: dict[str, Scenario] = {
    call.__name__: call for call in (kills, pauses, clocks, storage, upstream, mutations, egress, injections)
}


def _verdict(what: str, reckoning: Reckoning, problems: list[str]) -> Verdict:
    wrong = (*reckoning.lost, *reckoning.doubled, *reckoning.open, *problems)
    return Verdict(f"{what}: {reckoning}", reckoning.is_clean and not problems, wrong)


def main() -> int:
    """Run the scenarios, one line each, then one line for all. A failed one keeps its folder for a look."""
    parser = argparse.ArgumentParser(prog="./scripts/chaos", description="Break a box on purpose and count.")
    listed = "; ".join(f"{name}: {call.__doc__}" for name, call in SCENARIOS.items())
    parser.add_argument("scenario", nargs="*", help=f"which ones; all without any. {listed}")
    parser.add_argument("--quick", action="store_true", help="fewer of everything: under five minutes")
    parser.add_argument("--seed", type=int, default=1, help="of the schedules (default 1)")
    options = parser.parse_args()
    unknown = sorted(set(options.scenario) - SCENARIOS.keys())
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    root, lines, is_clean = Path(tempfile.mkdtemp(prefix="herald-chaos-")), [], True
    # The two drills are tests, which continuous integration runs anyway.
    usual = [name for name in SCENARIOS if not (options.quick and name in {"egress", "injections"})]
    for name in options.scenario or usual:
        began = time.monotonic()
        verdict = SCENARIOS[name](root / name, options.quick, options.seed)
        is_clean &= verdict.is_clean
        lines.append(f"{name}: {verdict.figures}")
        print(f"{lines[-1]} [{time.monotonic() - began:.0f} s]{'' if verdict.is_clean else '  FAILED'}", flush=True)
        for detail in verdict.details[:20]:
            print(f"    {detail[:600]}", flush=True)
        if verdict.is_clean:
            shutil.rmtree(root / name, ignore_errors=True)
    print("; ".join(lines))
    if is_clean:
        shutil.rmtree(root, ignore_errors=True)
    else:
        print(f"What the processes said is in {root}.", file=sys.stderr)
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
