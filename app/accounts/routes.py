"""``/accounts``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from app.accounts.service import AccountView, NewAccount
from app.projects.records import ProjectId
from app.services import ActorDep, ServicesDep
from automation.actions.post_social import Platform
from automation.sites.registry import SITES

router = APIRouter(tags=["accounts"])


class AccountIn(BaseModel):
    """A login to connect. ``base_url`` is the site's origin; without it the platform's own.

    Without a password the owner logs in himself, on the account's login page.
    """

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    platform: Platform
    handle: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^@?[\w.\-]+$")]
    username: Annotated[str, Field(min_length=1, max_length=320)]
    password: Annotated[SecretStr | None, Field(min_length=1, max_length=1_000)] = None
    base_url: Annotated[str | None, Field(max_length=500)] = None
    project_id: ProjectId = None

    @field_validator("base_url")
    @classmethod
    def _is_origin(cls, value: str | None) -> str | None:
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise ValueError("must be an http or https address without a login in it")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("must be an origin such as https://x.com, without a path")
        return f"{parts.scheme}://{parts.netloc}"


class AccountOut(BaseModel):
    """An account; its password is never given out."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    platform: str
    handle: str
    base_url: str
    created_at: datetime


class AccountsOut(BaseModel):
    """All accounts."""

    accounts: list[AccountOut]


@router.get("/accounts")
def list_accounts(services: ServicesDep) -> AccountsOut:
    """The accounts that the box is connected to."""
    return AccountsOut(accounts=[AccountOut.model_validate(a) for a in services.accounts.all()])


@router.post("/accounts", status_code=201)
def create_account(body: AccountIn, services: ServicesDep, actor: ActorDep) -> AccountOut:
    """Connect an account; its login is kept encrypted."""
    new = NewAccount(
        platform=body.platform,
        handle=body.handle.removeprefix("@"),
        username=body.username,
        password=body.password.get_secret_value() if body.password else "",
        base_url=body.base_url or SITES[body.platform].default_base_url,
    )
    view: AccountView = services.accounts.create(new, actor)
    return AccountOut.model_validate(view)


@router.delete("/accounts/{account_id}", status_code=204)
def delete_account(account_id: str, services: ServicesDep, actor: ActorDep) -> None:
    """Forget the account and its login."""
    services.accounts.delete(account_id, actor)
