"""Runs a command, and ends it with everything that it started as soon as whoever asked for it is gone.

A program of its own, started by its path: ``keeper.py COMMAND …`` in a new session. Whoever starts it holds its
standard input open and writes nothing; the end of that input means that they closed it or ended, in whatever way,
``kill -9`` included. Source: credentials of a pipe, pipe(7): the last writer's end is the reader's end of file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 5.0


def main(command: list[str]) -> int:
    """Run ``command``; its end, or the end of the input, ends the whole session."""
    # A handler, unlike SIG_IGN, is not passed on to the child.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_end_with_input, daemon=True).start()
    status = subprocess.Popen(command, stdin=subprocess.DEVNULL).wait()  # noqa: S603 - the owner's own command
    print(f"ended with exit status {status}", flush=True)  # noqa: T201 - into the log
    os.killpg(0, signal.SIGKILL)  # what the command left behind, and this process
    return status


def _end_with_input() -> None:
    while os.read(0, 4096):
        continue
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
