"""The app and the worker of a box with a data folder of its own, started, killed and asked from outside."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from scripts.lifeline import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"app": "app", "worker": "automation.worker"}
START_WITHIN_S = 120.0
REQUEST_WITHIN_S = 180.0


class Box:
    """App and worker as processes. Not thread-safe; ``ask`` may be called from one thread while another kills.

    Args:
        folder: an empty folder for data, logs and what steers the faults.
        settings: more ``HERALD_…`` variables.
        preload: a shared library that the processes load first (disk faults).
    """

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None, preload: Path | None = None) -> None:
        self.home = folder / "home"
        self.control = folder / "control"
        self.logs = folder / "logs"
        for made in (self.home, self.control, self.logs):
            made.mkdir(parents=True)
        self.key = secrets.token_urlsafe(16)
        self.port = _free_port()
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")} | {
            "HERALD_HOME": str(self.home),
            "HERALD_PORT": str(self.port),
            "HERALD_API_KEY": self.key,
            "HERALD_INFERENCE_PORT": str(_free_port()),
            "HERALD_ALLOW_PRIVATE_ADDRESSES": "1",
            "HERALD_LOG_FORMAT": "json",
            "CHAOS_CONTROL": str(self.control),
            **(settings or {}),
        }
        if preload is not None:
            self._environment |= {
                "LD_PRELOAD": str(preload),
                "CHAOS_FAULT_FILE": str(self.control / "disk"),
                "CHAOS_FAULT_UNDER": str(self.home / "herald.db"),
            }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/v1",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=15,
            trust_env=False,
        )

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        for name in list(self.processes):
            self.kill(name)

    def start(self, name: str, *, crash_at: str = "") -> None:
        """Start ``app`` or ``worker``; ``crash_at`` (``point:3``) makes it kill itself there, at the third time."""
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "scripts.reliability.process", MODULES[name]],
                cwd=ROOT,
                env={**self._environment, "CHAOS_CRASH_AT": crash_at},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - called from the main thread only
            )

    def signal(self, name: str, signum: int) -> bool:
        """Send a signal to the process alone; False when it had ended."""
        process = self.processes[name]
        if process.poll() is not None:
            return False
        process.send_signal(signum)
        return True

    def kill(self, name: str) -> None:
        """``kill -9`` of the process alone: what it had started must end by itself."""
        self.signal(name, signal.SIGKILL)
        self.processes.pop(name).wait(30)

    def has_ended(self, name: str) -> bool:
        """Whether the process is no more."""
        return self.processes[name].poll() is not None

    def descendants(self, name: str) -> list[int]:
        """Process ids below the process: hands and browsers."""
        found, queue = [], [self.processes[name].pid]
        while queue:
            children = _children(queue.pop())
            found += children
            queue += children
        return found

    def wait_until_ready(self) -> None:
        """Wait until the app answers. Raises: TimeoutError with the end of its log."""
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if self.http.get("/healthz").status_code == 200:
                    return
            time.sleep(0.1)
        raise TimeoutError(f"the app did not start:\n{self.log_end('app')}")

    def log_end(self, name: str) -> str:
        """The last lines of a process's log."""
        return (self.logs / f"{name}.log").read_text(errors="replace")[-3000:]

    def ask(self, method: str, path: str, **fields: Any) -> httpx.Response:
        """A request that is sent again while the app is away or says that it cannot just now (5xx).

        Raises: TimeoutError.
        """
        deadline = time.monotonic() + REQUEST_WITHIN_S
        seen = ""
        while time.monotonic() < deadline:
            try:
                response = self.http.request(method, path, **fields)
                if response.status_code < 500:
                    return response
                seen = response.text
            except httpx.HTTPError as error:
                seen = repr(error)
            time.sleep(0.1)
        raise TimeoutError(f"{method} {path}: {seen}\n{self.log_end('app')}")

    def steer(self, name: str, content: str) -> None:
        """Write a control file (``clock``, ``disk``) in one step."""
        partial = self.control / f".{name}"
        partial.write_text(content)
        partial.replace(self.control / name)


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
