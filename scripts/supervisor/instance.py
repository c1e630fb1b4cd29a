"""At most one Herald for each data folder: a lock that dies with its holder, and the holder's process id beside it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path
from typing import IO


class Instance:
    """``run/herald.lock`` is the truth; ``run/herald.pid`` only says whom to signal and may be stale."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock: IO[str] | None = None

    @property
    def pid_file(self) -> Path:
        """Where the running supervisor's process id stands."""
        return self._run_dir / "herald.pid"

    def acquire(self) -> bool:
        """Become the running instance; False when there is one already. The lock is not inherited by children."""
        self._run_dir.mkdir(parents=True, exist_ok=True)
        lock = (self._run_dir / "herald.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        beside = self.pid_file.with_suffix(".new")
        beside.write_text(f"{os.getpid()}\n", "utf-8")
        beside.replace(self.pid_file)
        return True

    def release(self) -> None:
        """Stop being the running instance."""
        if self._lock is not None:
            self.pid_file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def is_running(self) -> bool:
        """Whether some process holds the lock. Nothing is created or changed."""
        if self._lock is not None:
            return True
        try:
            with (self._run_dir / "herald.lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def running_pid(self) -> int | None:
        """The process id of the running supervisor; None when nothing runs or it has not written it yet."""
        if not self.is_running():
            return None
        try:
            return int(self.pid_file.read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def stop(self, grace_s: float) -> bool:
        """Ask the running supervisor to end everything, then insist after ``grace_s``; False when nothing ran.

        A supervisor that is killed takes its processes with it (see scripts/lifeline.py).
        """
        pid = self.running_pid()
        if pid is None:
            return False
        for ask, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, ask)
            if self._wait_until_gone(wait_s):
                break
        self.pid_file.unlink(missing_ok=True)
        return True

    def _wait_until_gone(self, wait_s: float) -> bool:
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if not self.is_running():
                return True
            time.sleep(0.1)
        return not self.is_running()
