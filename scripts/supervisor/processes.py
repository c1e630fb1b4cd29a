"""One supervised process: how it is started, how it is ended, where its output goes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from scripts.lifeline import die_with_parent

_KEPT_LOG_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run. ``name`` is what messages call it and names its log; ``grace_s`` is its time to end when asked."""

    name: str
    argv: tuple[str, ...]
    grace_s: float = 10.0
    env: dict[str, str] = field(default_factory=dict)


class SupervisedProcess:
    """A process in a session of its own: Ctrl-C reaches the supervisor alone, which ends things in order."""

    def __init__(self, spec: ProcessSpec, log_dir: Path, cwd: Path) -> None:
        self.spec = spec
        self.log = log_dir / f"{spec.name}.log"
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process id while it runs or has not been looked at since."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it. Call from the main thread only (see scripts/lifeline.py)."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            out.write(f"--- started at {time.strftime('%Y-%m-%d %H:%M:%S%z')}\n".encode())
            out.flush()
            self._process = subprocess.Popen(
                self.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.env},
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - the supervisor has one thread
            )
        self.started_at_s = time.monotonic()

    def exit_status(self) -> int | None:
        """None while it runs; else its exit status (negative: the signal that ended it)."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def ask_to_end(self) -> None:
        """SIGTERM to the process alone: it ends its own helpers (a browser) in the right order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill_group(self) -> None:
        """SIGKILL to it and to what it started in its session's group."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def trim_log(self) -> None:
        """Keep the log from growing without end: the old half goes to ``<name>.log.1``. Appending goes on."""
        try:
            if self.log.stat().st_size > _KEPT_LOG_BYTES:
                self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
                os.truncate(self.log, 0)  # safe: the process writes with O_APPEND
        except OSError:
            pass  # a full disk must not end the supervisor


def describe_exit(status: int) -> str:
    """An exit status in words: "exit status 3", "killed by SIGSEGV"."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
