"""A box to evaluate: the running one, or a fresh one on free ports whose data home is thrown away."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from app.client import HeraldClient
from app.settings import load_settings
from scripts.benchmarks.engine_servers import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 900
TURN_TIMEOUT_S = 600.0


class BoxFailed(Exception):
    """The fresh box did not get ready."""


@contextmanager
def box(model: str, *, is_fresh: bool, inference_url: str = "") -> Iterator[HeraldClient]:
    """A client of the running box, or of a fresh one with ``model``.

    Args:
        inference_url: an inference server for the fresh box instead of its own; it must know HERALD_INFERENCE_KEY.
    Raises: BoxFailed.
    """
    if not is_fresh:
        settings = load_settings()
        with HeraldClient(settings.local_url, api_key=settings.api_key_text()) as client:
            yield client
        return
    with tempfile.TemporaryDirectory(prefix="herald-eval-") as home:
        port, key = free_port(), secrets.token_urlsafe(32)
        environment = os.environ | {
            "HERALD_HOME": home,
            "HERALD_HOST": "127.0.0.1",
            "HERALD_PORT": str(port),
            "HERALD_INFERENCE_PORT": str(free_port()),
            "HERALD_INFERENCE_URL": inference_url,
            "HERALD_API_KEY": key,
            "HERALD_MODEL": model,
        }
        log = Path(home) / "supervisor.out"
        with log.open("wb") as output:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "scripts.supervisor", "up"],
                cwd=ROOT, env=environment, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, supervisor, log)
            with HeraldClient(url, api_key=key) as client:
                yield client
        finally:
            _stop(supervisor)


def _wait_until_ready(url: str, supervisor: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and supervisor.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).json().get("status") == "ok":
                return
        except (httpx.HTTPError, ValueError):
            pass
        print("\rwaiting for the box …", end="", file=sys.stderr)
        time.sleep(1)
    raise BoxFailed(f"The box did not get ready. Its supervisor said:\n{log.read_text(errors='replace')[-2000:]}")


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.send_signal(signal.SIGINT)
    try:
        supervisor.wait(60)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait(10)
