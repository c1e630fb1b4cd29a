"""Crashed processes come back, hopeless ones are given up, and nothing survives the supervisor, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.supervisor.processes import ProcessSpec, describe_exit
from scripts.supervisor.supervise import KeepsCrashing, RestartPolicy, Supervisor

_ROOT = Path(__file__).resolve().parents[2]
_QUICK = RestartPolicy(limit=2, window_s=60, first_pause_s=0.05)
_SLEEPS = "import time; time.sleep(600)"
_IGNORES_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def _is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(condition: Callable[[], bool], limit_s: float = 15.0, tick: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        tick()
        time.sleep(0.02)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervise(tmp_path: Path, said: list[str]) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(*specs: ProcessSpec, policy: RestartPolicy = _QUICK) -> Supervisor:
        supervisor = Supervisor(specs, tmp_path / "logs", tmp_path, said.append, policy)
        made.append(supervisor)
        supervisor.start()
        return supervisor

    yield make
    for supervisor in made:
        supervisor.request_stop()
        supervisor.request_stop()
        supervisor.stop()


def test_a_process_that_keeps_crashing_is_given_up_with_its_name_and_log(
    supervise: Callable[..., Supervisor], said: list[str]
) -> None:
    """Two restarts are allowed here; the third end is the last."""
    supervisor = supervise(ProcessSpec("worker", _python("import sys; print('no luck'); sys.exit(3)")))
    with pytest.raises(KeepsCrashing, match=r"worker ended 3 times within 60 s \(last: exit status 3\)") as caught:
        _wait_for(lambda: False, tick=supervisor.tick)
    assert caught.value.log.read_text().count("no luck") == 3
    assert len(said) == 2


def test_a_crashed_process_is_started_again_and_the_others_stay(
    supervise: Callable[..., Supervisor], said: list[str]
) -> None:
    """A kill -9 of one process costs nobody else anything, and is told."""
    supervisor = supervise(ProcessSpec("app", _python(_SLEEPS)), ProcessSpec("worker", _python(_SLEEPS)))
    app, worker = supervisor.processes
    app_pid, first_pid = app.pid, worker.pid
    assert first_pid is not None
    os.kill(first_pid, signal.SIGKILL)
    _wait_for(lambda: worker.pid != first_pid and worker.is_running, tick=supervisor.tick)
    assert app.pid == app_pid
    assert app.is_running
    assert said[0].startswith("worker stopped (killed by SIGKILL) and starts again")


def test_stop_ends_processes_in_reverse_order(supervise: Callable[..., Supervisor], tmp_path: Path) -> None:
    """What was started last depends on what was started first, so it goes first."""
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(tmp_path / 'order')!r}, 'a').write(sys.argv[1]); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)"
    )
    supervisor = supervise(*(ProcessSpec(name, (*_python(code), name)) for name in "abc"))
    _wait_for(lambda: all("ready" in process.log.read_text() for process in supervisor.processes))
    supervisor.stop()
    assert (tmp_path / "order").read_text() == "cba"
    assert not any(process.is_running for process in supervisor.processes)


def test_a_process_that_ignores_the_request_is_killed_after_its_grace(
    supervise: Callable[..., Supervisor], said: list[str]
) -> None:
    """Stopping always ends."""
    supervisor = supervise(ProcessSpec("inference", _python(_IGNORES_TERM), grace_s=0.3))
    (process,) = supervisor.processes
    _wait_for(lambda: "ready" in process.log.read_text())
    started = time.monotonic()
    supervisor.stop()
    assert not process.is_running
    assert time.monotonic() - started < 5
    assert said == ["inference did not end within 0 s and is killed."]


def test_what_a_crashed_process_left_behind_is_ended(supervise: Callable[..., Supervisor], tmp_path: Path) -> None:
    """A browser whose worker was killed has no parent any more; it goes with the stop."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid) + '\\n')\n"
        "time.sleep(600)"
    )
    supervisor = supervise(ProcessSpec("worker", _python(code)))
    _wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    grandchild = int((tmp_path / "pid").read_text())
    assert _is_alive(grandchild)
    supervisor.stop()
    _wait_for(lambda: not _is_alive(grandchild))


def test_a_child_that_its_process_had_before_is_left_alone(supervise: Callable[..., Supervisor]) -> None:
    """Whoever embeds a supervisor keeps what it started itself."""
    with subprocess.Popen(_python(_SLEEPS)) as earlier:
        supervise(ProcessSpec("app", _python(_SLEEPS))).stop()
        assert earlier.poll() is None
        earlier.kill()


def test_no_process_survives_a_kill_of_the_supervisor(tmp_path: Path) -> None:
    """kill -9 gives the supervisor no chance to do anything; the kernel ends its processes, even deaf ones."""
    code = (
        "import sys; from pathlib import Path\n"
        "from scripts.supervisor.processes import ProcessSpec\n"
        "from scripts.supervisor.supervise import Supervisor\n"
        f"spec = ProcessSpec('app', (sys.executable, '-c', {_IGNORES_TERM!r}))\n"
        f"s = Supervisor([spec], Path({str(tmp_path)!r}), Path({str(tmp_path)!r}), print)\n"
        "s.start(); print(s.processes[0].pid, flush=True); s.run()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=_ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        _wait_for(lambda: "ready" in (tmp_path / "app.log").read_text())
        supervisor.kill()
    _wait_for(lambda: not _is_alive(child))


def test_a_grown_log_is_moved_aside_without_stopping_its_process(
    supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process goes on writing into the emptied file."""
    monkeypatch.setattr("scripts.supervisor.processes._KEPT_LOG_BYTES", 1000)
    code = "import time\nwhile True:\n    print('x' * 200, flush=True); time.sleep(0.01)"
    (process,) = supervise(ProcessSpec("app", _python(code))).processes
    _wait_for(lambda: process.log.stat().st_size > 1000)
    process.trim_log()
    assert process.log.with_suffix(".log.1").stat().st_size > 1000
    assert process.log.stat().st_size < 100_000
    _wait_for(lambda: process.log.stat().st_size > 0)
    assert b"\x00" not in process.log.read_bytes()


def test_exit_statuses_are_said_in_words() -> None:
    """People know SIGSEGV better than -11."""
    assert [describe_exit(status) for status in (0, 3, -11, -64)] == [
        "exit status 0",
        "exit status 3",
        "killed by SIGSEGV",
        "killed by SIGRTMAX",
    ]
