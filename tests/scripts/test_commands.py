"""Children of the set-up: logged, without stdin, and ended with everything that they started."""

from __future__ import annotations

import io
import signal
import sys
import time
from pathlib import Path

import pytest

from scripts.setup.commands import run_logged
from scripts.setup.errors import last_lines, next_step
from scripts.setup.progress import Progress
from scripts.setup.settings_seen import setting


def _run(tmp_path: Path, code: str) -> int:
    return run_logged([sys.executable, "-c", code], tmp_path / "logs" / "step.log", Progress(1, io.StringIO()))


def test_a_failed_command_returns_its_status_and_leaves_its_words(tmp_path: Path) -> None:
    """Both streams are in the log, after the command itself."""
    status = _run(tmp_path, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert status == 7
    assert set(last_lines(tmp_path / "logs" / "step.log", 2)) == {"out", "err"}


def test_a_crash_is_returned_as_a_negative_signal(tmp_path: Path) -> None:
    """As subprocess has it."""
    assert _run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)") == -signal.SIGSEGV


def test_a_command_that_asks_gets_no_answer_instead_of_waiting(tmp_path: Path) -> None:
    """stdin is empty, so that nothing hangs in CI."""
    assert _run(tmp_path, "import sys; sys.exit(len(sys.stdin.read()))") == 0


def test_an_interruption_ends_the_command_and_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during a build leaves no compiler running."""
    ticks = iter(range(1000))

    def tick(_self: Progress, _detail: str = "") -> None:
        if (tmp_path / "pid").exists() or next(ticks) > 100:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "tick", tick)
    code = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"new = Path({str(tmp_path / 'new')!r}); new.write_text(str(child.pid))\n"
        f"new.rename({str(tmp_path / 'pid')!r})\n"
        "time.sleep(600)"
    )
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, code)
    grandchild = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    deadline = time.monotonic() + 10
    while grandchild.exists() and grandchild.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_known_causes_in_a_log_become_advice(tmp_path: Path) -> None:
    """And an unknown one leaves the step's own advice."""
    log = tmp_path / "pip.log"
    log.write_text("Collecting torch\nERROR: Could not install packages: [Errno 28] No space left on device\n")
    assert next_step(log, "other") == "The disk is full. Free at least 8 GB and run the same command again."
    log.write_text("something new\n")
    assert next_step(log, "other") == "other"
    assert next_step(tmp_path / "absent", "other") == "other"


def test_a_setting_comes_from_the_environment_then_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the product itself reads it."""
    monkeypatch.delenv("HERALD_CHROMIUM", raising=False)
    assert setting(tmp_path, "HERALD_CHROMIUM") == ""
    (tmp_path / ".env").write_text(
        "#HERALD_CHROMIUM=/no\nexport HERALD_CHROMIUM = '/usr/bin/a b'\nHERALD_CHROMIUM_X=1\n"
    )
    assert setting(tmp_path, "HERALD_CHROMIUM") == "/usr/bin/a b"
    monkeypatch.setenv("HERALD_CHROMIUM", "/other")
    assert setting(tmp_path, "HERALD_CHROMIUM") == "/other"
