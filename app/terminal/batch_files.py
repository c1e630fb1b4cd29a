"""The two ends of ``herald batch run`` on the disk: which requests are left, and results that are only ever added."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from app.errors import InvalidInput


class ResultFile:
    """The output. Opening cuts a torn last line off and learns which requests are done."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError, InvalidInput when the file holds something other than results."""
        self.path = path
        self.ids: set[str] = set()
        self._file = path.open("a+b")
        try:
            self._file.seek(0)
            whole_bytes = 0
            for number, line in enumerate(self._file, 1):
                if not line.endswith(b"\n"):
                    break
                self._learn(line, number)
                whole_bytes += len(line)
            self._file.truncate(whole_bytes)
        except BaseException:
            self._file.close()
            raise

    def _learn(self, line: bytes, number: int) -> None:
        custom_id = _custom_id(line)
        if custom_id is None:
            raise InvalidInput(
                f"{self.path}, line {number} is not a result of a batch.", hint="Choose another file with -o."
            )
        self.ids.add(custom_id)

    def add(self, lines: Iterable[bytes]) -> int:
        """Append results that are not there yet and wait for the disk; returns how many."""
        added = 0
        for line in lines:
            custom_id = _custom_id(line)
            if custom_id is not None and custom_id not in self.ids:
                self._file.write(line)
                self.ids.add(custom_id)
                added += 1
        self._file.flush()
        os.fsync(self._file.fileno())
        return added

    def close(self) -> None:
        """Close the file; one without a result is not left behind."""
        self._file.close()
        if not self.ids:
            self.path.unlink(missing_ok=True)


def write_remaining(source: Path, done: set[str], target: BinaryIO) -> tuple[int, int, str]:
    """Copy the requests that have no result; the others become empty lines, so that line numbers stay true.

    Returns: requests in all, requests that are left, the url of the first one.
    Raises: OSError, InvalidInput when results belong to another input.
    """
    total, left, url = 0, 0, ""
    unknown = set(done)
    with source.open("rb") as lines:
        for line in lines:
            is_done = False
            if line.strip():
                custom_id = _custom_id(line)
                unknown.discard(custom_id or "")
                is_done = custom_id in done
                total += 1
                left += not is_done
                url = url or _url(line)
            target.write(b"\n" if is_done else line.rstrip(b"\r\n") + b"\n")
    if unknown:
        raise InvalidInput(
            f"The output holds {len(unknown):,} results such as {min(unknown)!r} whose requests are not in {source}.",
            hint="It belongs to another input: choose another file with -o.",
        )
    return total, left, url or "/v1/chat/completions"


def write_errors(path: Path, lines: Iterable[bytes]) -> int:
    """Replace the error file; without errors there is none. Returns how many."""
    count = 0
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            for line in lines:
                file.write(line)
                count += 1
            file.flush()
            os.fsync(file.fileno())
        if count:
            partial.replace(path)
        else:
            path.unlink(missing_ok=True)
    finally:
        partial.unlink(missing_ok=True)
    return count


def is_answer(line: bytes) -> bool:
    """Whether a line of results is an answer rather than a failure."""
    response = _object(line).get("response")
    return isinstance(response, dict) and response.get("status_code") == 200


def first_error(path: Path) -> str:
    """What the first line of an error file says."""
    with path.open("rb") as file:
        entry: Any = json.loads(file.readline())
    error = entry["error"] or entry["response"]["body"]["error"]
    return f"{entry['custom_id']}: {error['message']}"


def _custom_id(line: bytes) -> str | None:
    entry = _object(line)
    custom_id = entry.get("custom_id")
    return custom_id if isinstance(custom_id, str) else None


def _url(line: bytes) -> str:
    return str(_object(line).get("url", ""))


def _object(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
