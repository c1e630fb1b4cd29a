"""What projects hand around."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.auth.records import Role

ProjectId = Annotated[str | None, Field(max_length=40, description="The project; without it the default one.")]
"""The field of a body that names the project. ``app.access`` acts on it, the route need not look."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project as one of its members sees it."""

    id: str
    name: str
    description: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user's part in a project."""

    user_id: str
    name: str
    email: str | None
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that makes one person a member, without its token."""

    id: str
    role: Role
    email: str | None
    created_at: datetime
    expires_at: datetime
