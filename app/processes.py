"""Where process numbers mean the same: one machine, or one container of it."""

from __future__ import annotations

import socket
from pathlib import Path


def process_space() -> str:
    """Names the space that this process's number is counted in; equal names see each other's processes.

    Containers of one machine may share its name, and each has processes of its own: a number that runs there would be
    taken for dead here. Source: pid_namespaces(7); the link's text is ``pid:[4026531836]``.
    """
    try:
        space = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:  # not Linux, or no /proc
        return socket.gethostname()
    return f"{socket.gethostname()}.{space}"
