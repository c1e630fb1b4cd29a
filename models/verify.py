"""Digests: checks a file against its SHA-256 once, and remembers that it did.

A marker beside the files keeps size, modification time and digest of every verified file, so that a start does not
hash a gigabyte again; a file whose size or time differs from its marker is hashed again. Digests that the catalogue
does not know are pinned to the first one that the hub published (``pins.json``) and compared from then on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from models.catalog import Model, ModelFile
from models.errors import DigestMismatch

MARKER = ".verified.json"
PINS = "pins.json"
CHUNK_BYTES = 1 << 20

OnBytes = Callable[[int], None]


def sha256_of(path: Path, on_bytes: OnBytes | None = None) -> str:
    """Hex SHA-256 of a file; ``on_bytes`` is told the number of bytes after each piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK_BYTES):
            digest.update(piece)
            if on_bytes is not None:
                on_bytes(len(piece))
    return digest.hexdigest()


def check(path: Path, file: ModelFile, expected_sha256: str, on_bytes: OnBytes | None = None) -> None:
    """Raises: DigestMismatch, naming the file with expected and actual size or digest."""
    size_bytes = path.stat().st_size
    if file.size_bytes and size_bytes != file.size_bytes:
        raise DigestMismatch(f"{file.path} has {size_bytes:,} bytes, expected {file.size_bytes:,}.")
    actual = sha256_of(path, on_bytes)
    if actual != expected_sha256:
        raise DigestMismatch(f"{file.path} has SHA-256 {actual}, expected {expected_sha256}.")


def check_git_blob(path: Path, file: ModelFile) -> str:
    """The SHA-256 of a file whose content is the one that git knows by ``file.git_blob``.

    Source: Git Internals, Git Objects: the SHA-1 of ``blob SIZE\\0`` and the content. Raises: DigestMismatch.
    """
    content = path.read_bytes()
    actual = hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()
    if actual != file.git_blob:
        raise DigestMismatch(f"{file.path} has git's digest {actual}, expected {file.git_blob}.")
    return hashlib.sha256(content).hexdigest()


def pinned_digest(root: Path, model: Model, file: ModelFile) -> str | None:
    """The digest that the file must have: the catalogue's, else the one pinned at the first pull, else None."""
    if file.sha256:
        return file.sha256
    pinned = _read_json(root / PINS).get(f"{model.name}/{file.path}")
    return pinned if isinstance(pinned, str) else None


def pin_digest(root: Path, model: Model, file: ModelFile, sha256: str) -> None:
    """Remember the digest that the hub published for a file which the catalogue has none for."""
    pins = _read_json(root / PINS)
    pins[f"{model.name}/{file.path}"] = sha256
    write_json(root / PINS, pins)


def is_marked(root: Path, model: Model, file: ModelFile) -> bool:
    """Whether the file was verified and has not changed since (size, modification time, expected digest)."""
    entry = _read_json(root / model.name / MARKER).get(file.path)
    if not isinstance(entry, dict):
        return False
    try:
        status = (root / model.name / file.path).stat()
    except OSError:
        return False
    expected = pinned_digest(root, model, file)
    return (
        expected is not None
        and entry.get("sha256") == expected
        and entry.get("size_bytes") == status.st_size
        and entry.get("mtime_ns") == status.st_mtime_ns
    )


def mark(root: Path, model: Model, file: ModelFile, sha256: str) -> None:
    """Record that the file at its final place was verified just now."""
    status = (root / model.name / file.path).stat()
    entries = _read_json(root / model.name / MARKER)
    entries[file.path] = {"sha256": sha256, "size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    # A folder that cannot be written to is still readable: the price is hashing again at the next start.
    with suppress(OSError):
        write_json(root / model.name / MARKER, entries)


def write_json(path: Path, value: Any) -> None:
    """Write atomically: readers see the old content or the new, never a part."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
