"""The originals of assets, each once by the SHA-256 of its content, under ``<home>/documents``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from app.db.engine import StorageFull
from app.errors import Unavailable

LEFTOVER_AGE_S = 3_600.0


class OriginalMissing(Unavailable):
    """The stored original is gone or was changed."""

    code = "original_missing"


class Originals:
    """A folder of files named by their content's SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes, sha256: str) -> None:
        """Store durably; the same content again is no work. Raises: StorageFull."""
        path = self.path_of(sha256)
        if path.is_file() and path.stat().st_size == len(content):
            path.touch()  # it is wanted again: a clean-up must not take it for a leftover
            return
        partial = self._folder / f".{uuid.uuid4().hex}.partial"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise StorageFull(
                f"The document could not be saved: {error.strerror or error}.",
                hint="Free some space on the disk that holds HERALD_HOME, then upload it again.",
            ) from error
        finally:
            with contextlib.suppress(OSError):  # what went wrong is said already
                partial.unlink()

    def get(self, sha256: str, filename: str) -> bytes:
        """The content, checked. Raises: OriginalMissing."""
        try:
            content = self.path_of(sha256).read_bytes()
        except OSError as error:
            raise _missing(filename, error.strerror or str(error)) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _missing(filename, "its content is not what was uploaded")
        return content

    def remove(self, sha256: str) -> None:
        """Forget the content, if it is there."""
        self.path_of(sha256).unlink(missing_ok=True)

    def leftovers(self) -> Iterator[str]:
        """Names of files that have lain here for an hour or longer; whoever asks knows which of them are wanted."""
        if not self._folder.is_dir():
            return
        oldest = time.time() - LEFTOVER_AGE_S
        for path in self._folder.iterdir():
            if path.is_file() and path.stat().st_mtime < oldest:
                yield path.name

    def clear_leftovers(self, wanted: Collection[str]) -> int:
        """Remove what has lain here for an hour and belongs to no asset (a deleted project's); how many it was."""
        removed = 0
        for name in self.leftovers():
            if name not in wanted:
                (self._folder / name).unlink(missing_ok=True)
                removed += 1
        return removed

    def path_of(self, sha256: str) -> Path:
        """Where the content lies."""
        return self._folder / sha256


def _missing(filename: str, reason: str) -> OriginalMissing:
    return OriginalMissing(
        f"The stored original of {filename} cannot be read: {reason}.",
        hint="Delete the asset and upload the file again.",
    )
