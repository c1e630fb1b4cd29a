"""The few calls of the Linux kernel that shut a process off and that Python 3.11 does not offer. No policy.

Sources: unshare(2), mount(2), mount_setattr(2), pivot_root(2), prctl(2), capset(2), netdevice(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

_MS_NOSUID = 2
_MS_NODEV = 4
_MS_NOEXEC = 8
_MS_BIND = 4_096
_MS_REC = 16_384
_MS_PRIVATE = 1 << 18
_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_SYS_MOUNT_SETATTR = 442  # the same on every architecture
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAP_VERSION_3 = 0x2008_0522
_CAP_COUNT = 64
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` name for new ones. Raises: OSError."""
    _checked(_LIBC.unshare(flags), "unshare")


def map_own_ids(uid: int, gid: int) -> None:
    """In a new user namespace: be the same user and group as outside, and nobody else. Raises: OSError."""
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", "ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", "ascii")


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    result = _LIBC.mount(
        source.encode(),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _checked(result, f"mount {target}")


def make_mounts_private() -> None:
    """Mounts made from here on stay in this mount namespace. Raises: OSError."""
    _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE)


def mount_tmpfs(target: Path, options: str) -> None:
    """An empty folder in memory. Raises: OSError."""
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, options)


def mount_proc(target: Path) -> None:
    """The processes of this process's own namespace. Raises: OSError, as in containers that hide parts of /proc."""
    _mount("proc", target, "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def bind(source: Path, target: Path) -> None:
    """Show ``source`` (a file or a folder with what is mounted in it) at ``target`` too. Raises: OSError."""
    _mount(os.fspath(source), target, None, _MS_BIND | _MS_REC)


def make_read_only(target: Path) -> None:
    """Everything mounted at and below ``target`` can only be read. Needs Linux 5.12. Raises: OSError."""
    attributes = struct.pack("=QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = _LIBC.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )
    _checked(result, f"mount_setattr {target}")


def enter_root(root: Path) -> None:
    """Make ``root``, a mount point, the root folder, and let go of the old one. Raises: OSError."""
    os.chdir(root)
    _checked(_LIBC.pivot_root(b".", b"."), "pivot_root")
    _checked(_LIBC.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")


def bring_loopback_up() -> None:
    """Switch on 127.0.0.1 in a new network namespace, which has nothing else. Raises: OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP))


def bound_capabilities() -> None:
    """Programs started from here can never gain a right beyond an ordinary user's. Takes a capability itself."""
    for capability in range(_CAP_COUNT):
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def drop_capabilities() -> None:
    """Give up every right beyond an ordinary user's, for good. Raises: OSError."""
    header = struct.pack("=Ii", _CAP_VERSION_3, 0)
    _checked(_LIBC.capset(header, bytes(24)), "capset")
    _checked(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def hide_memory() -> None:
    """No other process of the same user may read this one's memory."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent(signal_number: int) -> None:
    """Get a signal when the parent ends. A change of user cancels this, so call it afterwards."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be found and ended."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
