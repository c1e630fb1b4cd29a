"""Runs a child command with its output in a log file, while the progress line ticks."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts.lifeline import die_with_parent
from scripts.setup.errors import last_lines
from scripts.setup.progress import Progress

_TICK_S = 0.25
_STOP_GRACE_S = 10.0


def run_logged(
    argv: Sequence[str | Path],
    log: Path,
    progress: Progress,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    detail: Callable[[str], str] | None = None,
) -> int:
    """Run ``argv`` to its end and return its exit status (negative: the signal that ended it).

    stdout and stderr are appended to ``log``. ``detail`` makes of the child's last line what stands in the
    progress line.
    The child has no stdin, so that nothing waits for an answer that cannot come.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        out.write(f"$ {' '.join(map(str, argv))}\n".encode())
        out.flush()
        child = subprocess.Popen(
            list(map(str, argv)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - the set-up has one thread
        )
        try:
            while child.poll() is None:
                progress.tick(_last_words(log, detail))
                time.sleep(_TICK_S)
        except BaseException:
            _stop_group(child)
            raise
    return child.returncode


def as_it_is(line: str) -> str:
    """A ``detail`` for commands whose own last line is fit to be shown."""
    return line


def _last_words(log: Path, detail: Callable[[str], str] | None) -> str:
    lines = last_lines(log, 1) if detail else []
    return detail(lines[0].strip()) if detail and lines and not lines[0].startswith("$ ") else ""


def _stop_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything that it started: ask first, then insist."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, ask)
            child.wait(_STOP_GRACE_S)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        else:
            break
