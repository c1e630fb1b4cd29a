"""The workers that are there: heartbeats, which renew leases, and good-byes."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from app import clock
from app.actions import repository
from app.actions.records import WorkerState
from app.actions.rules import is_worker_dead
from app.actions.tables import WorkerRow
from app.db.engine import Database
from app.processes import process_space

FORGET_WORKERS_AFTER = timedelta(days=7)


class WorkerRegister:
    """Who works, and for how much longer what they hold is theirs."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database = database
        self.lease_s = lease_s

    def heartbeat(self, worker_id: str) -> None:
        """Say that the calling process's worker is alive, and renew its leases.

        A lease that is over is not renewed: a worker that was stopped for longer must not find itself still in office.
        """
        at = clock.now()
        row = WorkerRow(id=worker_id, host=process_space(), process=_own_process(), started_at=at, last_seen_at=at)
        with self._database.write() as session:
            repository.save_heartbeat(session, row)
            repository.forget_workers_before(session, at - FORGET_WORKERS_AFTER)
            for held in repository.held_by(session, worker_id):
                if clock.left_s(held.lease):
                    held.lease = clock.timer(self.lease_s)

    def say_goodbye(self, worker_id: str) -> None:
        """The worker stops in good order: what it still holds is recovered by the next sweep without waiting."""
        with self._database.write() as session:
            repository.forget_worker(session, worker_id)
            for held in repository.held_by(session, worker_id):
                held.lease = None

    def worker_state(self) -> WorkerState:
        """Whether any worker is there."""
        with self._database.read() as session:
            last_seen_at = repository.last_worker_seen_at(session)
        return WorkerState("not_running" if is_worker_dead(last_seen_at, clock.now()) else "ready", last_seen_at)


def is_process_alive(process: str) -> bool:
    """Whether the process ``<pid>:<start in ticks>`` of this machine, or container, still runs."""
    pid, _, ticks = process.partition(":")
    return _start_ticks(int(pid)) == ticks


def _own_process() -> str:
    return f"{os.getpid()}:{_start_ticks(os.getpid())}"


def _start_ticks(pid: int) -> str:
    """When the process started, in clock ticks since boot (field 22 of /proc/PID/stat); empty when it is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
