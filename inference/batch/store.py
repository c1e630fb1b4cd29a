"""Where files and batches are kept: one folder of JSON records, each replaced atomically, and JSONL beside them.

``files/ID.json`` and ``files/ID.jsonl`` are a file; ``ID.json`` is a batch, ``ID.output.jsonl`` and ``ID.errors.jsonl``
its journals until it ends and they become files. One process owns the folder.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from inference.batch.journal import write_atomically
from inference.batch.records import BatchRecord, FileRecord
from inference.errors import BodyTooLarge, Conflict, InvalidRequest, ObjectNotFound

log = logging.getLogger(__name__)

COPY_BYTES = 1 << 20
Record = TypeVar("Record", bound=BaseModel)


def new_sorted_id(prefix: str) -> str:
    """An id that sorts by the time at which it was made."""
    return f"{prefix}{time.time_ns():016x}{secrets.token_hex(4)}"


class BatchStore:
    """The records of all files and batches, in memory and on the disk."""

    def __init__(self, folder: Path, max_file_bytes: int) -> None:
        """Read what is there and make what is missing. Raises: OSError."""
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._files_folder = folder / "files"
        self._files_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for leftover in [*folder.glob(".*.partial"), *self._files_folder.glob(".*.partial")]:
            leftover.unlink()
        self._files = {record.id: record for record in _records(self._files_folder, FileRecord)}
        self._batches = {record.id: record for record in _records(folder, BatchRecord)}

    # -- files ------------------------------------------------------------------------------------------------------

    def add_file(self, content: BinaryIO, filename: str) -> FileRecord:
        """Keep an upload. Raises: BodyTooLarge, InvalidRequest (empty), OSError."""
        file_id = new_sorted_id("file-")
        partial = self._files_folder / f".{file_id}.jsonl.partial"
        try:
            with partial.open("wb") as file:
                shutil.copyfileobj(content, file, COPY_BYTES)
                size_bytes = file.tell()
                if size_bytes > self._max_file_bytes:
                    raise BodyTooLarge(
                        f"The file has {size_bytes:,} bytes, at most {self._max_file_bytes:,} are allowed. Split it.",
                        param="file",
                    )
                if size_bytes == 0:
                    raise InvalidRequest("The file is empty. Write one request a line.", param="file")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.content_path(file_id))
        finally:
            partial.unlink(missing_ok=True)
        return self._keep_file(FileRecord(id=file_id, bytes=size_bytes, filename=filename, purpose="batch"))

    def adopt_file(self, file_id: str, source: Path, filename: str) -> FileRecord | None:
        """Make a batch's journal a file, or None when it is empty. May be repeated after a crash in between."""
        if file_id in self._files:
            return self._files[file_id]
        target = self.content_path(file_id)
        if source.exists():
            source.replace(target)
        size_bytes = target.stat().st_size if target.exists() else 0
        if size_bytes == 0:
            target.unlink(missing_ok=True)
            return None
        return self._keep_file(FileRecord(id=file_id, bytes=size_bytes, filename=filename, purpose="batch_output"))

    def _keep_file(self, record: FileRecord) -> FileRecord:
        write_atomically(self._files_folder / f"{record.id}.json", record.model_dump_json().encode())
        self._files[record.id] = record
        return record

    def file(self, file_id: str, param: str | None = None) -> FileRecord:
        """Raises: ObjectNotFound."""
        if file_id not in self._files:
            raise ObjectNotFound(f"No file has the id {file_id!r}. GET /v1/files lists them.", param=param)
        return self._files[file_id]

    def files(self) -> list[FileRecord]:
        """All files, the newest first."""
        return sorted(self._files.values(), key=lambda record: record.id, reverse=True)

    def content_path(self, file_id: str) -> Path:
        """Where a file's content is."""
        return self._files_folder / f"{file_id}.jsonl"

    def delete_file(self, file_id: str) -> None:
        """Forget a file. Raises: ObjectNotFound, Conflict while a batch reads it."""
        self.file(file_id)
        user = next((b for b in self._batches.values() if b.input_file_id == file_id and not b.has_ended), None)
        if user is not None:
            raise Conflict(f"The file is the input of {user.id}, which is {user.status}. Cancel that first.")
        (self._files_folder / f"{file_id}.json").unlink(missing_ok=True)
        self.content_path(file_id).unlink(missing_ok=True)
        del self._files[file_id]

    # -- batches ----------------------------------------------------------------------------------------------------

    def save_batch(self, record: BatchRecord) -> None:
        """Keep a batch as it stands. Raises: OSError."""
        write_atomically(self._folder / f"{record.id}.json", record.model_dump_json().encode())
        self._batches[record.id] = record

    def batch(self, batch_id: str) -> BatchRecord:
        """Raises: ObjectNotFound."""
        if batch_id not in self._batches:
            raise ObjectNotFound(f"No batch has the id {batch_id!r}. GET /v1/batches lists them.")
        return self._batches[batch_id]

    def batches(self) -> list[BatchRecord]:
        """All batches, the newest first."""
        return sorted(self._batches.values(), key=lambda record: record.id, reverse=True)

    def output_path(self, batch_id: str) -> Path:
        """The journal of answers."""
        return self._folder / f"{batch_id}.output.jsonl"

    def errors_path(self, batch_id: str) -> Path:
        """The journal of failures."""
        return self._folder / f"{batch_id}.errors.jsonl"


def _records(folder: Path, kind: type[Record]) -> list[Record]:
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append(kind.model_validate_json(path.read_bytes()))
        except (ValidationError, OSError) as error:
            log.error("%s cannot be read and is left out: %s", path, error)
    return found
