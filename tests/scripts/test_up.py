"""The three real processes under the supervisor: ready line, link, restart, a clean end. Inference is the fake one."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

_ROOT = Path(__file__).resolve().parents[2]
_READY = re.compile(r"^Herald is ready: (http://127\.0\.0\.1:\d+)(/signin\?token=\S+) \(sign-in link, works once\)$")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    app_port, inference_port = _free_ports(2)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HERALD_")},
        "HERALD_HOME": str(tmp_path / "home"),
        "HERALD_PORT": str(app_port),
        "HERALD_INFERENCE_PORT": str(inference_port),
        "HERALD_INFERENCE_BACKEND": "fake",
    }


def _supervisor(env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.supervisor", *arguments],
        cwd=_ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(env: dict[str, str], *arguments: str) -> tuple[int, list[str]]:
    with _supervisor(env, *arguments) as process:
        output, _ = process.communicate(timeout=150)
        return process.returncode, output.splitlines()


@pytest.fixture
def running(env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """An attached start that got ready: the process, its address, its link's path."""
    with _supervisor(env, "up") as process:
        assert process.stdout is not None
        seen = []
        try:
            for line in process.stdout:
                seen.append(line)
                if found := _READY.match(line.rstrip("\n")):
                    yield process, found.group(1), found.group(2)
                    break
            else:
                pytest.fail("it did not get ready:\n" + "".join(seen))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def _children(pid: int) -> dict[str, int]:
    pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(p): Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0") for p in pids}
    # A process that has just been forked or has just died has no command line of its own.
    return {command[2].decode(): pid for pid, command in commands.items() if len(command) > 2}


def test_a_taken_port_stops_the_start_before_anything_runs(env: dict[str, str], tmp_path: Path) -> None:
    """The message names the port and the setting; nothing is left running."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(env["HERALD_INFERENCE_PORT"])))
        other.listen(1)
        status, lines = _run(env, "up")
    assert status == 1
    assert f"Port {env['HERALD_INFERENCE_PORT']}, which inference needs, is taken" in lines[-1]
    assert "HERALD_INFERENCE_PORT" in lines[-1]
    assert not (tmp_path / "home" / "logs").exists()


def test_a_wrong_setting_is_named_without_a_traceback(env: dict[str, str]) -> None:
    """One line what, one line what to do."""
    status, lines = _run({**env, "HERALD_PORT": "eighty"}, "up")
    assert status == 1
    assert lines[0].startswith("HERALD_PORT cannot be 'eighty'")
    assert not [line for line in lines if "Traceback" in line]


def test_the_link_works_once_a_killed_worker_comes_back_and_the_end_is_clean(
    running: tuple[subprocess.Popen[str], str, str], env: dict[str, str]
) -> None:
    """The whole life of one start."""
    process, address, link = running
    with httpx.Client(base_url=address, trust_env=False) as browser:
        assert browser.get(link).status_code == 303
        assert browser.get("/api/v1/actions").status_code == 200
    with httpx.Client(base_url=address, trust_env=False) as another:
        assert another.get(link).status_code == 401

    first = _children(process.pid)
    assert sorted(first) == ["app", "automation.worker", "inference"]
    os.kill(first["automation.worker"], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _children(process.pid).get("automation.worker") in {None, first["automation.worker"]}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert _children(process.pid)["app"] == first["app"]

    status, lines = _run(env, "up")
    assert status == 0
    assert lines[0] == f"Herald is already running (pid {process.pid}); ./scripts/down stops it."
    assert _READY.match(lines[-1])

    last = _children(process.pid)
    assert _run(env, "down") == (0, ["Herald has stopped."])
    assert process.wait(10) == 0
    assert not [pid for pid in last.values() if Path(f"/proc/{pid}").exists()]


def test_detached_it_stays_until_it_is_told_to_stop(env: dict[str, str]) -> None:
    """`up --detach` returns when all is ready; `down` ends it, and a second `down` has nothing to do."""
    try:
        status, lines = _run(env, "up", "--detach")
        assert status == 0, lines
        assert _READY.match(lines[-1])
        health = httpx.get(f"http://127.0.0.1:{env['HERALD_PORT']}/readyz", trust_env=False, timeout=10).json()
        assert health["status"] == "ok"
    finally:
        assert _run(env, "down") == (0, ["Herald has stopped."])
    assert _run(env, "down") == (0, ["Herald was not running."])
