"""Where the originals of assets lie, each once by the SHA-256 of its content: a folder; a bucket has its own module."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from app.db.engine import StorageFull
from app.errors import Unavailable

LEFTOVER_AGE_S = 3_600.0


class OriginalMissing(Unavailable):
    """The stored original is gone or was changed."""

    code = "original_missing"


class StorageUnavailable(Unavailable):
    """The storage cannot be used at the moment, or as it is set."""

    code = "storage_unavailable"


class OriginalStore(Protocol):
    """What memory needs of a storage; the same tests hold the folder and the bucket to it."""

    def put(self, content: bytes, sha256: str) -> None:
        """Store durably; the same content again makes it new. Raises: StorageFull, StorageUnavailable."""

    def get(self, sha256: str, filename: str) -> bytes:
        """The content, checked. Raises: OriginalMissing, StorageUnavailable."""

    def remove(self, sha256: str) -> None:
        """Forget the content, if it is there. Raises: StorageUnavailable."""

    def leftovers(self) -> Iterator[str]:
        """Names of what has lain here for an hour or longer; whoever asks knows which are wanted.

        Raises: StorageUnavailable.
        """


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
            raise missing(filename, error.strerror or str(error)) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise missing(filename, "its content is not what was uploaded")
        return content

    def remove(self, sha256: str) -> None:
        """Forget the content, if it is there."""
        self.path_of(sha256).unlink(missing_ok=True)

    def leftovers(self) -> Iterator[str]:
        """Names of files that have lain here for an hour or longer, also of cut-off uploads."""
        if not self._folder.is_dir():
            return
        oldest = time.time() - LEFTOVER_AGE_S
        for path in self._folder.iterdir():
            if path.is_file() and path.stat().st_mtime < oldest:
                yield path.name

    def path_of(self, sha256: str) -> Path:
        """Where the content lies."""
        return self._folder / sha256


def missing(filename: str, reason: str) -> OriginalMissing:
    """The error for an original that cannot be had."""
    return OriginalMissing(
        f"The stored original of {filename} cannot be read: {reason}.",
        hint="Delete the asset and upload the file again.",
    )


def try_out(store: OriginalStore) -> None:
    """Write one small original, read it, list, and delete it. Raises: what the storage cannot do."""
    content = os.urandom(32)
    sha256 = hashlib.sha256(content).hexdigest()
    store.put(content, sha256)
    try:
        store.get(sha256, "the trial")
        next(iter(store.leftovers()), None)
    finally:
        store.remove(sha256)
