"""Where the worker listens for logins by hand: a socket file in the data home, for this user alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_MOST_BYTES = 100  # the kernel takes 107, and a data home may lie deep


def door_path(home: Path) -> Path:
    """The socket file."""
    return home / "run" / "login.sock"


@contextlib.contextmanager
def door_name(home: Path) -> Iterator[str]:
    """A name of the socket file that is short enough to bind or to connect to. Raises: OSError."""
    path = door_path(home)
    if len(os.fsencode(path)) < _MOST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
