"""The API's shapes of users, tokens and keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Email = Annotated[str, Field(min_length=3, max_length=320)]
Password = Annotated[SecretStr, Field(max_length=1_000)]


class SignupIn(BaseModel):
    """A new person. ``invitation`` is the token of an invitation's link."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Password
    name: Annotated[str, Field(min_length=1, max_length=80)]
    invitation: Annotated[str | None, Field(max_length=200)] = None


class LoginIn(BaseModel):
    """A person's mail address and password."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Password


class ForgotIn(BaseModel):
    """Whose password is lost."""

    model_config = ConfigDict(extra="forbid")

    email: Email


class ResetIn(BaseModel):
    """The token of a reset link and the new password."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(max_length=200)]
    password: Password


class UserOut(BaseModel):
    """A person."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    email: str | None
    name: str
    is_box_owner: bool
    created_at: datetime


class TokenOut(BaseModel):
    """An access token: send it as ``Authorization: Bearer TOKEN``."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the scheme's name. Source: RFC 6750
    expires_in_s: int


class SignupOut(UserOut, TokenOut):
    """The new person and their first access token."""


class MeOut(UserOut):
    """Who is asking, how, and with what limits."""

    via: str
    scopes: list[str] | None


class KeyIn(BaseModel):
    """A key for a program."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[str], Field(max_length=10)] = ["read"]
    tier: Annotated[str, Field(max_length=20)] = "standard"


class KeyOut(BaseModel):
    """A key without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    scopes: list[str]
    tier: str
    created_at: datetime
    last_used_at: datetime | None


class NewKeyOut(KeyOut):
    """A key with its secret, which is shown this once."""

    key: str


class KeysOut(BaseModel):
    """The caller's keys."""

    keys: list[KeyOut]
