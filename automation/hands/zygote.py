"""``python -m automation.hands.zygote FD``: starts a child for each action, watches it and ends it.

The zygote has everything imported, so that a child is there in milliseconds. It talks to the worker alone, over the
socket ``FD``, and opens no page itself. For each action it forks a keeper, which forks the child: the keeper ends the
child and all that it started when its time or memory is used up, when the worker hangs up or dies, or
when the child is done; so nothing ever outlives its action.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from automation.hands import linux
from automation.hands.isolation import Cell

_LOOK_EVERY_S = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAX_REQUEST_BYTES = 65_536


def main() -> int:
    """Serve until the worker hangs up."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    os.umask(0o022)
    order = json.loads(control.recv(_MAX_REQUEST_BYTES))
    for module in order["modules"]:
        importlib.import_module(module)
    from automation.hands import child  # noqa: F401 - loaded once, before the forks

    cell = Cell.prepare(Path(order["root"]), [Path(p) for p in order["visible"]], [Path(p) for p in order["hidden"]])
    sandbox_problem = _try_out(cell, Path(order["trial"]))
    report = {"uid": cell.uid, "gid": cell.gid, "is_closed": cell.is_closed, "problem": cell.problem}
    control.send(json.dumps(report | {"sandbox_problem": sandbox_problem}).encode())
    while True:
        _reap()
        readable, _, _ = select.select([control], [], [], _LOOK_EVERY_S)
        if not readable:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST_BYTES, 1)
        if not message:
            return 0
        connection = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            _keep(cell, control, connection, json.loads(message))
        connection.close()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _try_out(cell: Cell, scratch: Path) -> str:
    """Enter the cell once, and do in it what Chromium's sandbox does; returns why that is forbidden, or "".

    Some systems forbid only a part of the cell, such as /proc in a container; all of it must work, or none is used.
    """
    entered, sandbox_problem = _trial(cell, scratch)
    if cell.is_closed and entered:
        cell.is_closed = False
        cell.problem = f"the system forbids it ({entered})"
        entered, sandbox_problem = _trial(cell, scratch)
    if entered and cell.uid != os.geteuid():  # root without the right to become somebody else
        cell.uid, cell.gid = os.geteuid(), os.getegid()
        cell.problem += f", and root cannot become another user ({entered})"
        entered, sandbox_problem = _trial(cell, scratch)
    return entered or sandbox_problem


def _trial(cell: Cell, scratch: Path) -> tuple[str, str]:
    """Why the cell could not be entered, and why no sandbox could be built in it; empty texts when they could."""
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        step = 0
        answer = ["it failed halfway", ""]
        try:
            if cell.is_closed:
                linux.unshare(linux.CLONE_NEWPID)
            if os.fork() == 0:
                cell.enter(scratch)
                answer[0], step = "", 1
                if sys.platform == "linux":
                    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID | linux.CLONE_NEWNET)
                os.write(writing, json.dumps(answer).encode())
                os._exit(0)
            os.wait()
        except OSError as error:
            answer[step] = str(error)
            os.write(writing, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    text = os.read(reading, 4_000)
    os.close(reading)
    os.waitpid(keeper, 0)
    try:
        entered, sandbox = json.loads(text)
    except ValueError:
        return "it failed halfway", ""
    return str(entered), str(sandbox)


def _keep(cell: Cell, control: socket.socket, connection: socket.socket, order: dict[str, Any]) -> NoReturn:
    """The keeper of one child. Never returns."""
    try:
        control.close()
        signal.signal(signal.SIGTERM, lambda *_: connection.shutdown(socket.SHUT_RDWR))
        if sys.platform == "linux":
            linux.adopt_orphans()
            linux.die_with_parent(signal.SIGTERM)  # the zygote ended: end the child as if the worker had hung up
        if cell.is_closed:
            linux.unshare(linux.CLONE_NEWPID)
        child = os.fork()
        if child == 0:
            _be_child(cell, connection, Path(order["scratch"]))
        _watch(child, connection, time.monotonic() + order["time_s"], order["memory_bytes"])
        _end(child)
    finally:
        os._exit(0)


def _be_child(cell: Cell, connection: socket.socket, scratch: Path) -> NoReturn:
    status = 1
    try:
        os.setsid()
        os.umask(0o077)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        inside = cell.enter(scratch)
        if sys.platform == "linux":
            linux.die_with_parent(signal.SIGKILL)
        os.environ.update(HOME=str(inside / "home"), TMPDIR=str(inside / "tmp"))
        os.environ["XDG_CACHE_HOME"] = str(inside / "home/.cache")
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        socket.send_fds(connection, [b"\n"], [listener.fileno()])
        from automation.hands.child import work

        work(connection, listener, inside)
        status = 0
    except BaseException as error:
        if not isinstance(error, SystemExit):
            sys.stderr.write(f"herald hands: {type(error).__name__}: {error}\n")
    finally:
        os._exit(status)


def _watch(child: int, connection: socket.socket, deadline: float, memory_bytes: int) -> None:
    """Return when the child has ended or must end."""
    hung_up = select.poll()
    hung_up.register(connection, getattr(select, "POLLRDHUP", 0))  # POLLHUP comes without being asked for
    with contextlib.suppress(OSError, AttributeError):
        hung_up.register(os.pidfd_open(child), select.POLLIN)
    next_look = time.monotonic() + _LOOK_EVERY_S
    while not hung_up.poll(_LOOK_EVERY_S * 1_000) and os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() < next_look:
            continue
        next_look = time.monotonic() + _LOOK_EVERY_S
        used_bytes = sum(map(_memory_bytes, [child, *_descendants(child)]))
        over = "memory" if used_bytes > memory_bytes else "time" if time.monotonic() > deadline else ""
        if over:
            _end(child)  # first: it may be in the middle of a line
            _tell(connection, {"over": over, "used_bytes": used_bytes, "allowed_bytes": memory_bytes})
            return


def _tell(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"\n" + json.dumps(message).encode() + b"\n")


def _end(child: int) -> None:
    """Kill the child and whatever it left behind. With processes of its own the first kill takes all with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    while left := _descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.005)
    _reap()


def _descendants(pid: int) -> list[int]:
    """All processes below ``pid``, as /proc tells; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ValueError):
                    fields = (entry / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _memory_bytes(pid: int) -> int:
    """What the process alone holds in memory: resident pages without those of files. 0 when it has ended."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES


if __name__ == "__main__":
    sys.exit(main())
