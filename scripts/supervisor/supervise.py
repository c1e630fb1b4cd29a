"""Keeps processes running: starts a crashed one again with growing pauses, gives up on one that keeps crashing,
ends all of them in reverse order, and leaves no descendant behind."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.lifeline import adopt_orphans
from scripts.supervisor.processes import ProcessSpec, SupervisedProcess, describe_exit

_TICK_S = 0.1
_HOUSEKEEPING_S = 5.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """At most ``limit`` restarts within ``window_s``; the pause before each doubles from ``first_pause_s``."""

    limit: int = 5
    window_s: float = 60.0
    first_pause_s: float = 1.0


class KeepsCrashing(Exception):
    """A process ended more often than the policy allows."""

    def __init__(self, name: str, message: str, log: Path) -> None:
        super().__init__(message)
        self.name = name
        self.log = log


class Supervisor:
    """Owns the processes of one Herald. Single-threaded: everything happens in ``tick`` and ``stop``."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        log_dir: Path,
        cwd: Path,
        say: Callable[[str], None],
        policy: RestartPolicy | None = None,
    ) -> None:
        self.processes = [SupervisedProcess(spec, log_dir, cwd) for spec in specs]
        self._say = say
        self._policy = policy or RestartPolicy()
        self._restarts: dict[str, deque[float]] = {spec.name: deque() for spec in specs}
        self._due_at: dict[str, float] = {}
        self._orphans_seen_at: dict[int, float] = {}
        self._housekeeping_at = 0.0
        self._stop_requests = 0
        self._others = _children()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked for the end."""
        return self._stop_requests > 0

    def listen_to_signals(self) -> None:
        """Ctrl-C, SIGTERM and a closed terminal ask for the end; a second one does not wait for anybody."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.request_stop())

    def request_stop(self) -> None:
        """Ask for the end at the next tick; asked twice, everything is killed."""
        self._stop_requests += 1

    def start(self) -> None:
        """Start every process, in order."""
        adopt_orphans()
        for process in self.processes:
            process.trim_log()
            process.start()

    def run(self) -> None:
        """Tick until the end is asked for. Raises: KeepsCrashing."""
        while not self.is_stopping:
            self.tick()
            time.sleep(_TICK_S)

    def tick(self) -> None:
        """Look once at every process. Raises: KeepsCrashing."""
        now = time.monotonic()
        for process in self.processes:
            name = process.spec.name
            due_at = self._due_at.get(name)
            if due_at is not None:
                if now >= due_at:
                    del self._due_at[name]
                    process.start()
            elif (status := process.exit_status()) is not None:
                self._plan_restart(process, status, now)
        if now >= self._housekeeping_at:
            self._housekeeping_at = now + _HOUSEKEEPING_S
            self._end_orphans(now)
            for process in self.processes:
                process.trim_log()

    def _plan_restart(self, process: SupervisedProcess, status: int, now: float) -> None:
        name = process.spec.name
        times = self._restarts[name]
        while times and now - times[0] > self._policy.window_s:
            times.popleft()
        ended = describe_exit(status)
        if len(times) >= self._policy.limit:
            window = f"{self._policy.window_s:.0f} s"
            message = f"{name} ended {len(times) + 1} times within {window} (last: {ended}) and is not started again."
            raise KeepsCrashing(name, message, process.log)
        pause_s = self._policy.first_pause_s * 2 ** len(times)
        times.append(now)
        self._due_at[name] = now + pause_s
        self._say(f"{name} stopped ({ended}) and starts again in {pause_s:.0f} s. Its log: {process.log}")

    def stop(self) -> None:
        """End the processes in reverse order, each with its time of grace, then whatever they left behind."""
        self._due_at.clear()
        for process in reversed(self.processes):
            process.ask_to_end()
            deadline = time.monotonic() + process.spec.grace_s
            while process.is_running and time.monotonic() < deadline and self._stop_requests < 2:
                time.sleep(_TICK_S / 2)
            if process.is_running and self._stop_requests < 2:
                self._say(f"{process.spec.name} did not end within {process.spec.grace_s:.0f} s and is killed.")
            process.kill_group()
        for pid in self._orphans():
            _kill(pid)
        self._reap()

    def _end_orphans(self, now: float) -> None:
        """Kill what a crashed process left behind (a browser), once it has had one round to end by itself."""
        self._reap()
        orphans = self._orphans()
        self._orphans_seen_at = {pid: self._orphans_seen_at.get(pid, now) for pid in orphans}
        for pid, seen_at in self._orphans_seen_at.items():
            if now - seen_at >= _HOUSEKEEPING_S:
                _kill(pid)

    def _orphans(self) -> set[int]:
        """Children that neither this supervisor nor its process before it started: their own parent has ended."""
        return _children() - self._others - {process.pid for process in self.processes if process.pid is not None}

    def _reap(self) -> None:
        """Take the exit status of ended orphans, else they stay as zombies. Ours are left to their Popen objects."""
        for pid in self._orphans():
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _children() -> set[int]:
    """The process ids of this process's children. Source: proc(5), /proc/pid/task/tid/children."""
    try:
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
    except OSError:
        return set()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
