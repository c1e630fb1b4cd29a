"""Passwords: what is accepted, and Argon2id hashes of them. Source: NIST SP 800-63B (length over composition)."""

from __future__ import annotations

from functools import cache

from pwdlib import PasswordHash

from app.errors import InvalidInput

MIN_CHARS = 8
MAX_CHARS = 200
_GUESSED_FIRST = frozenset(
    {
        "password",
        "password1",
        "password123",
        "passw0rd",
        "12345678",
        "123456789",
        "1234567890",
        "qwertyui",
        "qwertyuiop",
    }
    | {"qwerty123", "iloveyou", "letmein1", "welcome1", "admin123", "administrator", "sunshine", "princess", "football"}
    | {"baseball", "trustno1", "abcd1234", "herald123"}
)


def checked_password(password: str, email: str) -> str:
    """The password when it may be used.

    Raises: InvalidInput, which says what is wrong with it but never what it is.
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise _refused(f"It has {len(password)} characters; {MIN_CHARS} to {MAX_CHARS} are allowed.")
    if any(0xD800 <= ord(c) <= 0xDFFF for c in password):
        raise _refused("It holds characters that cannot be encoded.")
    lowered = password.casefold()
    if lowered in _GUESSED_FIRST or len(set(lowered)) < 3:
        raise _refused("It is one of those that are guessed first.")
    if lowered in {email.casefold(), email.partition("@")[0].casefold()}:
        raise _refused("It is your mail address.")
    return password


def hash_of(password: str) -> str:
    """Argon2id with a salt of its own; takes some 50 ms and 64 MiB by design."""
    return _hasher().hash(password)


def is_right(password: str, stored: str | None) -> bool:
    """Whether it is the password of that hash. Without a hash it takes just as long and is wrong."""
    if any(0xD800 <= ord(c) <= 0xDFFF for c in password) or len(password) > MAX_CHARS:
        password, stored = "", None
    matches = _hasher().verify(password, stored or _nobodys())
    return matches and stored is not None


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody has this password")


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        f"This password cannot be used. {why}", hint="A sentence that only you know is good.", code="password_refused"
    )
