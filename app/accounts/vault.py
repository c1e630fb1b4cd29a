"""Sealing of secrets at rest: MultiFernet with the keys of ``keys/vault.key``, one a line, the first one seals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app import keys
from app.errors import AppError


class VaultUnreadable(AppError):
    """A sealed secret cannot be opened with the keys that are there."""

    code = "vault_unreadable"


class Vault:
    """Seals and opens JSON values. The key file is read (or made) at first use."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._fernet: MultiFernet | None = None

    def seal(self, value: dict[str, Any]) -> bytes:
        """The value, encrypted and authenticated."""
        return self._keys().encrypt(json.dumps(value).encode())

    def open(self, sealed: bytes) -> dict[str, Any]:
        """What was sealed.

        Raises: VaultUnreadable when it was sealed with another key or altered.
        """
        try:
            return json.loads(self._keys().decrypt(sealed))
        except InvalidToken:
            raise VaultUnreadable(
                "A stored login cannot be decrypted with keys/vault.key.",
                hint="Restore the key file that belongs to this database, or delete the account and connect it again.",
            ) from None

    def _keys(self) -> MultiFernet:
        if self._fernet is None:
            text = keys.read_or_create_key(self._home, keys.VAULT_KEY, make=lambda: Fernet.generate_key().decode())
            try:
                self._fernet = MultiFernet([Fernet(line.strip()) for line in text.splitlines() if line.strip()])
            except ValueError as error:
                raise VaultUnreadable(
                    f"keys/vault.key holds no usable key: {error}.", hint="Restore it from a backup."
                ) from None
        return self._fernet
