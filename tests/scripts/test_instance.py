"""One Herald for each data folder; a stale process id misleads nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from scripts.supervisor.instance import Instance

_ROOT = Path(__file__).resolve().parents[2]


def _holder(run_dir: Path, *, is_deaf: bool = False) -> subprocess.Popen[str]:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if is_deaf else ""
    code = (
        f"{deaf}import time; from pathlib import Path; from scripts.supervisor.instance import Instance\n"
        f"i = Instance(Path({str(run_dir)!r})); print(i.acquire(), flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    return holder


def test_a_second_instance_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    """The lock belongs to a living process, and the pid file names it."""
    with _holder(tmp_path) as holder:
        second = Instance(tmp_path)
        assert not second.acquire()
        assert second.is_running()
        assert second.running_pid() == holder.pid
        holder.kill()


def test_a_killed_instance_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """After kill -9 the pid file is still there, and means nothing."""
    with _holder(tmp_path) as holder:
        holder.kill()
    assert (tmp_path / "herald.pid").exists()
    instance = Instance(tmp_path)
    assert instance.running_pid() is None
    assert not instance.stop(1)
    assert instance.acquire()
    assert instance.running_pid() == os.getpid()
    instance.release()
    assert not instance.is_running()


def test_a_stale_process_id_that_now_belongs_to_another_program_is_not_signalled(tmp_path: Path) -> None:
    """Only the lock's holder may be ended."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as bystander:
        (tmp_path / "herald.lock").touch()
        (tmp_path / "herald.pid").write_text(f"{bystander.pid}\n")
        assert not Instance(tmp_path).stop(1)
        assert bystander.poll() is None
        bystander.kill()


def test_stop_ends_the_running_instance(tmp_path: Path) -> None:
    """SIGTERM is enough for a healthy one."""
    with _holder(tmp_path) as holder:
        assert Instance(tmp_path).stop(5)
        assert holder.wait(5) == -signal.SIGTERM


def test_stop_insists_when_it_is_not_heard(tmp_path: Path) -> None:
    """A supervisor that hangs is killed; its processes go with it."""
    with _holder(tmp_path, is_deaf=True) as holder:
        assert Instance(tmp_path).stop(0.3)
        assert holder.wait(5) == -signal.SIGKILL


def test_nothing_runs_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """Asking creates nothing."""
    instance = Instance(tmp_path / "absent")
    assert not instance.is_running()
    assert not instance.stop(1)
    assert not (tmp_path / "absent").exists()
