"""Who is asking, and what they may do: roles, permissions, the actor of a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

OWNER_ID = "usr_owner"
"""The owner of the box: whoever holds its API key or a sign-in link, and the first person who signs up."""

Via = Literal["session", "token", "api_key", "system"]


class Permission(StrEnum):
    """What a route asks for. ``BOX`` concerns the whole box, the four before it one project.

    ``SELF`` is what a person does for themselves (their keys, a new project); a key with limited scopes cannot.
    """

    OPEN = "open"
    SIGNED_IN = "signed_in"
    SELF = "self"
    READ = "read"
    WRITE = "write"
    APPROVE = "approve"
    MANAGE = "manage"
    BOX = "box"


class Role(StrEnum):
    """A member's part in a project. Each may do what those after it in this list may."""

    OWNER = "owner"
    APPROVER = "approver"
    EDITOR = "editor"
    VIEWER = "viewer"

    def can(self, permission: Permission) -> bool:
        """Whether the role is enough."""
        return permission in _GRANTS[self]


_GRANTS = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.EDITOR: frozenset({Permission.READ, Permission.WRITE}),
    Role.APPROVER: frozenset({Permission.READ, Permission.WRITE, Permission.APPROVE}),
    Role.OWNER: frozenset({Permission.READ, Permission.WRITE, Permission.APPROVE, Permission.MANAGE}),
}

SCOPES = frozenset({"read", "write", "approve", "manage"})
"""What an API key may be limited to; a key can never do more than its user."""


TIERS = {"standard": 1_000, "high": 100_000}
"""Requests a day (UTC) of each tier of API keys."""


@dataclass(frozen=True, slots=True)
class User:
    """A person without their secrets."""

    id: str
    email: str | None
    name: str
    is_box_owner: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    tier: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking. ``str()`` is what the audit log keeps.

    Attributes:
        scopes: the permissions that the key is limited to; None for no limit of its own.
    """

    user_id: str
    name: str
    is_box_owner: bool
    via: Via
    scopes: frozenset[str] | None = None
    key_id: str | None = None

    def __str__(self) -> str:
        how = {"session": "in the browser", "token": "by token", "api_key": "by API key", "system": "by itself"}
        return f"{self.name} {how[self.via]}"

    def may_use(self, permission: Permission) -> bool:
        """Whether the key that was used covers the permission; what the user may do is decided apart."""
        return self.scopes is None or permission in {Permission.OPEN, Permission.SIGNED_IN} or permission in self.scopes
