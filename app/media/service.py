"""Keeping what actions publish, and handing it out for one run with its bytes compared with their hash."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import BinaryIO, TypeVar

from sqlalchemy.orm import Session

from app import clock
from app.audit.service import AuditService
from app.db.engine import Database, StorageFull
from app.errors import InvalidInput, NotFound, TooLarge, Unavailable
from app.media import repository
from app.media.sniffing import HEAD_BYTES, SUFFIXES, media_type_of
from app.media.tables import MediaRow
from app.text import refuse_control_characters
from automation.actions.base import MediaRef, Params, media_of
from automation.errors import ActionError
from automation.evidence import safe_name

LEFTOVER_AGE_S = 3_600.0
_CHUNK_BYTES = 1 << 20
P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True)
class Media:
    """One stored file."""

    sha256: str
    filename: str
    media_type: str
    size_bytes: int
    created_at: datetime


class MediaService:
    """Files under ``folder``, each named after the SHA-256 of its bytes.

    Args:
        max_bytes: the largest file, in bytes.
    """

    def __init__(self, database: Database, audit: AuditService, folder: Path, max_bytes: int) -> None:
        self._database = database
        self._audit = audit
        self._folder = folder
        self._max_bytes = max_bytes

    def store(self, content: BinaryIO, filename: str, *, actor: str) -> tuple[Media, bool]:
        """Keep a file; returns it and whether it is new. It is on the disk before its row says that it is there.

        Raises: InvalidInput (empty, a bad name), UnsupportedType, TooLarge, StorageFull.
        """
        name = _checked_name(filename)
        head = content.read(HEAD_BYTES)
        if not head:
            raise InvalidInput(f"{name} is empty.", hint="Upload a picture or a film.", code="media_empty")
        media_type = media_type_of(head, name)
        sha256, size_bytes = self._write(head, content, name)
        with self._database.write() as session:
            row = repository.by_hash(session, sha256)
            if row is not None:
                return _media(row), False
            row = MediaRow(
                sha256=sha256,
                filename=name,
                media_type=media_type,
                size_bytes=size_bytes,
                created_by=actor[:100],
                created_at=clock.now(),
            )
            repository.add(session, row)
            if not self._path(sha256).is_file():
                raise Unavailable(f"{name} was being deleted in another project.", hint="Upload it again.")
            detail = {"sha256": sha256, "filename": name, "media_type": media_type, "size_bytes": size_bytes}
            self._audit.record(session, "media.uploaded", actor=actor, detail=detail)
            return _media(row), True

    def get(self, sha256: str) -> tuple[Media, Path]:
        """A file and where it lies. Raises: NotFound."""
        with self._database.read() as session:
            row = repository.by_hash(session, sha256)
        if row is None or not self._path(sha256).is_file():
            raise NotFound(f"There is no file {sha256[:64]}.", hint="Upload it: POST /api/v1/media.")
        return _media(row), self._path(sha256)

    def checked(self, session: Session, params: P) -> P:
        """The params with the type and size of their media as they are stored.

        Raises: InvalidInput when one was not uploaded, or is something else than it is said to be.
        """
        refs = media_of(params)
        if not refs:
            return params
        stored = repository.by_hashes(session, [ref.sha256 for ref in refs])
        return params.model_copy(update={"media": tuple(_as_stored(ref, stored.get(ref.sha256)) for ref in refs)})

    def place(self, ref: MediaRef, folder: Path) -> Path:
        """Copy the file into ``folder`` and compare what was copied with its hash; the copy is what is published.

        Raises: ActionError with code ``media_missing`` or ``media_changed``.
        """
        target = folder / ref.sha256[:16] / f"{safe_name(PurePath(ref.filename).stem)}{SUFFIXES[ref.media_type]}"
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256()
        try:
            with self._path(ref.sha256).open("rb") as source, target.open("wb") as copy:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    copy.write(chunk)
        except FileNotFoundError:
            raise ActionError(
                f"The file {ref.filename} is no longer there, so nothing was submitted.",
                code="media_missing",
                hint="Upload it again and propose the action anew.",
            ) from None
        if digest.hexdigest() != ref.sha256:
            target.unlink()
            raise ActionError(
                f"The bytes of {ref.filename} are not those that were approved, so nothing was submitted.",
                code="media_changed",
                hint="Upload it again and propose the action anew.",
            )
        return target

    def forget_project(self, session: Session, project_id: str) -> Callable[[], None]:
        """What removes the files of a project that is being deleted, but for those that another one uses."""
        hashes = repository.hashes_of(session, project_id)

        def remove() -> None:
            for sha256 in hashes:
                with self._database.write() as session:  # with the lock held, or an upload could slip in
                    if not repository.is_used(session, sha256):
                        self._path(sha256).unlink(missing_ok=True)

        return remove

    def clear_leftovers(self) -> None:
        """Remove files that have lain here for an hour and belong to no project."""
        if not self._folder.is_dir():
            return
        with self._database.read() as session:
            used = repository.used_hashes(session)
        oldest = time.time() - LEFTOVER_AGE_S
        for path in self._folder.iterdir():
            if path.name not in used and path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def _write(self, head: bytes, content: BinaryIO, name: str) -> tuple[str, int]:
        digest, size_bytes, chunk = hashlib.sha256(), 0, head
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = self._folder / f".{uuid.uuid4().hex}.part"
            try:
                with partial.open("xb") as file:
                    while chunk:
                        size_bytes += len(chunk)
                        if size_bytes > self._max_bytes:
                            raise self._too_large(name)
                        digest.update(chunk)
                        file.write(chunk)
                        chunk = content.read(_CHUNK_BYTES)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(self._path(digest.hexdigest()))
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise StorageFull(
                f"{name} could not be saved: {error.strerror or error}.",
                hint="Free some space on the disk that holds HERALD_HOME, then try again.",
            ) from error
        return digest.hexdigest(), size_bytes

    def _too_large(self, name: str) -> TooLarge:
        return TooLarge(
            f"{name} has more than {self._max_bytes / 1048576:,.0f} MiB.",
            hint="Make it smaller, or raise HERALD_MAX_MEDIA_MB.",
        )

    def _path(self, sha256: str) -> Path:
        return self._folder / PurePath(sha256).name


def _as_stored(ref: MediaRef, row: MediaRow | None) -> MediaRef:
    if row is None:
        raise InvalidInput(
            f"media: there is no file with the SHA-256 {ref.sha256[:12]}… ({ref.filename}).",
            hint="Upload it first: POST /api/v1/media.",
            code="media_missing",
        )
    if ref.media_type != row.media_type or ref.size_bytes not in {0, row.size_bytes}:
        raise InvalidInput(
            f"media: {ref.filename} is {row.media_type} of {row.size_bytes:,} bytes, not {ref.media_type} of "
            f"{ref.size_bytes:,}.",
            hint="Use what POST /api/v1/media answered.",
            code="media_differs",
        )
    return ref.model_copy(update={"size_bytes": row.size_bytes})


def _checked_name(filename: str) -> str:
    name = PurePath(filename.replace("\\", "/")).name.strip()[:200] or "file"
    refuse_control_characters(name, "The file's name")
    return name


def _media(row: MediaRow) -> Media:
    return Media(row.sha256, row.filename, row.media_type, row.size_bytes, row.created_at)
