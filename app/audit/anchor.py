"""The head of the audit chain, written down outside the database: one small file that is overwritten in place.

The file is written after the commit that it tells of. So a crash between the two leaves it behind by the newest rows
(the next commit or start catches up), never ahead of them: a file that names a row that is not there is always a sign
of a log that was cut off. Rows newer than the file are held by the chain alone until then.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from app.audit.chain import Head
from app.errors import AppError

_RECORD_BYTES = 256  # one sector holds it whole, so that a power cut leaves the old record or the new one


class AnchorUnreadable(AppError):
    """An anchor file is there but cannot be read as one."""

    code = "anchor_unreadable"


def read(path: Path) -> Head | None:
    """The head that the file names; None when there is no file or it is still empty.

    Raises: AnchorUnreadable.
    """
    try:
        with path.open("rb") as file:
            return _parsed(path, file.read(_RECORD_BYTES + 1))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def advance(path: Path, head: Head, *, still_holds: Callable[[Head], bool], force: bool = False) -> Head | None:
    """Move the anchor on to ``head`` and wait until it is on the disk; one process at a time.

    Returns the head that the file named before and that ``still_holds`` denies, without moving it: an anchor never
    covers up a log that was rewritten. ``force`` moves it whatever it says. Returns None when all is well.

    Raises: AnchorUnreadable, OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not force:
            old = _parsed(path, file.read(_RECORD_BYTES + 1))
            if old is not None and (old.id > head.id or old == head):
                return None
            if old is not None and not still_holds(old):
                return old
        os.pwrite(descriptor, _record(head), 0)
        os.ftruncate(descriptor, _RECORD_BYTES)
        os.fdatasync(descriptor)
    return None


def _record(head: Head) -> bytes:
    body = f"{head.id} {head.hash}"
    line = json.dumps({"id": head.id, "hash": head.hash, "check": hashlib.sha256(body.encode()).hexdigest()})
    return line.encode().ljust(_RECORD_BYTES - 1) + b"\n"


def _parsed(path: Path, content: bytes) -> Head | None:
    if not content:
        return None
    try:
        raw = json.loads(content)
        head = Head(int(raw["id"]), str(raw["hash"]))
    except (ValueError, KeyError, TypeError):
        raise _unreadable(path, "it is not an anchor") from None
    if len(content) != _RECORD_BYTES or content != _record(head):
        raise _unreadable(path, "its check sum does not fit")
    return head


def _unreadable(path: Path, reason: str) -> AnchorUnreadable:
    return AnchorUnreadable(
        f"The audit anchor {path} cannot be read: {reason}.",
        hint="Someone changed it, or its disk is damaged; `herald audit anchor --accept` replaces it.",
    )
