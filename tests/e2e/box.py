"""A whole box for a test: the supervisor starts inference, app and worker on free ports with a data home of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.client import HeraldClient

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "test-key-of-the-box"
READY_WITHIN_S = 240.0


@dataclass(frozen=True, slots=True)
class Box:
    """A running box."""

    home: Path
    url: str
    environment: dict[str, str]

    def client(self) -> HeraldClient:
        """An API client with the box's key."""
        return HeraldClient(self.url, api_key=API_KEY)

    def health(self) -> dict[str, object]:
        """The body of /readyz, whatever its status; empty when nothing answers."""
        try:
            return dict(httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).json())
        except (httpx.HTTPError, ValueError):
            return {}

    def wait_until_ready(self) -> None:
        """Wait for every process. Raises: AssertionError with the last state and the logs' ends."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self.health().get("status") == "ok":
                return
            time.sleep(0.3)
        logs = "\n".join(f"== {p.name}\n{p.read_text()[-2000:]}" for p in sorted((self.home / "logs").glob("*.log")))
        raise AssertionError(f"the box did not get ready: {self.health()}\n{logs}")

    def kill(self, module: str) -> None:
        """``kill -9`` the process that runs ``python -m module`` in this box."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().split(b"\0")
                environment = (entry / "environ").read_bytes()
                if module.encode() in command and f"HERALD_HOME={self.home}".encode() in environment.split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


def free_port() -> int:
    """A port that nothing listens on, below the ephemeral range's upper half."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_box(home: Path, *, model: str) -> Iterator[Box]:
    """Start a box and stop it at the end."""
    port, inference_port = free_port(), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_") or k == "HERALD_MODELS_DIR"}
    environment |= {
        "HERALD_HOME": str(home),
        "HERALD_PORT": str(port),
        "HERALD_INFERENCE_PORT": str(inference_port),
        "HERALD_API_KEY": API_KEY,
        "HERALD_MODEL": model,
        "HERALD_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    output = home / "supervisor.out"
    home.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "scripts.supervisor", "up"], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
    try:
        box = Box(home, f"http://127.0.0.1:{port}", environment)
        box.wait_until_ready()
        yield box
    finally:
        supervisor.send_signal(signal.SIGINT)
        try:
            supervisor.wait(60)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait(10)
            raise
