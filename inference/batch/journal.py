"""An append-only JSONL file whose lines survive a crash: what is in it is done, what is torn is cut off."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO


class Journal:
    """Results by ``custom_id``. Opening repairs the file's end; ``append`` returns once the line is on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: set[str] = set()
        self._file: BinaryIO = path.open("a+b")
        try:
            _sync_folder(path.parent)
            self._file.truncate(self._read())
            os.fsync(self._file.fileno())
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> int:
        """Collect the ids; returns the length in bytes of the part that is whole."""
        whole_bytes = 0
        self._file.seek(0)
        for line in self._file:
            entry = _parsed(line)
            if entry is None:
                break
            self.ids.add(entry["custom_id"])
            whole_bytes += len(line)
        return whole_bytes

    def entries(self) -> Iterator[dict[str, Any]]:
        """Every line, in the order in which they were written."""
        with self.path.open("rb") as file:
            for line in file:
                yield json.loads(line)

    def append(self, entry: dict[str, Any]) -> None:
        """Write one line and wait for the disk. A line that could not be written whole is taken back.

        Raises: ValueError for an id that is there already, OSError (a full disk).
        """
        if entry["custom_id"] in self.ids:
            raise ValueError(f"{entry['custom_id']!r} has a result already")
        data = json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        before_bytes = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._rewind(before_bytes)
            raise
        self.ids.add(entry["custom_id"])

    def _rewind(self, size_bytes: int) -> None:
        # The buffer may still hold what could not be written, so the file is opened anew.
        path = self.path
        with contextlib.suppress(OSError):
            self._file.close()
        os.truncate(path, size_bytes)
        self._file = path.open("a+b")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The line's object, or None when the line is torn or not one of ours."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("custom_id"), str) else None


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves the old or the new content, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the folder's entries durable; a new file's name is not, until then."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
