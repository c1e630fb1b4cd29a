"""``scripts/runpod-start`` for real, in a folder of its own: first starts, second ones, broken ones, moved volumes.

What it calls (``install``, ``install-vllm``, ``up``) stands in and writes down how it was called.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 90

INSTALL = """#!/usr/bin/env bash
set -eu
cd "$(dirname "$0")/.."
echo install >>"$CALLS"
[ ! -e "$VOLUME/broken" ] || { rm "$VOLUME/broken"; exit 7; }
[ -d .venv ] || "$PYTHON" -m venv --without-pip .venv
"""
SYSTEM = """#!/usr/bin/env bash
echo "not counted: whether it is needed depends on the machine" >&2
"""
VLLM = """#!/usr/bin/env bash
echo "install-vllm $*" >>"$CALLS"
"""
UP = """#!/usr/bin/env bash
env | sort >"$CALLS.env"
date >>"$HERALD_HOME/data.txt"
trap 'echo stopped >>"$CALLS"; exit 0' TERM
echo up >>"$CALLS"
while :; do sleep 0.1; done
"""
MODELS = """import os, sys
open(os.environ["CALLS"], "a").write(f"models {' '.join(sys.argv[1:])}\\n")
"""


class Pod:
    """A clone and a volume, and the pod that runs in them."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.volume, self.calls_file = folder / "clone", folder / "volume", folder / "calls"
        (self.clone / "scripts").mkdir(parents=True)
        (self.clone / "models").mkdir()
        self.volume.mkdir()
        shutil.copy(_ROOT / "scripts" / "runpod-start", self.clone / "scripts")
        for name, text in {"install": INSTALL, "install-system": SYSTEM, "install-vllm": VLLM, "up": UP}.items():
            path = self.clone / "scripts" / name
            path.write_text(text)
            path.chmod(0o755)
        (self.clone / "models" / "__main__.py").write_text(MODELS)
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, pod_id: str = "abc", **environment: str) -> subprocess.Popen[str]:
        """Start it; its output is read when it has ended."""
        names = ("PATH", "HOME", "LANG", "TMPDIR")
        process = subprocess.Popen(
            [self.clone / "scripts" / "runpod-start"],
            env={name: os.environ[name] for name in names if name in os.environ}
            | {"RUNPOD_POD_ID": pod_id, "HERALD_VOLUME": str(self.volume), "HERALD_MODEL": "llama-3.1-8b-instruct"}
            | {"CALLS": str(self.calls_file), "PYTHON": sys.executable, "VOLUME": str(self.volume)}
            | {"POD_STALE_S": "4", "POD_LOCAL_DISK": str(self.clone / "disk")}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def wait_for_up(self, process: subprocess.Popen[str], count: int = 1) -> None:
        until = time.monotonic() + LIMIT_S
        while self.calls().count("up") < count:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.05)

    def stop(self, process: subprocess.Popen[str]) -> str:
        """As RunPod ends a container; returns what it printed."""
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, output
        return output

    def kill(self) -> None:
        """As a machine that is lost."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path)
    yield made
    made.kill()


def test_it_runs_in_pods_only(pod: Pod) -> None:
    """Elsewhere there is a command for that."""
    process = pod.start(pod_id="")
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "RUNPOD_POD_ID is not set" in output
    assert "./scripts/up" in output


def test_a_volume_that_is_not_there_is_said(pod: Pod) -> None:
    """Before anything is installed."""
    process = pod.start(HERALD_VOLUME=str(pod.volume / "none"))
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "none is not there or cannot be written to" in output
    assert not pod.calls()


def test_a_first_start_installs_and_serves_behind_the_proxy(pod: Pod) -> None:
    """All that lasts is on the volume, the environments are not; SIGTERM reaches Herald."""
    process = pod.start()
    pod.wait_for_up(process)
    assert (pod.volume / "herald" / "owner").read_text() == "abc\n"
    output = pod.stop(process)
    assert pod.calls() == [
        "install",
        f"install-vllm --device cuda --folder {pod.clone}/disk/herald-vllm --model ",
        "models pull llama-3.1-8b-instruct --safetensors",
        "up",
        "stopped",
    ]
    environment = dict(line.partition("=")[::2] for line in Path(f"{pod.calls_file}.env").read_text().splitlines())
    assert environment["HERALD_PUBLIC_URL"] == "https://abc-8000.proxy.runpod.net"
    assert environment["HERALD_ALLOWED_HOSTS"] == "abc-8000.proxy.runpod.net,127.0.0.1,localhost"
    assert environment["HERALD_HOST"] == "0.0.0.0"
    assert environment["HERALD_INFERENCE_BACKEND"] == "vllm"
    for name in ("HERALD_HOME", "HERALD_MODELS_DIR", "XDG_CACHE_HOME", "PIP_CACHE_DIR"):
        assert environment[name].startswith(f"{pod.volume}/herald/")
    assert "is no mounted volume" in output
    assert not (pod.volume / "herald" / "owner").exists()
    assert not list((pod.volume / "herald" / "data").glob(".wal-trial*"))


def test_a_start_that_broke_off_goes_on_with_the_next(pod: Pod) -> None:
    """At once: the volume's owner is this pod."""
    (pod.volume / "broken").touch()
    process = pod.start()
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 7
    process = pod.start()
    pod.wait_for_up(process)
    assert "waiting until it is gone" not in pod.stop(process)


def test_a_second_start_keeps_the_environment(pod: Pod) -> None:
    """And the data."""
    pod.stop(_up(pod))
    made_at = (pod.clone / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    pod.stop(_up(pod, count=2))
    assert (pod.clone / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == made_at
    assert len((pod.volume / "herald" / "data" / "data.txt").read_text().splitlines()) == 2


def test_a_moved_clone_and_volume_start_with_their_data_and_new_environments(pod: Pod, tmp_path: Path) -> None:
    """An environment knows its path; nothing else does."""
    pod.stop(_up(pod))
    (pod.clone / "disk" / "herald-vllm" / "env").mkdir(parents=True)
    pod.clone, pod.volume = pod.clone.rename(tmp_path / "clone2"), pod.volume.rename(tmp_path / "volume2")
    output = pod.stop(_up(pod, count=2))
    assert f"{pod.clone}/.venv does not start here; making it again" in output
    assert "herald-vllm does not start here; making it again" in output
    assert str(tmp_path / "clone2") in (pod.clone / ".venv" / "pyvenv.cfg").read_text()
    assert len((pod.volume / "herald" / "data" / "data.txt").read_text().splitlines()) == 2


def test_the_pod_after_a_lost_one_waits_until_nothing_touches_the_volume(pod: Pod) -> None:
    """Two at once would write one database."""
    _up(pod)
    pod.kill()
    process = pod.start(pod_id="def")
    pod.wait_for_up(process, count=2)
    assert (pod.volume / "herald" / "owner").read_text() == "def\n"
    assert "The pod abc used this volume" in pod.stop(process)


def _up(pod: Pod, count: int = 1) -> subprocess.Popen[str]:
    process = pod.start()
    pod.wait_for_up(process, count)
    return process
