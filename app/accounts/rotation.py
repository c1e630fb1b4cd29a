"""Changing the vault's key: everything is sealed anew with a new key, and only then is the old one given up.

Killed at any point, the keys that are in the file open all that is stored; the next run goes on where this one ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.accounts.service import AccountService
from app.accounts.vault import KEY_VARIABLE, Vault
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import Conflict

BATCH = 50
"""Values sealed in one transaction, so that the app and the worker never wait long for the database."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did."""

    resealed: int
    was_resumed: bool
    old_keys_dropped: bool


def rotate(
    database: Database,
    vault: Vault,
    accounts: AccountService,
    audit: AuditService,
    *,
    actor: str,
    progress: Callable[[int], None] = lambda _count: None,
) -> Rotation:
    """Give the vault a new key and seal everything with it; ``progress`` is told how many values were sealed so far.

    Raises: Conflict when the environment holds one key alone; VaultUnreadable when a value opens with no key, and then
        no key is given up; KeyUnreadable, StorageFull, DatabaseBusy.
    """
    was_resumed = vault.key_count() > 1
    if not was_resumed:
        if vault.is_fixed:
            raise Conflict(
                f"{KEY_VARIABLE} holds one key, and no command can change the environment.",
                hint="Put a new key (`herald vault new-key`) and a comma in front of it, in every process that has it, "
                "restart them, and run this again. Then the old key can be taken out.",
                code="vault_key_fixed",
            )
        vault.add_key()
    resealed = 0
    while True:
        with database.write() as session:
            count = accounts.reseal(session, BATCH)
            resealed += count
            if not count:
                # Under the write lock nothing can be sealed with an old key between this look and the end of that key.
                if not vault.is_fixed:
                    vault.drop_old_keys()
                detail = {"resealed": resealed, "was_resumed": was_resumed}
                audit.record(session, "vault.rotated", actor=actor, detail=detail)
                return Rotation(resealed, was_resumed, not vault.is_fixed)
        progress(resealed)
