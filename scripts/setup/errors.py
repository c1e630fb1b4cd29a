"""The one error of the set-up: what failed, what to do, and where the details are."""

from __future__ import annotations

from pathlib import Path


class SetupError(Exception):
    """A step that cannot go on. ``todo`` is the user's next step; ``log`` holds the output of the failed command."""

    def __init__(self, what: str, todo: str, log: Path | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo
        self.log = log


# What a log says, and what a person can do about it. First match wins.
_KNOWN_CAUSES: tuple[tuple[str, str], ...] = (
    ("No space left on device", "The disk is full. Free at least 8 GB and run the same command again."),
    (
        "Temporary failure in name resolution",
        "There is no name resolution. Check the network and run the same command again.",
    ),
    ("Failed to resolve", "There is no name resolution. Check the network and run the same command again."),
    ("Network is unreachable", "There is no network. Check the connection and run the same command again."),
    (
        "Read timed out",
        "The package index did not answer in time. Run the same command again; downloads that finished are kept.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "The package index's certificate was not accepted. Check the clock, and pip's `cert` setting.",
    ),
    (
        "Killed",
        "The system ended the command, most likely for want of memory. Close programs or add swap, then run it again.",
    ),
    (
        "No matching distribution found",
        "The package index in pip's configuration does not offer this package for this Python.",
    ),
    (
        "Permission denied",
        "A file belongs to another user. Run as the user who owns this folder, or give it to this one with chown.",
    ),
)


def next_step(log: Path, otherwise: str) -> str:
    """Say what to do, from what the log's end says; ``otherwise`` when nothing known is in it."""
    tail = "\n".join(last_lines(log, 80))
    return next((todo for mark, todo in _KNOWN_CAUSES if mark in tail), otherwise)


def last_lines(log: Path, count: int) -> list[str]:
    """The last ``count`` non-empty lines of a log, or none when it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64_000))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.replace("\r", "\n").splitlines()]
    return [line for line in lines if line][-count:]
