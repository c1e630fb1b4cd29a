"""What the reading process may not do: use the network, start programs, write files, or take more than its share.

A file that takes over its parser can then do nothing but lie about its own text.
Sources: Linux ``seccomp(2)``, ``prctl(2)``, ``unshare(2)``, ``asm/unistd.h``, ``linux/audit.h``.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import struct

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ERRNO with EPERM
_LOAD, _IS_EQUAL, _IS_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4  # offsets in struct seccomp_data
_X32_BIT = 0x40000000
# audit architecture, then: socket, connect, socketpair, execve, execveat, ptrace, process_vm_readv, process_vm_writev,
# io_uring_setup (which reaches sockets past such a filter)
_SYSCALLS = {
    "x86_64": (0xC000003E, (41, 42, 53, 59, 322, 101, 310, 311, 425)),
    "aarch64": (0xC00000B7, (198, 203, 199, 221, 281, 117, 270, 271, 425)),
}


class NotConfined(Exception):
    """This machine offers no way to take the network from a process."""


def limit_resources(memory_bytes: int, cpu_s: int) -> None:
    """Bound address space and processor time; no file can be written."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def forbid_network() -> None:
    """Take sockets and the starting of programs from this process, for good.

    Raises: NotConfined when neither a system call filter nor a network namespace is to be had.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    has_namespace = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    if not (_filter_system_calls(libc) or has_namespace):
        raise NotConfined("neither a system call filter nor a network namespace is allowed here")


def _filter_system_calls(libc: ctypes.CDLL) -> bool:
    known = _SYSCALLS.get(platform.machine())
    if known is None:
        return False
    program = _program(*known)
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0) == 0)


def _program(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """A classic BPF program: refuse the listed calls and every call of another architecture, allow the rest."""
    count = len(numbers)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IS_EQUAL, 0, count + 3, architecture),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IS_AT_LEAST, count + 1, 0, _X32_BIT),
        *((_IS_EQUAL, count - index, 0, number) for index, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
