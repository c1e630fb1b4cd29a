"""The box's own secrets: one file a purpose under ``keys/`` of the data home, made at first need.

Knows nothing of what a key is used for.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from app.errors import AppError
from automation.redaction import KNOWN

API_KEY = "api.key"
SESSION_KEY = "session.key"
TOKEN_KEY = "token.key"  # noqa: S105 - a file
VAULT_KEY = "vault.key"
INFERENCE_KEY = "inference.key"
APPROVAL_KEY = "approval.key"


class KeyUnreadable(AppError):
    """A key file is there but cannot be used."""

    code = "key_unreadable"


def _random_key() -> str:
    return secrets.token_urlsafe(32)


def read_or_create_key(home: Path, name: str, make: Callable[[], str] = _random_key) -> str:
    """The key called ``name``, made by ``make`` (256 random bits) when there is none yet.

    Two processes that start at once agree on one key: the file appears complete, by a hard link that only one can make.

    Raises: KeyUnreadable when the file cannot be read, made, or is empty.
    """
    path = home / "keys" / name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path, make())
        key = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise KeyUnreadable(
            f"The key file {path} cannot be used: {error.strerror or error}.",
            hint="Check that the user who runs Herald owns the data folder and that the disk is not full.",
        ) from error
    if not key:
        raise KeyUnreadable(
            f"The key file {path} is empty.", hint="Restore it from a backup, or delete it to get a new key."
        )
    KNOWN.remember(*key.split())
    return key


def _create(path: Path, key: str) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            return  # another process made it a moment ago; its key counts
    finally:
        partial.unlink()


def replace_key(home: Path, name: str, content: str) -> None:
    """Put ``content`` in the key's place: the old or the new file is there whole, whenever the process dies.

    Raises: KeyUnreadable.
    """
    path = home / "keys" / name
    partial = path.with_name(f".{name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise KeyUnreadable(
            f"The key file {path} cannot be written: {error.strerror or error}.",
            hint="Check that the user who runs Herald owns the data folder and that the disk is not full.",
        ) from error
