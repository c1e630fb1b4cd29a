"""Sealing of secrets at rest: Fernet under keys that are derived, one a purpose, from the vault's own.

The vault's keys stand in ``keys/vault.key``, one a line, or in ``HERALD_VAULT_KEY``; the first one seals, all open.
What is sealed says whose it is, so that a value that was moved to another row does not open there.
"""

from __future__ import annotations

import base64
import binascii
import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app import keys
from app.errors import AppError
from automation.redaction import KNOWN, secrets_of_state

KEY_VARIABLE = "HERALD_VAULT_KEY"


class VaultUnreadable(AppError):
    """A sealed secret cannot be opened with the keys that are there."""

    code = "vault_unreadable"


class Purpose(StrEnum):
    """What a secret is for. Each purpose has a key of its own, derived from the vault's (HKDF, RFC 5869)."""

    LOGIN = "login"
    SESSION = "session"


class Vault:
    """Seals and opens JSON values. The key file is made at first use and read again whenever it has changed.

    Args:
        fixed: the keys of ``HERALD_VAULT_KEY``, separated by commas; without them the file's.
    """

    def __init__(self, home: Path, fixed: str | None = None) -> None:
        self._home = home
        self._fixed = fixed
        self._seen: tuple[int, ...] = ()
        self._fernets: dict[Purpose, list[Fernet]] = {}

    @property
    def is_fixed(self) -> bool:
        """Whether the keys come from the environment, where no command can change them."""
        return self._fixed is not None

    @property
    def source(self) -> str:
        """Where the keys are, for messages."""
        return KEY_VARIABLE if self.is_fixed else "keys/vault.key"

    def seal(self, purpose: Purpose, owner: str, value: dict[str, Any]) -> bytes:
        """The value, encrypted and bound to the row ``owner``.

        Call it in the transaction that stores the result: a rotation gives old keys up while it holds the write lock.
        """
        _remember(purpose, value)
        return self._for(purpose)[0].encrypt(json.dumps({"of": owner, "value": value}).encode())

    def open(self, purpose: Purpose, owner: str, sealed: bytes) -> dict[str, Any]:
        """What was sealed for that purpose and that row.

        Raises: VaultUnreadable when it was sealed with another key, for another row or purpose, or was altered.
        """
        for fernet in self._for(purpose):
            try:
                content = json.loads(fernet.decrypt(sealed))
            except InvalidToken:
                continue
            if content.get("of") != owner:
                raise VaultUnreadable(
                    f"A stored {purpose} belongs to another account than the one whose row it is in.",
                    hint="Someone changed the database: compare it with a backup, and connect the account again.",
                )
            value: dict[str, Any] = content["value"]
            _remember(purpose, value)
            return value
        raise VaultUnreadable(
            f"A stored {purpose} cannot be decrypted with {self.source}.",
            hint="Restore the key that belongs to this database, or delete the account and connect it again.",
        )

    def is_current(self, purpose: Purpose, sealed: bytes) -> bool:
        """Whether it was sealed with the first key."""
        try:
            self._for(purpose)[0].decrypt(sealed)
        except InvalidToken:
            return False
        return True

    def key_count(self) -> int:
        """How many keys there are: more than one during a rotation."""
        return len(self._for(Purpose.LOGIN))

    def add_key(self) -> None:
        """Put a new key in front of the file. The file appears whole, whenever the process dies."""
        self._write([Fernet.generate_key().decode(), *self._lines(self._text())])

    def drop_old_keys(self) -> None:
        """Keep the first key of the file alone. Nothing may be sealed with the others any more."""
        self._write(self._lines(self._text())[:1])

    def _for(self, purpose: Purpose) -> list[Fernet]:
        seen = self._stamp()
        if not self._fernets or seen != self._seen:
            lines = self._lines(self._text())
            KNOWN.remember(*lines)
            try:
                self._fernets = {p: [Fernet(_derived(line, p)) for line in lines] for p in Purpose}
            except (ValueError, binascii.Error) as error:
                raise VaultUnreadable(
                    f"{self.source} holds no usable key: {error}.", hint="Restore it from a backup."
                ) from None
            self._seen = seen or self._stamp()
        return self._fernets[purpose]

    def _stamp(self) -> tuple[int, ...]:
        if self.is_fixed:
            return (1,)
        try:
            stat = self._path.stat()
        except OSError:
            return ()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    @property
    def _path(self) -> Path:
        return self._home / "keys" / keys.VAULT_KEY

    def _text(self) -> str:
        if self._fixed is not None:
            return self._fixed
        return keys.read_or_create_key(self._home, keys.VAULT_KEY, make=lambda: Fernet.generate_key().decode())

    def _lines(self, text: str) -> list[str]:
        found = text.replace(",", " ").split()
        if not found:
            raise VaultUnreadable(f"{self.source} is empty.", hint="Restore it from a backup.")
        return found

    def _write(self, lines: list[str]) -> None:
        try:
            keys.replace_key(self._home, keys.VAULT_KEY, "\n".join(lines))
        finally:
            self._fernets = {}


def _derived(key: str, purpose: Purpose) -> bytes:
    master = base64.b64decode(key, altchars=b"-_", validate=True)
    if len(master) != 32:
        raise ValueError(f"a key has {len(master)} bytes instead of 32 (URL-safe base64 of 32 random bytes)")
    info = f"herald vault {purpose.value}".encode()
    return base64.urlsafe_b64encode(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(master))


def _remember(purpose: Purpose, value: dict[str, Any]) -> None:
    """Keep what was sealed or opened out of logs and errors from now on."""
    if purpose is Purpose.SESSION:
        KNOWN.remember(*secrets_of_state(value))
    else:
        KNOWN.remember(*(text for key, text in value.items() if key != "username" and isinstance(text, str)))
