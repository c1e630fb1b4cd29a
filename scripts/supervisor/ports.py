"""Tells before anything starts whether the ports are free, and who has them if not."""

from __future__ import annotations

import contextlib
import errno
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PortNeed:
    """A port that a process will listen on, and the setting that moves it."""

    host: str
    port: int
    variable: str
    purpose: str


class PortTaken(Exception):
    """A port that Herald needs cannot be listened on."""


def require_free(need: PortNeed) -> None:
    """Raises: PortTaken, which names the port, who has it where that can be known, and the setting to change."""
    host = need.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            # As the servers do: a port whose last connections are still dying out is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, need.port))
            listener.listen(1)
    except OSError as error:
        raise PortTaken(_problem(need, error)) from None


def _problem(need: PortNeed, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        owner = owner_of(need.port)
        by = f" by {owner}" if owner else " by another program"
        return (
            f"Port {need.port}, which {need.purpose} needs, is taken{by}. "
            f"Stop that program, or set {need.variable} to a free port and run ./scripts/up again."
        )
    if error.errno == errno.EACCES:
        return (
            f"Port {need.port}, which {need.purpose} needs, is reserved for the system. "
            f"Set {need.variable} to a port above 1023 and run ./scripts/up again."
        )
    return (
        f"{need.purpose} cannot listen on {need.host}:{need.port}: {error.strerror}. "
        f"Check HERALD_HOST and {need.variable}."
    )


def owner_of(port: int) -> str:
    """The program that listens on ``port``, as "name (pid 12)"; empty when it is not ours to see."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        if sockets & _open_files(process):
            with contextlib.suppress(OSError):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _open_files(process: Path) -> set[str]:
    """What the process's descriptors point at; empty for another user's process or one that has ended."""
    targets = set()
    with contextlib.suppress(OSError):
        for link in list((process / "fd").iterdir()):
            with contextlib.suppress(OSError):  # closed since it was listed
                targets.add(str(link.readlink()))
    return targets


def _listening_inodes(port: int) -> set[str]:
    """Source: proc(5), /proc/net/tcp: local address in hex, state 0A is LISTEN, the tenth field is the inode."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
